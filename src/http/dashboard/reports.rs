//! Reports: made, listed and read.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Serialize;

use super::{
    access::{Posted, Visitor},
    list_page::ListPage,
    notice::see_other_saying,
    page::{PageError, Shell, answer, builder},
    upload_view::size,
    workflows::{Listed, PAGE},
};
use crate::{
    http::{HttpState, disposition::attachment, render::segment},
    model::iso,
    service::reports::Report,
    store::Cursor,
};

#[derive(Serialize)]
struct ReportRow {
    filename: String,
    title: String,
    made_at: String,
    size: String,
}

impl ReportRow {
    fn new(report: &Report) -> Self {
        Self {
            filename: report.filename.clone(),
            title: format!("Week to {}", report.created_at.format("%-d %B %Y, %H:%M UTC")),
            made_at: iso::format(&report.created_at),
            size: size(report.text.len() as u64),
        }
    }
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Listed>,
) -> Result<HttpResponse, PageError> {
    let after = query.after.as_deref();
    let listing = state.services.reports.list(PAGE, query.after.clone().map(Cursor)).await?;
    let page = ListPage::new("/dashboard/reports", after, &listing, ReportRow::new);
    let shell = Shell::new(&state, &visitor, "Analytics", "Reports");
    answer(StatusCode::OK, "reports.html", &shell, &page)
}

pub async fn generate(state: web::Data<HttpState>, _posted: Posted) -> Result<HttpResponse, PageError> {
    let report = state.services.reports.generate().await?;
    let to = format!("/dashboard/reports/{}", segment(&report.filename));
    Ok(see_other_saying(&to, "report-made", None))
}

#[derive(Serialize)]
struct ReportPage {
    row: ReportRow,
    text: String,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    file: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let report = find(&state, &file).await?;
    let page = ReportPage { row: ReportRow::new(&report), text: report.text };
    let shell = Shell::new(&state, &visitor, "Analytics", page.row.title.clone());
    answer(StatusCode::OK, "report_page.html", &shell, &page)
}

/// The report as a file.
pub async fn markdown(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    file: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let report = find(&state, &file).await?;
    Ok(builder(StatusCode::OK)
        .insert_header((header::CONTENT_DISPOSITION, attachment(&report.filename)))
        .content_type("text/markdown; charset=utf-8")
        .body(report.text))
}

async fn find(state: &HttpState, file: &str) -> Result<Report, PageError> {
    // No report has such a name, and none is looked for.
    if file.len() > 100 || !file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
        return Err(PageError::NotFound(format!("Report '{file}' not found")));
    }
    Ok(state.services.reports.get(file).await?)
}
