//! Results: newest first, one, by workflow, by agent.
//!
//! Lists are plain JSON lists, as legacy clients know them; paging travels in headers.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json, Path},
};

use super::{Answer, Pong, X_NEXT_CURSOR, X_TOTAL_COUNT};
use crate::{
    http::{
        HttpState,
        error::Problem,
        extract::{Paging, known_form, seal_cursor},
    },
    model::JobResult,
    service::Listing,
};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 1_000;

/// Ping of the results module
///
/// Tells that this part of the API answers.
#[utoipa::path(
    get,
    path = "/results/ping",
    tag = "results",
    operation_id = "ping_results",
    responses((status = 200, description = "It answers", body = Pong,
        example = json!({"status": "ok", "module": "results"})))
)]
pub async fn ping() -> Json<Pong> {
    Json(Pong { status: "ok", module: "results" })
}

/// The newest results
///
/// A plain list, newest first. `X-Total-Count` says how many there are in all; while there is more,
/// `X-Next-Cursor` holds the `cursor` of the next page and `Link` its address.
#[utoipa::path(
    get,
    path = "/results/",
    tag = "results",
    operation_id = "list_results",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 1000", minimum = 1, maximum = 1000, example = 10),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "The results", body = Vec<JobResult>,
        headers(
            ("X-Total-Count" = u64, description = "How many results there are in all"),
            ("X-Next-Cursor" = String, description = "The cursor of the next page, if there may be one"),
            ("Link" = String, description = "The address of the next page, if there may be one"),
        ),
        example = json!([{"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "workflow_id": null,
            "parent_job_id": null, "agent": "general_assistant", "role": "Assistant", "reviewed_by": null,
            "status": "completed", "output": "A fencing token is …", "started_at": "2026-11-22T10:18:25.575498+00:00",
            "completed_at": "2026-11-22T10:18:26.072904+00:00", "execution_time": 0.5, "confidence_score": null,
            "timestamp": "2026-11-22T10:18:26.072977+00:00", "task": "Explain what a fencing token is",
            "attempts": 1, "simulated": false}])))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Result<HttpResponse, Problem> {
    let Paging { limit, cursor } = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let listing = state.services.results.list(limit, cursor).await.map_err(failed)?;
    Ok(page(&req, limit, listing))
}

/// The results of an agent
///
/// A plain list, newest first; empty for an agent that has none.
#[utoipa::path(
    get,
    path = "/results/agent/{name}",
    tag = "results",
    operation_id = "list_agent_results",
    params(
        ("name" = String, Path, description = "The agent's name", example = "qa_bot"),
        ("limit" = Option<usize>, Query, description = "How many, 1 to 1000", minimum = 1, maximum = 1000, example = 10),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "The results", body = Vec<JobResult>,
        headers(
            ("X-Total-Count" = u64, description = "How many results of the agent there are in all"),
            ("X-Next-Cursor" = String, description = "The cursor of the next page, if there may be one"),
            ("Link" = String, description = "The address of the next page, if there may be one"),
        ),
        example = json!([])))
)]
pub async fn by_agent(
    state: Data<HttpState>,
    req: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Paging { limit, cursor } = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let listing = state.services.results.by_agent(&name, limit, cursor).await.map_err(failed)?;
    Ok(page(&req, limit, listing))
}

/// The results of a workflow
///
/// A plain list, newest first; 404 while there is none.
#[utoipa::path(
    get,
    path = "/results/workflow/{workflow_id}",
    tag = "results",
    operation_id = "list_workflow_results",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    responses((status = 200, description = "The results", body = Vec<JobResult>, example = json!([{
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea",
        "agent": "debugger_bot", "status": "completed", "output": "The session cookie …", "execution_time": 0.5,
        "timestamp": "2026-11-22T10:18:26.072977+00:00", "attempts": 1, "simulated": false}])))
)]
pub async fn by_workflow(state: Data<HttpState>, id: Path<String>) -> Answer<Vec<JobResult>> {
    known_form(&id, || format!("No results found for workflow '{id}'"))?;
    Ok(Json(state.services.results.by_workflow(&id).await?))
}

/// The result of a job
///
/// 404 until the job has ended, and again once the result has expired (`RESULT_TTL`).
#[utoipa::path(
    get,
    path = "/results/{job_id}",
    tag = "results",
    operation_id = "get_result",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    responses((status = 200, description = "The result", body = JobResult, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "workflow_id": null, "parent_job_id": null,
        "agent": "general_assistant", "role": "Assistant", "reviewed_by": null, "status": "completed",
        "output": "A fencing token is …", "started_at": "2026-11-22T10:18:25.575498+00:00",
        "completed_at": "2026-11-22T10:18:26.072904+00:00", "execution_time": 0.5, "confidence_score": null,
        "timestamp": "2026-11-22T10:18:26.072977+00:00", "task": "Explain what a fencing token is",
        "attempts": 1, "simulated": false})))
)]
pub async fn get(state: Data<HttpState>, id: Path<String>) -> Answer<JobResult> {
    known_form(&id, || format!("Result for job '{id}' not found"))?;
    Ok(Json(state.services.results.get(&id).await?))
}

/// The result of a task
///
/// The same as `/results/{job_id}`, under the name that clients of `/results/task` look for.
#[utoipa::path(
    get,
    path = "/results/task/{job_id}",
    tag = "results",
    operation_id = "get_task_result",
    params(("job_id" = String, Path, description = "The job's id",
        example = "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca")),
    responses((status = 200, description = "The result", body = JobResult, example = json!({
        "job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca", "agent": "general_assistant",
        "status": "completed", "output": "A fencing token is …", "execution_time": 0.5,
        "timestamp": "2026-11-22T10:18:26.072977+00:00", "attempts": 1, "simulated": false})))
)]
pub async fn get_task(state: Data<HttpState>, id: Path<String>) -> Answer<JobResult> {
    let unknown = || format!("Task '{id}' not found");
    known_form(&id, unknown)?;
    let found = state.services.results.find(&id).await?;
    found.map(Json).ok_or_else(|| Problem::not_found(unknown()))
}

fn page(req: &HttpRequest, limit: usize, listing: Listing<JobResult>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((X_TOTAL_COUNT, listing.total));
    if let Some(next) = &listing.next {
        let cursor = seal_cursor(next);
        let link = format!("<{}?limit={limit}&cursor={cursor}>; rel=\"next\"", req.uri().path());
        answer.insert_header((X_NEXT_CURSOR, cursor)).insert_header((header::LINK, link));
    }
    answer.json(listing.items)
}
