//! What people do to a workflow: pause, resume, cancel, retry, approve, reject, fork, delete.

use actix_web::web::{Data, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OneWorkflow, unknown};
use crate::{
    http::{
        HttpState,
        api::{Answer, queues::Nothing},
        caller::Caller,
        extract::{Body, RequestBody, known_form},
        fields::{Field, Shape},
    },
    model::DecisionOutcome,
};

/// Why it is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"reason": "The brief has changed"}))]
pub struct Reason {
    /// At most 1,000 characters; stands in the workflow and its history.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

impl RequestBody for Reason {
    const FIELDS: &'static [Field] = &[Field::optional("reason", Shape::Text)];
    const MAY_BE_EMPTY: bool = true;
}

/// A person's word for the work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"comment": "Good. Mention the new price in the closing report."}))]
pub struct Approval {
    /// At most 10,000 characters; the agents that go on see it.
    #[serde(default)]
    #[schema(max_length = 10000)]
    comment: Option<String>,
}

impl RequestBody for Approval {
    const FIELDS: &'static [Field] = &[Field::optional("comment", Shape::Text)];
    const MAY_BE_EMPTY: bool = true;
}

/// A person's word against the work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({"comment": "Too long: one page is enough.", "send_back": true}))]
pub struct Rejection {
    /// At most 10,000 characters. With `send_back` it has to be there: the specialists work by it.
    #[serde(default)]
    #[schema(max_length = 10000)]
    comment: Option<String>,
    /// True: the specialists work on it once more, QA reviews it, and the workflow waits for approval again. False:
    /// the workflow ends as failed.
    #[serde(default)]
    send_back: bool,
}

impl RequestBody for Rejection {
    const FIELDS: &'static [Field] =
        &[Field::optional("comment", Shape::Text), Field::defaulted("send_back", Shape::Flag)];
    const MAY_BE_EMPTY: bool = true;
}

/// From which step a new workflow goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"from": "specialist_execution", "output": "# My own draft\n\nAll of it."}))]
pub struct ForkRequest {
    /// A step: its job's id, its name (`qa_validation`: the last one of that name), or name and round
    /// (`qa_validation:1`).
    #[schema(min_length = 1, max_length = 200)]
    from: String,
    /// What the step says instead, at most 400,000 characters; left out, the step runs again.
    #[serde(default)]
    #[schema(max_length = 400000)]
    output: Option<String>,
}

impl RequestBody for ForkRequest {
    const FIELDS: &'static [Field] =
        &[Field::required("from", Shape::Text), Field::optional("output", Shape::Text)];
}

/// Pause a workflow
///
/// What runs goes on to the end of its step; nothing new begins until it is resumed. Pausing twice is as good as
/// once. A workflow that is paused for another reason, or has ended, is answered with 409.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/pause",
    tag = "workflows",
    operation_id = "pause_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Reason, description = "Why", content_type = "application/json"),
    responses((status = 200, description = "It is paused", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "paused", "qa_enabled": true, "created_at": "2026-11-22T10:18:25.571038+00:00",
            "pause": {"reason": "requested", "detail": "Somebody paused it: lunch",
                "since": "2026-11-22T10:18:26.571038+00:00"}}})))
)]
pub async fn pause(state: Data<HttpState>, id: Path<String>, body: Body<Reason>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    let workflow = state.services.workflows.pause(&id, body.0.reason.as_deref()).await?;
    Ok(Json(OneWorkflow { workflow }))
}

/// Resume a workflow
///
/// A workflow that somebody paused goes on at once. One that waits for a budget goes on if there is room in it; one that
/// waits for approval is answered with 409.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/resume",
    tag = "workflows",
    operation_id = "resume_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It goes on", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "running", "qa_enabled": true,
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn resume(state: Data<HttpState>, id: Path<String>, _: Body<Nothing>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    Ok(Json(OneWorkflow { workflow: state.services.workflows.resume(&id).await? }))
}

/// Cancel a workflow
///
/// All its open steps end at once, also those that run: what their workers write is not taken any more. Cancelling
/// twice is as good as once; a workflow that has completed or failed is answered with 409.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/cancel",
    tag = "workflows",
    operation_id = "cancel_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Reason, description = "Why", content_type = "application/json"),
    responses((status = 200, description = "It is cancelled", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "cancelled", "qa_enabled": true, "error": "The workflow was cancelled: wrong brief",
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn cancel(state: Data<HttpState>, id: Path<String>, body: Body<Reason>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    let workflow = state.services.workflows.cancel(&id, body.0.reason.as_deref()).await?;
    Ok(Json(OneWorkflow { workflow }))
}

/// Retry a failed workflow
///
/// All steps that failed are queued again with fresh attempts, and what was skipped for them waits for its turn. A
/// workflow that a person rejected waits for approval again.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/retry",
    tag = "workflows",
    operation_id = "retry_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It goes on", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "running", "qa_enabled": true,
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn retry(state: Data<HttpState>, id: Path<String>, _: Body<Nothing>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    Ok(Json(OneWorkflow { workflow: state.services.workflows.retry(&id).await? }))
}

/// Approve the work
///
/// For a workflow that waits for a person's word (`approval: true` in the brief): it goes on to the closing report, which
/// knows the comment. Any other one is answered with 409.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/approve",
    tag = "workflows",
    operation_id = "approve_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Approval, description = "What the person says", content_type = "application/json"),
    responses((status = 200, description = "It goes on", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "running", "qa_enabled": true, "approval": true,
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn approve(state: Data<HttpState>, id: Path<String>, body: Body<Approval>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    let comment = body.0.comment.as_deref();
    let workflow = state.services.workflows.decide(&id, DecisionOutcome::Approved, comment).await?;
    Ok(Json(OneWorkflow { workflow }))
}

/// Reject the work, or send it back
///
/// For a workflow that waits for a person's word. With `send_back` the specialists work on it once more by the comment, and
/// the workflow waits for approval again, at most 20 rounds in all; without it the workflow ends as failed.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/reject",
    tag = "workflows",
    operation_id = "reject_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Rejection, description = "What the person says", content_type = "application/json"),
    responses((status = 200, description = "It is rejected, or goes on", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "failed", "qa_enabled": true, "approval": true,
            "error": "A person rejected the work: Not what we need",
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn reject(state: Data<HttpState>, id: Path<String>, body: Body<Rejection>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    let outcome = match body.0.send_back {
        true => DecisionOutcome::SentBack,
        false => DecisionOutcome::Rejected,
    };
    let workflow = state.services.workflows.decide(&id, outcome, body.0.comment.as_deref()).await?;
    Ok(Json(OneWorkflow { workflow }))
}

/// Go on from a step in a new workflow
///
/// The step runs again, or says what `output` says; what depends on it runs again in either case, and what does not is
/// taken over with its jobs, outputs and results. The workflow that it is forked from stays as it is, whatever its
/// state. A step that has never run is answered with 422.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/fork",
    tag = "workflows",
    operation_id = "fork_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = ForkRequest, description = "Where it goes on", content_type = "application/json"),
    responses((status = 200, description = "The new workflow", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "0d6d2c1e-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "running", "qa_enabled": true, "created_at": "2026-11-22T10:18:25.571038+00:00",
            "forked_from": {"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea",
                "job_id": "cf049ed7-0a0c-5a0e-9d0e-0b1c7a3b7b1a", "step": "specialist_execution", "edited": true}}})))
)]
pub async fn fork(
    state: Data<HttpState>,
    caller: Caller,
    id: Path<String>,
    body: Body<ForkRequest>,
) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    let ForkRequest { from, output } = body.0;
    let workflow = state.services.workflows.fork(&id, &from, output.as_deref(), caller.name()).await?;
    Ok(Json(OneWorkflow { workflow }))
}

/// What was deleted.
#[derive(Serialize, ToSchema)]
pub struct DeletedWorkflow {
    #[schema(example = "deleted")]
    status: &'static str,
    workflow_id: String,
}

/// Delete a workflow that has ended
///
/// With its jobs, their model calls and their results. One that has not ended, or whose outputs a fork needs that has not
/// ended, is answered with 409.
#[utoipa::path(
    delete,
    path = "/workflows/{workflow_id}",
    tag = "workflows",
    operation_id = "delete_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    responses((status = 200, description = "It is gone", body = DeletedWorkflow,
        example = json!({"status": "deleted", "workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea"})))
)]
pub async fn delete(state: Data<HttpState>, id: Path<String>) -> Answer<DeletedWorkflow> {
    known_form(&id, unknown)?;
    state.services.workflows.delete(&id).await?;
    Ok(Json(DeletedWorkflow { status: "deleted", workflow_id: id.into_inner() }))
}
