//! Tasks: one job asked of one agent.

use actix_web::{HttpResponse, web::Data};

use super::answered;
use crate::{
    http::{
        HttpState,
        caller::Caller,
        error::Problem,
        extract::{Body, Idempotency, RequestBody},
        fields::{Field, PRIORITIES, Shape},
    },
    service::{
        schedule::{MAX_DELAY_SECONDS, MAX_TIMEOUT_SECONDS},
        tasks::{NewTask, TaskReceipt},
    },
};

impl RequestBody for NewTask {
    const FIELDS: &'static [Field] = &[
        Field::required("job", Shape::Text),
        Field::optional("agent_name", Shape::Text),
        Field::optional("priority", PRIORITIES),
        Field::optional("requires_qa", Shape::Flag),
        Field::optional("run_at", Shape::Text),
        Field::optional("delay_seconds", Shape::Seconds(MAX_DELAY_SECONDS)),
        Field::optional("timeout_seconds", Shape::Range(1, MAX_TIMEOUT_SECONDS as u64)),
    ];
}

/// Queue a task
///
/// Asks one job of one agent. When this answers, the job is durable; its result appears under
/// `/results/{job_id}` once it has run. With `run_at` or `delay_seconds` it waits for its time first.
#[utoipa::path(
    post,
    path = "/results/task",
    tag = "tasks",
    operation_id = "submit_task",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "1 to 255 visible ASCII characters of your choice. A request that is sent again with the \
            same key has no second effect and gets the same answer; another request with a used key gets 422")),
    request_body(content = NewTask, description = "The task", content_type = "application/json"),
    responses((status = 200, description = "Queued", body = TaskReceipt,
        headers(("Idempotency-Replayed" = bool, description = "true when an earlier request with this key made it")),
        example = json!({
        "status": "queued", "job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca",
        "agent": "general_assistant", "queue": "queue_high"})))
)]
pub async fn submit(
    state: Data<HttpState>,
    caller: Caller,
    key: Idempotency,
    body: Body<NewTask>,
) -> Result<HttpResponse, Problem> {
    Ok(answered(&state.services.tasks.submit_once(body.0, key.0.as_ref(), caller.name()).await?))
}
