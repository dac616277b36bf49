//! Exports: results as files.

use std::io;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_DISPOSITION, ContentType},
    web::{Bytes, Data, Path},
};
use futures_util::stream;
use serde_json::json;

use super::results::filter;
use crate::{
    http::{
        HttpState,
        disposition::attachment,
        error::{FieldError, Problem},
        extract::{known_form, query_value},
    },
    service::exports::{Export, Format, PerformanceReport},
};

/// All results as a file
///
/// Every result that fits the filters, newest first, made while it is sent: the legacy system stopped at 1,000.
/// A transfer that ends early has failed; `json` and `zip` then have no end, and the connection is broken off.
/// `csv` puts an apostrophe before a text that a spreadsheet would take for a formula.
#[utoipa::path(
    get,
    path = "/results/export/{format}",
    tag = "exports",
    operation_id = "export_results",
    params(
        ("format" = String, Path, description = "`json`, `ndjson`, `csv`, `txt`, `md` or `zip`", example = "json"),
        ("agent" = Option<String>, Query, description = "Of this agent", example = "qa_bot"),
        ("status" = Option<String>, Query, description = "`completed`, `failed` or `cancelled`", example = "completed"),
        ("workflow_id" = Option<String>, Query, description = "Of this workflow"),
        ("since" = Option<String>, Query, description = "Written at this time or later, ISO 8601",
            example = "2026-11-22T00:00:00Z"),
        ("until" = Option<String>, Query, description = "Written at this time or before, ISO 8601"),
        ("q" = Option<String>, Query, description = "Words that all stand in task, output, error or agent"),
    ),
    responses((status = 200, description = "The file", content(
        (Object = "application/json", example = json!({"task": "All results",
            "exported_at": "2026-11-22T10:18:26.072977+00:00", "results": [], "count": 0})),
        (String = "application/x-ndjson"), (String = "text/csv"), (String = "text/plain"),
        (String = "text/markdown"), (Vec<u8> = "application/zip"),
    ), headers(("Content-Disposition" = String, description = "`attachment`, with the name of the file"))))
)]
pub async fn results(
    state: Data<HttpState>,
    req: HttpRequest,
    format: Path<String>,
) -> Result<HttpResponse, Problem> {
    let format = known(&format)?;
    let filter = filter::of(&req)?;
    Ok(file(state.services.exports.results(filter, format).await?))
}

/// A workflow and its results as a file
///
/// Named after the brief. `zip` holds the workflow's document and a file for each step, too.
#[utoipa::path(
    get,
    path = "/workflows/{workflow_id}/export/{format}",
    tag = "exports",
    operation_id = "export_workflow",
    params(
        ("workflow_id" = String, Path, description = "The workflow's id",
            example = "76660f75-5a72-41a3-b5ca-ff78d91023ea"),
        ("format" = String, Path, description = "`json`, `ndjson`, `csv`, `txt`, `md` or `zip`", example = "md"),
    ),
    responses((status = 200, description = "The file", content(
        (Object = "application/json", example = json!({"task": "Fix the login bug",
            "exported_at": "2026-11-22T10:18:26.072977+00:00", "results": [], "count": 0})),
        (String = "application/x-ndjson"), (String = "text/csv"), (String = "text/plain"),
        (String = "text/markdown"), (Vec<u8> = "application/zip"),
    ), headers(("Content-Disposition" = String, description = "`attachment`, with the name of the file"))))
)]
pub async fn workflow(state: Data<HttpState>, path: Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (id, format) = path.into_inner();
    let format = known(&format)?;
    known_form(&id, || "Workflow not found".to_owned())?;
    Ok(file(state.services.exports.workflow_results(&id, format).await?))
}

/// How each agent did
///
/// Over the results that are kept now. `/analytics/summary` and `/reports` know more of the past.
#[utoipa::path(
    get,
    path = "/results/performance/export",
    tag = "exports",
    operation_id = "export_performance",
    params(("format" = Option<String>, Query, description = "`json` or `csv`", example = "json")),
    responses((status = 200, description = "The figures, as an attachment", content(
        (PerformanceReport = "application/json", example = json!({
            "export_timestamp": "2026-11-22T10:18:26.072977+00:00", "total_agents": 1, "metrics": [{
                "agent_name": "qa_bot", "role": "QA", "total_tasks": 2, "successful_tasks": 2, "failed_tasks": 0,
                "success_rate": 100.0, "total_execution_time": 3.2, "average_execution_time": 1.6,
                "fastest_job": 1.1, "slowest_job": 2.1, "last_activity": "2026-11-22T10:18:26.072977+00:00"}]})),
        (String = "text/csv"),
    )))
)]
pub async fn performance(state: Data<HttpState>, req: HttpRequest) -> Result<HttpResponse, Problem> {
    let csv = match query_value(&req, "format").as_deref() {
        None | Some("" | "json") => false,
        Some("csv") => true,
        Some(other) => {
            let msg = "Input should be 'json' or 'csv'";
            let place = vec![json!("query"), json!("format")];
            return Err(Problem::field(FieldError::new("literal_error", place, msg).input(json!(other))));
        }
    };
    let report = state.services.exports.performance().await?;
    let mut answer = HttpResponse::Ok();
    if csv {
        let table = report.csv().map_err(|e| Problem::internal(e.to_string()))?;
        answer.insert_header((CONTENT_DISPOSITION, attachment("ProductForge_performance.csv")));
        answer.insert_header(("content-type", Format::Csv.media_type()));
        return Ok(answer.body(table));
    }
    answer.insert_header((CONTENT_DISPOSITION, attachment("ProductForge_performance.json")));
    Ok(answer.insert_header(ContentType::json()).json(report))
}

fn known(format: &str) -> Result<Format, Problem> {
    format.parse().map_err(|e| Problem::not_found(format!("{e}")))
}

fn file(export: Export) -> HttpResponse {
    let Export { file_name, format, chunks } = export;
    let body = stream::unfold(chunks, |mut chunks| async move {
        let chunk: io::Result<Bytes> = chunks.recv().await?;
        Some((chunk, chunks))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_DISPOSITION, attachment(&file_name)))
        .insert_header(("content-type", format.media_type()))
        .streaming(body)
}
