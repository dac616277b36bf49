//! Results: newest first, one, by workflow, by agent; pins and deletes.
//!
//! Lists are plain JSON lists, as legacy clients know them; paging travels in headers.

pub mod filter;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json, Path},
};

use super::{Answer, Pong, X_NEXT_CURSOR, X_TOTAL_COUNT, queues::Nothing};
use crate::{
    http::{
        HttpState,
        error::Problem,
        extract::{Body, Paging, known_form, seal_cursor},
    },
    model::JobResult,
    service::{ResultFilter, results::ResultPage},
};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 1_000;
/// How many results of a workflow are shown when nobody says.
const WORKFLOW_LIMIT: usize = 500;

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
/// A plain list, newest first. While there may be more, `X-Next-Cursor` holds the `cursor` of the next page and
/// `Link` its address; a page can then be short, or empty, because a filter looks at 5,000 results at most for one
/// page. `X-Total-Count` says how many there are in all, where one filter or none is set.
#[utoipa::path(
    get,
    path = "/results/",
    tag = "results",
    operation_id = "list_results",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 1000", minimum = 1, maximum = 1000, example = 10),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
        ("agent" = Option<String>, Query, description = "Of this agent", example = "qa_bot"),
        ("status" = Option<String>, Query, description = "`completed`, `failed` or `cancelled`", example = "completed"),
        ("workflow_id" = Option<String>, Query, description = "Of this workflow"),
        ("since" = Option<String>, Query, description = "Written at this time or later, ISO 8601",
            example = "2026-11-22T00:00:00Z"),
        ("until" = Option<String>, Query, description = "Written at this time or before, ISO 8601"),
        ("q" = Option<String>, Query, description = "Words that all stand in task, output, error or agent, whatever \
            their case; at most 200 characters", example = "login bug"),
    ),
    responses((status = 200, description = "The results", body = Vec<JobResult>,
        headers(
            ("X-Total-Count" = u64, description = "How many results there are in all, where that is known"),
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
    let filter = filter::of(&req)?;
    let failed = Paging::failed(&cursor);
    let found = state.services.results.list(&filter, limit, cursor).await.map_err(failed)?;
    Ok(page(&req, limit, found))
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
    let filter = ResultFilter::of_agent(&name);
    let found = state.services.results.list(&filter, limit, cursor).await.map_err(failed)?;
    Ok(page(&req, limit, found))
}

/// The results of a workflow
///
/// A plain list, newest first; 404 while there is none.
#[utoipa::path(
    get,
    path = "/results/workflow/{workflow_id}",
    tag = "results",
    operation_id = "list_workflow_results",
    params(
        ("workflow_id" = String, Path, description = "The workflow's id",
            example = "76660f75-5a72-41a3-b5ca-ff78d91023ea"),
        ("limit" = Option<usize>, Query, description = "How many, 1 to 1000", minimum = 1, maximum = 1000, example = 500),
        ("cursor" = Option<String>, Query, description = "Where the page before ended"),
    ),
    responses((status = 200, description = "The results", body = Vec<JobResult>,
        headers(
            ("X-Total-Count" = u64, description = "How many results of the workflow there are in all"),
            ("X-Next-Cursor" = String, description = "The cursor of the next page, if there may be one"),
            ("Link" = String, description = "The address of the next page, if there may be one"),
        ),
        example = json!([{
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea",
        "agent": "debugger_bot", "status": "completed", "output": "The session cookie …", "execution_time": 0.5,
        "timestamp": "2026-11-22T10:18:26.072977+00:00", "attempts": 1, "simulated": false}])))
)]
pub async fn by_workflow(
    state: Data<HttpState>,
    req: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    known_form(&id, || format!("No results found for workflow '{id}'"))?;
    let Paging { limit, cursor } = Paging::of(&req, WORKFLOW_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let found = state.services.results.by_workflow(&id, limit, cursor).await.map_err(failed)?;
    Ok(page(&req, limit, found))
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

/// Keep a result
///
/// A pinned result does not expire. To pin it again changes nothing.
#[utoipa::path(
    post,
    path = "/results/{job_id}/pin",
    tag = "results",
    operation_id = "pin_result",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "The result as it is now", body = JobResult, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "agent": "general_assistant", "status": "completed",
        "output": "A fencing token is …", "execution_time": 0.5, "timestamp": "2026-11-22T10:18:26.072977+00:00",
        "attempts": 1, "simulated": false, "pinned": true})))
)]
pub async fn pin(state: Data<HttpState>, id: Path<String>, _: Body<Nothing>) -> Answer<JobResult> {
    known_form(&id, || format!("Result for job '{id}' not found"))?;
    Ok(Json(state.services.results.pin(&id, true).await?))
}

/// Let a result expire again
///
/// After the usual time (`RESULT_TTL`) from now.
#[utoipa::path(
    post,
    path = "/results/{job_id}/unpin",
    tag = "results",
    operation_id = "unpin_result",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "The result as it is now", body = JobResult, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "agent": "general_assistant", "status": "completed",
        "output": "A fencing token is …", "execution_time": 0.5, "timestamp": "2026-11-22T10:18:26.072977+00:00",
        "attempts": 1, "simulated": false, "expires_at": "2026-11-22T11:18:26.072977+00:00"})))
)]
pub async fn unpin(state: Data<HttpState>, id: Path<String>, _: Body<Nothing>) -> Answer<JobResult> {
    known_form(&id, || format!("Result for job '{id}' not found"))?;
    Ok(Json(state.services.results.pin(&id, false).await?))
}

/// The answer to a removed result.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct DeletedResult {
    #[schema(example = "deleted")]
    status: &'static str,
    job_id: String,
}

/// Remove a result
///
/// At once, pinned or not. Its job stays, and is not run again.
#[utoipa::path(
    delete,
    path = "/results/{job_id}",
    tag = "results",
    operation_id = "delete_result",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    responses((status = 200, description = "It is gone", body = DeletedResult,
        example = json!({"status": "deleted", "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11"})))
)]
pub async fn delete(state: Data<HttpState>, id: Path<String>) -> Answer<DeletedResult> {
    known_form(&id, || format!("Result for job '{id}' not found"))?;
    state.services.results.delete(&id).await?;
    Ok(Json(DeletedResult { status: "deleted", job_id: id.into_inner() }))
}

fn page(req: &HttpRequest, limit: usize, found: ResultPage) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some(total) = found.total {
        answer.insert_header((X_TOTAL_COUNT, total));
    }
    if let Some(next) = &found.next {
        let cursor = seal_cursor(next);
        let filters = filter::again(req);
        let and = if filters.is_empty() { "" } else { "&" };
        let path = req.uri().path();
        let link = format!("<{path}?{filters}{and}limit={limit}&cursor={cursor}>; rel=\"next\"");
        answer.insert_header((X_NEXT_CURSOR, cursor)).insert_header((header::LINK, link));
    }
    answer.json(found.items)
}
