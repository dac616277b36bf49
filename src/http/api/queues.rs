//! Queues: how much waits and since when; pause and resume.

use actix_web::web::{Data, Json, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{
        HttpState,
        extract::{Body, RequestBody},
        fields::Field,
    },
    service::queues::{QueueInfo, QueuesOverview},
};

/// Nothing is needed: an empty body, or an empty object.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({}))]
pub struct Nothing {}

impl RequestBody for Nothing {
    const FIELDS: &'static [Field] = &[];
    const MAY_BE_EMPTY: bool = true;
}

/// The queues
///
/// How much is ready in each and since when the next job has been waiting, whether it is paused, and how
/// many jobs wait for their time, for a limit, or are held by workers.
#[utoipa::path(
    get,
    path = "/queues",
    tag = "queues",
    operation_id = "list_queues",
    responses((status = 200, description = "The queues", body = QueuesOverview, example = json!({
        "queues": [
            {"name": "high", "list": "queue_high", "depth": 0, "paused": false, "oldest_job_id": null,
                "oldest_age_seconds": null},
            {"name": "normal", "list": "queue", "depth": 12, "paused": false,
                "oldest_job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "oldest_age_seconds": 4.2},
            {"name": "low", "list": "queue_low", "depth": 3, "paused": true,
                "oldest_job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca", "oldest_age_seconds": 311.0}],
        "ready": 15, "due": 2, "parked": 0, "leased": 4})))
)]
pub async fn list(state: Data<HttpState>) -> Answer<QueuesOverview> {
    Ok(Json(state.services.queues.list().await?))
}

/// Pause a queue
///
/// Nothing more is taken from it; what waits stays, and more can be added. What runs goes on.
#[utoipa::path(
    post,
    path = "/queues/{name}/pause",
    tag = "queues",
    operation_id = "pause_queue",
    params(("name" = String, Path, description = "`high`, `normal` or `low`, or the name of its list",
        example = "low")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It is paused", body = QueueInfo, example = json!({
        "name": "low", "list": "queue_low", "depth": 3, "paused": true,
        "oldest_job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca", "oldest_age_seconds": 311.0})))
)]
pub async fn pause(state: Data<HttpState>, name: Path<String>, _body: Body<Nothing>) -> Answer<QueueInfo> {
    Ok(Json(state.services.queues.pause(&name, true).await?))
}

/// Let a paused queue go on
///
/// A queue that is not paused stays as it is.
#[utoipa::path(
    post,
    path = "/queues/{name}/resume",
    tag = "queues",
    operation_id = "resume_queue",
    params(("name" = String, Path, description = "`high`, `normal` or `low`, or the name of its list",
        example = "low")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It goes on", body = QueueInfo, example = json!({
        "name": "low", "list": "queue_low", "depth": 3, "paused": false,
        "oldest_job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca", "oldest_age_seconds": 311.0})))
)]
pub async fn resume(state: Data<HttpState>, name: Path<String>, _body: Body<Nothing>) -> Answer<QueueInfo> {
    Ok(Json(state.services.queues.pause(&name, false).await?))
}
