//! Reports: made, listed and read, as Markdown or as a page.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, queues::Nothing};
use crate::{
    http::{
        HttpState,
        dashboard::SECURITY_HEADERS,
        error::Problem,
        extract::{Body, Paging, seal_cursor},
        markdown, render,
    },
    model::iso,
    service::reports::Report,
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// The answer to a report that was made.
#[derive(Serialize, ToSchema)]
pub struct ReportReceipt {
    /// Where it can be read; with `.html` instead of `.md` as a page.
    #[schema(example = "/reports/weekly_report_20261122_101928.md")]
    report_path: String,
    #[schema(example = "weekly_report_20261122_101928.md")]
    filename: String,
    #[schema(example = "20261122_101928")]
    timestamp: String,
}

/// A report in a list.
#[derive(Serialize, ToSchema)]
pub struct ReportInfo {
    filename: String,
    /// Where it can be read.
    path: String,
    /// Bytes.
    size: usize,
    #[schema(format = DateTime)]
    modified: String,
}

/// Reports, newest first.
#[derive(Serialize, ToSchema)]
pub struct ReportList {
    reports: Vec<ReportInfo>,
    /// The `cursor` of the next page, while there is more.
    next_cursor: Option<String>,
}

/// Make a report
///
/// Of the last seven days (UTC) beside the seven before: jobs by day and agent, models and cost. It is kept for
/// 180 days, where every node can read it.
#[utoipa::path(
    post,
    path = "/reports/generate",
    tag = "analytics",
    operation_id = "generate_report",
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It was made", body = ReportReceipt, example = json!({
        "report_path": "/reports/weekly_report_20261122_101928.md",
        "filename": "weekly_report_20261122_101928.md", "timestamp": "20261122_101928"})))
)]
pub async fn generate(state: Data<HttpState>, _: Body<Nothing>) -> Answer<ReportReceipt> {
    let report = state.services.reports.generate().await?;
    Ok(Json(ReportReceipt {
        report_path: path_of(&report),
        timestamp: report.created_at.format("%Y%m%d_%H%M%S").to_string(),
        filename: report.filename,
    }))
}

/// The reports
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/reports",
    tag = "analytics",
    operation_id = "list_reports",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 200", minimum = 1, maximum = 200, example = 50),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "The reports", body = ReportList, example = json!({"reports": [{
        "filename": "weekly_report_20261122_101928.md", "path": "/reports/weekly_report_20261122_101928.md",
        "size": 476, "modified": "2026-11-22T10:19:28.054657+00:00"}], "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<ReportList> {
    let Paging { limit, cursor } = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let listing = state.services.reports.list(limit, cursor).await.map_err(failed)?;
    let reports = listing.items.iter().map(|report| ReportInfo {
        filename: report.filename.clone(),
        path: path_of(report),
        size: report.text.len(),
        modified: iso::format(&report.created_at),
    });
    Ok(Json(ReportList { reports: reports.collect(), next_cursor: listing.next.as_ref().map(seal_cursor) }))
}

/// A report
///
/// As Markdown (`.md`) or as a page (`.html`).
#[utoipa::path(
    get,
    path = "/reports/{filename}",
    tag = "analytics",
    operation_id = "get_report",
    params(("filename" = String, Path, description = "The name of its file",
        example = "weekly_report_20261122_101928.md")),
    responses((status = 200, description = "The report", content(
        (String = "text/markdown", example = "# ProductForge weekly report\n"), (String = "text/html"))))
)]
pub async fn get(state: Data<HttpState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let page = name.strip_suffix(".html");
    let stored = page.map_or_else(|| name.clone(), |stem| format!("{stem}.md"));
    let unknown = || Problem::not_found(format!("Report '{}' not found", *name));
    // No report has such a name, and none is looked for.
    if stored.len() > 100 || !stored.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
        return Err(unknown());
    }
    let report = state.services.reports.get(&stored).await?;
    if page.is_none() {
        return Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(report.text));
    }
    #[derive(Serialize)]
    struct Page<'a> {
        title: &'a str,
        html: String,
        markdown: String,
    }
    let html = markdown::untrusted(&report.text, 1);
    let shown = Page { title: &report.filename, html, markdown: path_of(&report) };
    let html = render::render("report.html", &shown).map_err(|e| Problem::internal(e.to_string()))?;
    let mut answer = HttpResponse::Ok();
    for header in SECURITY_HEADERS {
        answer.insert_header(header);
    }
    Ok(answer.content_type("text/html; charset=utf-8").body(html))
}

fn path_of(report: &Report) -> String {
    format!("/reports/{}", report.filename)
}
