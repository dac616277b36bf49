//! Workers: the processes that are alive, and what each runs now.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::{http::HttpState, service::workers::WorkerAtWork};

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
