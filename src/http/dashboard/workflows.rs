//! The list of workflows.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Visitor, now},
    list_page::ListPage,
    page::{IDLE, LIVE, PageError, Shell, answer},
    workflow_view::WorkflowRow,
};
use crate::{
    http::HttpState,
    model::WorkflowStatus,
    service::{
        Listing,
        workflows::{MAX_SEARCH_CHARS, WorkflowFilter},
    },
    store::Cursor,
};

/// How many workflows a page looks at in a search, so that it comes at once; the next page goes on.
const LOOK_AT: usize = 100;

/// Rows of a page of a list.
pub const PAGE: usize = 25;

#[derive(Deserialize)]
pub struct Listed {
    pub after: Option<String>,
}

/// Which workflows a page lists.
#[derive(Default, Deserialize)]
pub struct ListedWorkflows {
    after: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    q: String,
}

/// The list with these filters.
pub fn list_path(status: &str, q: &str) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("status", status), ("q", q)].into_iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    let pairs = pairs.finish();
    let path = "/dashboard/workflows";
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{pairs}") }
}

/// A link to the workflows in one state.
#[derive(Serialize)]
struct StatusTab {
    label: &'static str,
    href: String,
    current: bool,
}

#[derive(Serialize)]
struct WorkflowsPage {
    tabs: Vec<StatusTab>,
    status: String,
    q: String,
    most_q: usize,
    filtered: bool,
    #[serde(flatten)]
    list: ListPage<WorkflowRow>,
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<ListedWorkflows>,
) -> Result<HttpResponse, PageError> {
    let q: String = query.q.chars().take(MAX_SEARCH_CHARS).collect();
    let status = WorkflowStatus::ALL.into_iter().find(|status| status.as_str() == query.status);
    let filter = WorkflowFilter { status, look_at: Some(LOOK_AT), ..WorkflowFilter::default() }.search(&q);
    let found = state.services.workflows.find(&filter, PAGE, query.after.clone().map(Cursor)).await?;
    let now = now(&state);
    let live = found.items.iter().any(|w| !w.is_over());
    let path = list_path(status.map_or("", WorkflowStatus::as_str), &q);
    let listing = Listing { items: found.items, next: found.next, total: found.total.unwrap_or_default() };
    let list = ListPage::new(&path, query.after.as_deref(), &listing, |w| WorkflowRow::new(w, now));
    let tab = |label, status: Option<WorkflowStatus>| StatusTab {
        label,
        href: list_path(status.map_or("", WorkflowStatus::as_str), &q),
        current: filter.status == status,
    };
    let page = WorkflowsPage {
        tabs: vec![
            tab("All", None),
            tab("Running", Some(WorkflowStatus::Running)),
            tab("Paused", Some(WorkflowStatus::Paused)),
            tab("Completed", Some(WorkflowStatus::Completed)),
            tab("Failed", Some(WorkflowStatus::Failed)),
            tab("Cancelled", Some(WorkflowStatus::Cancelled)),
        ],
        status: status.map_or("", WorkflowStatus::as_str).to_owned(),
        filtered: status.is_some() || !q.trim().is_empty(),
        q,
        most_q: MAX_SEARCH_CHARS,
        list,
    };
    let shell = Shell::new(&state, &visitor, "Workflows", "Workflows")
        .live(if live { LIVE } else { IDLE })
        .events("/dashboard/events".to_owned());
    answer(StatusCode::OK, "workflows.html", &shell, &page)
}
