//! Workers: the processes that are alive, and what each runs now.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, queues::Nothing};
use crate::{
    http::{
        HttpState,
        extract::{Body, known_form},
    },
    service::workers::WorkerAtWork,
};

/// The worker processes that are alive.
#[derive(Serialize, ToSchema)]
pub struct Workers {
    workers: Vec<WorkerAtWork>,
    count: usize,
}

/// The workers
///
/// Every worker process that was heard of in the last minute, with the jobs it runs now and its free slots.
#[utoipa::path(
    get,
    path = "/workers",
    tag = "workers",
    operation_id = "list_workers",
    responses((status = 200, description = "The workers", body = Workers, example = json!({
        "workers": [{"worker_id": "host-4711-1b60f9b1", "host": "host", "pid": 4711, "version": "3.0.0",
            "slots": 4, "running": ["cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11"], "draining": false,
            "started_at": "2026-11-22T10:10:00.000000+00:00", "seen_at": "2026-11-22T10:18:25.000000+00:00",
            "jobs": [{"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "agent": "qa_bot",
                "since": "2026-11-22T10:18:20.000000+00:00", "attempt": 1}], "free_slots": 3}],
        "count": 1})))
)]
pub async fn list(state: Data<HttpState>) -> Answer<Workers> {
    let workers = state.services.workers.list().await?;
    Ok(Json(Workers { count: workers.len(), workers }))
}

/// Drain a worker
///
/// It finishes what it runs and takes nothing new. Its process goes on: one that serves HTTP goes on with
/// that. There is no way back; a process that is started anew takes work again. 409 when it drains already.
#[utoipa::path(
    post,
    path = "/workers/{worker_id}/drain",
    tag = "workers",
    operation_id = "drain_worker",
    params(("worker_id" = String, Path, description = "The worker's id", example = "host-4711-1b60f9b1")),
    request_body(content = Nothing, description = "Nothing", content_type = "application/json"),
    responses((status = 200, description = "It drains", body = WorkerAtWork, example = json!({
        "worker_id": "host-4711-1b60f9b1", "host": "host", "pid": 4711, "version": "3.0.0", "slots": 4,
        "running": ["cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11"], "draining": true,
        "started_at": "2026-11-22T10:10:00.000000+00:00", "asked_at": "2026-11-22T10:18:24.000000+00:00",
        "seen_at": "2026-11-22T10:18:25.000000+00:00",
        "jobs": [{"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "agent": "qa_bot",
            "since": "2026-11-22T10:18:20.000000+00:00", "attempt": 1}], "free_slots": 0})))
)]
pub async fn drain(state: Data<HttpState>, id: Path<String>, _body: Body<Nothing>) -> Answer<WorkerAtWork> {
    known_form(&id, || format!("Worker '{id}' not found"))?;
    Ok(Json(state.services.workers.drain(&id).await?))
}
