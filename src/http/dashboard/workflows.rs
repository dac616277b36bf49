//! The list of workflows.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Deserialize;

use super::{
    access::{Visitor, now},
    list_page::ListPage,
    page::{IDLE, LIVE, PageError, Shell, answer},
    workflow_view::WorkflowRow,
};
use crate::{http::HttpState, store::Cursor};

/// Rows of a page of a list.
pub const PAGE: usize = 25;

#[derive(Deserialize)]
pub struct Listed {
    pub after: Option<String>,
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Listed>,
) -> Result<HttpResponse, PageError> {
    let listing = state.services.workflows.list(PAGE, query.after.clone().map(Cursor)).await?;
    let now = now(&state);
    let live = listing.items.iter().any(|w| !w.is_over());
    let page =
        ListPage::new("/dashboard/workflows", query.after.as_deref(), &listing, |w| WorkflowRow::new(w, now));
    let shell = Shell::new(&state, &visitor, "Workflows", "Workflows").live(if live { LIVE } else { IDLE });
    answer(StatusCode::OK, "workflows.html", &shell, &page)
}
