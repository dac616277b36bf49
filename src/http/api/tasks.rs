//! Tasks: one job asked of one agent.

use actix_web::web::{Data, Json};

use super::Answer;
use crate::{
    http::{
        HttpState,
        extract::{Body, RequestBody},
        fields::{Field, PRIORITIES, Shape},
    },
    service::tasks::{NewTask, TaskReceipt},
};

impl RequestBody for NewTask {
    const FIELDS: &'static [Field] = &[
        Field::required("job", Shape::Text),
        Field::optional("agent_name", Shape::Text),
        Field::optional("priority", PRIORITIES),
        Field::optional("requires_qa", Shape::Flag),
    ];
}

/// Queue a task
///
/// Asks one job of one agent. When this answers, the job is durable; its result appears under
/// `/results/{job_id}` once it has run.
#[utoipa::path(
    post,
    path = "/results/task",
    tag = "tasks",
    operation_id = "submit_task",
    request_body(content = NewTask, description = "The task", content_type = "application/json"),
    responses((status = 200, description = "Queued", body = TaskReceipt, example = json!({
        "status": "queued", "job_id": "74ae6836-ded1-4d2d-ba1e-0d465d7bcfca",
        "agent": "general_assistant", "queue": "queue_high"})))
)]
pub async fn submit(state: Data<HttpState>, body: Body<NewTask>) -> Answer<TaskReceipt> {
    Ok(Json(state.services.tasks.submit(body.0).await?))
}
