//! Jobs: list, one with its whole story, cancel, retry, delete. Many at once are in [`bulk`].

pub mod bulk;

use actix_web::{
    HttpRequest,
    web::{Data, Json, Path},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        HttpState,
        error::{FieldError, Problem},
        extract::{Body, Paging, RequestBody, known_form, query_value, seal_cursor},
        fields::{Field, Shape},
    },
    model::{Job, PartialAnswer},
    service::jobs::{JobFilter, JobRow, JobStory, StateFilter},
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

fn unknown(id: &str) -> String {
    format!("Job '{id}' not found")
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
pub struct JobsPage {
    /// Newest first.
    jobs: Vec<JobRow>,
    /// How many are in this answer.
    count: usize,
    /// How many there are in all; null with several filters, where only a look at each could tell.
    total: Option<u64>,
    /// The `cursor` of the next page; null when this is the last one.
    next_cursor: Option<String>,
}

/// The newest jobs
///
/// Newest first, with any of the filters. `state=dead` is the dead set: jobs that failed for good and
/// payloads that are no jobs. A page can be short although more follow: `next_cursor` says so. What a
/// foreign program has put into a queue is listed once a worker has seen it.
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "jobs",
    operation_id = "list_jobs",
    params(
        ("state" = Option<String>, Query, description = "queued, running, scheduled, completed, failed, cancelled or dead",
            example = "dead"),
        ("agent" = Option<String>, Query, description = "Only jobs of this agent", example = "qa_bot"),
        ("workflow_id" = Option<String>, Query, description = "Only the steps of this workflow"),
        ("limit" = Option<usize>, Query, description = "How many, 1 to 500", minimum = 1, maximum = 500, example = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "The jobs", body = JobsPage, example = json!({
        "jobs": [{"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "state": "failed", "mode": "task",
            "agent": "general_assistant", "priority": "normal", "task": "Explain what a fencing token is",
            "workflow_id": null, "step": null, "round": null, "attempts": 4,
            "created_at": "2026-11-22T10:17:24.738861+00:00", "due_at": null,
            "ended_at": "2026-11-22T10:18:26.072904+00:00", "waits_for": null,
            "error": "the provider answers 503", "dead_reason": "exhausted"}],
        "count": 1, "total": 1, "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<JobsPage> {
    let paging = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let given = |name| query_value(&req, name).filter(|value| !value.is_empty());
    let wanted = given("state")
        .map(|word| StateFilter::parse(&word).ok_or_else(|| Problem::field(bad_state(word))))
        .transpose()?;
    let filter = JobFilter {
        state: wanted,
        agent: given("agent"),
        workflow_id: given("workflow_id"),
        older_than: None,
    };
    let failed = Paging::failed(&paging.cursor);
    let page = state.services.jobs.list(&filter, paging.limit, paging.cursor).await.map_err(failed)?;
    Ok(Json(JobsPage {
        count: page.rows.len(),
        jobs: page.rows,
        total: page.total,
        next_cursor: page.next.as_ref().map(seal_cursor),
    }))
}

fn bad_state(word: String) -> FieldError {
    let words = StateFilter::WORDS.map(|word| format!("'{word}'"));
    let msg = format!("Input should be {} or 'dead'", words[..words.len() - 1].join(", "));
    FieldError::new("literal_error", vec![json!("query"), json!("state")], msg).input(json!(word))
}

/// One job and its whole story
///
/// With every attempt, what it waits for, its payload, where its result is and what the dead set says of
/// it.
#[utoipa::path(
    get,
    path = "/jobs/{job_id}",
    tag = "jobs",
    operation_id = "get_job",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    responses((status = 200, description = "The job", body = JobStory, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "mode": "task", "state": "scheduled",
        "agent": "general_assistant", "priority": "normal", "task": "Explain what a fencing token is",
        "attempts": [{"number": 1, "worker": "host-4711-1b60f9b1", "token": 7,
            "started_at": "2026-11-22T10:18:25.571038+00:00", "ended_at": "2026-11-22T10:18:26.072904+00:00",
            "outcome": "failed", "class": "rate_limited", "error": "the provider answers 429"}],
        "created_at": "2026-11-22T10:18:24.738861+00:00", "due_at": "2026-11-22T10:18:29.310000+00:00",
        "ended_at": null, "error": "the provider answers 429",
        "waits_because": "Attempt 1 failed; the next one begins at 2026-11-22T10:18:29.310000+00:00.",
        "queue": "queue", "payload": {"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11",
            "job": "Explain what a fencing token is", "agent_name": "general_assistant"},
        "result": null, "dead": null})))
)]
pub async fn get(state: Data<HttpState>, id: Path<String>) -> Answer<JobStory> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.jobs.get(&id).await?))
}

/// Why a job is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "The brief has changed"}))]
pub struct Cancellation {
    /// Stands in the job, its result and its workflow; at most 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

impl RequestBody for Cancellation {
    const FIELDS: &'static [Field] = &[Field::optional("reason", Shape::Text)];
    const MAY_BE_EMPTY: bool = true;
}

/// Cancel a job
///
/// A job that waits is never begun; one that runs is stopped, and nothing its worker writes is taken any
/// more. Its one result is `cancelled`. With a step its workflow is cancelled. Cancelling a cancelled job
/// again changes nothing; one that has completed or failed is answered with 409.
#[utoipa::path(
    post,
    path = "/jobs/{job_id}/cancel",
    tag = "jobs",
    operation_id = "cancel_job",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    request_body(content = Cancellation, description = "The reason, if there is one to tell",
        content_type = "application/json"),
    responses((status = 200, description = "It is cancelled", body = Job, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "mode": "task", "state": "cancelled",
        "agent": "general_assistant", "priority": "normal", "task": "Explain what a fencing token is",
        "attempts": [], "created_at": "2026-11-22T10:18:24.738861+00:00", "due_at": null,
        "ended_at": "2026-11-22T10:18:26.072904+00:00", "error": "The brief has changed"})))
)]
pub async fn cancel(state: Data<HttpState>, id: Path<String>, body: Body<Cancellation>) -> Answer<Job> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.jobs.cancel(&id, body.0.reason.as_deref()).await?))
}

/// What a job's model says so far
///
/// The answer of the model call that runs now as far as it has come, a moment ago at the most. 404 when no
/// call runs, or nothing has come of it yet: the whole answer is in the job's result, or in the calls of its
/// workflow.
#[utoipa::path(
    get,
    path = "/jobs/{job_id}/partial",
    tag = "jobs",
    operation_id = "get_partial_answer",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    responses((status = 200, description = "So far", body = PartialAnswer, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "attempt": 1, "call": 1, "text": "A fencing token is",
        "chars": 18, "updated_at": "2026-11-22T10:18:26.072904+00:00"})))
)]
pub async fn partial(state: Data<HttpState>, id: Path<String>) -> Answer<PartialAnswer> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.jobs.partial(&id).await?))
}

/// What a retried job is to be run with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({}))]
pub struct RetryOrder {
    /// A job JSON in the place of a payload that could not be run; only for such jobs.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    payload: Option<Map<String, Value>>,
}

impl RequestBody for RetryOrder {
    const FIELDS: &'static [Field] = &[Field::optional("payload", Shape::Object)];
    const MAY_BE_EMPTY: bool = true;
}

/// Retry a failed job
///
/// It goes back into its queue with a fresh number of attempts; its failed result is removed, its history
/// stays. With a step, its workflow goes on: every failed step of it is queued again. A payload that is no
/// job is answered with 409 until another one is sent in its place.
#[utoipa::path(
    post,
    path = "/jobs/{job_id}/retry",
    tag = "jobs",
    operation_id = "retry_job",
    params(("job_id" = String, Path, description = "The job's id",
        example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")),
    request_body(content = RetryOrder, description = "A corrected payload, where one is needed",
        content_type = "application/json"),
    responses((status = 200, description = "It is queued", body = Job, example = json!({
        "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "mode": "task", "state": "queued",
        "agent": "general_assistant", "priority": "normal", "task": "Explain what a fencing token is",
        "attempts": [], "created_at": "2026-11-22T10:18:24.738861+00:00", "due_at": null, "ended_at": null,
        "error": null, "replays": [{"at": "2026-11-22T11:00:00.000000+00:00", "after_attempts": 4}]})))
)]
pub async fn retry(state: Data<HttpState>, id: Path<String>, body: Body<RetryOrder>) -> Answer<Job> {
    known_form(&id, || unknown(&id))?;
    Ok(Json(state.services.jobs.retry(&id, body.0.payload).await?))
}

/// The answer to a deletion.
#[derive(Serialize, ToSchema)]
pub struct DeletedJob {
    #[schema(example = "deleted")]
    status: &'static str,
    job_id: String,
}

/// Delete a job that has ended
///
/// Its document, its entry in the dead set and its model calls; with `result=true` its result, too. A job
/// that has not ended, or a step of a workflow that runs, is answered with 409.
#[utoipa::path(
    delete,
    path = "/jobs/{job_id}",
    tag = "jobs",
    operation_id = "delete_job",
    params(
        ("job_id" = String, Path, description = "The job's id", example = "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11"),
        ("result" = Option<bool>, Query, description = "Whether its result is deleted, too", example = false),
    ),
    responses((status = 200, description = "It is gone", body = DeletedJob,
        example = json!({"status": "deleted", "job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11"})))
)]
pub async fn delete(state: Data<HttpState>, req: HttpRequest, id: Path<String>) -> Answer<DeletedJob> {
    known_form(&id, || unknown(&id))?;
    let with_result = match query_value(&req, "result").as_deref() {
        None | Some("" | "false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => {
            let loc = vec![json!("query"), json!("result")];
            let error = FieldError::new("bool_parsing", loc, "Input should be true or false");
            return Err(Problem::field(error.input(json!(other))));
        }
    };
    state.services.jobs.delete(&id, with_result).await?;
    Ok(Json(DeletedJob { status: "deleted", job_id: id.into_inner() }))
}
