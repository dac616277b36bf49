//! Many workflows at once: `POST /workflows/bulk`.

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{
        HttpState,
        api::Answer,
        caller::Caller,
        extract::{Body, RequestBody},
        fields::{Field, Shape},
    },
    model::Scope,
    service::{jobs::Skipped, workflows::WorkflowAction},
};

/// What is to be done with which workflows.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"action": "cancel", "ids": ["76660f75-5a72-41a3-b5ca-ff78d91023ea"], "reason": "Wrong brief"}))]
pub struct WorkflowBulk {
    action: WorkflowAction,
    /// At most 100.
    #[schema(max_items = 100)]
    ids: Vec<String>,
    /// The reason of a pause or a cancellation.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

impl RequestBody for WorkflowBulk {
    const FIELDS: &'static [Field] = &[
        Field::required("action", Shape::OneOf(&["pause", "resume", "cancel", "retry", "delete"])),
        Field::required("ids", Shape::Texts),
        Field::optional("reason", Shape::Text),
    ];
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub struct WorkflowBulkAnswer {
    /// To how many it was done.
    done: usize,
    /// To which it could not be done, and why.
    skipped: Vec<Skipped>,
}

/// Pause, resume, cancel, retry or delete many workflows
///
/// What cannot be done to one workflow does not hinder the others. To delete takes a key of scope `admin`.
#[utoipa::path(
    post,
    path = "/workflows/bulk",
    tag = "workflows",
    operation_id = "bulk_workflows",
    request_body(content = WorkflowBulk, description = "What is to be done with which workflows",
        content_type = "application/json"),
    responses((status = 200, description = "What was done", body = WorkflowBulkAnswer, example = json!({
        "done": 1, "skipped": [{"id": "0d6d2c1e-5a72-41a3-b5ca-ff78d91023ea", "why": "Workflow not found"}]})))
)]
pub async fn bulk(
    state: Data<HttpState>,
    caller: Caller,
    body: Body<WorkflowBulk>,
) -> Answer<WorkflowBulkAnswer> {
    let WorkflowBulk { action, ids, reason } = body.0;
    if action == WorkflowAction::Delete {
        caller.require(Scope::Admin)?;
    }
    let report = state.services.workflows.bulk(action, &ids, reason.as_deref()).await?;
    Ok(Json(WorkflowBulkAnswer { done: report.done, skipped: report.skipped }))
}
