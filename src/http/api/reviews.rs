//! Reviews: QA looks at the result of an earlier job.

use actix_web::web::{Data, Json};

use super::Answer;
use crate::{
    http::{
        HttpState,
        extract::{Body, RequestBody},
        fields::{Field, Shape},
    },
    service::reviews::{NewReview, ReviewReceipt},
};

impl RequestBody for NewReview {
    const FIELDS: &'static [Field] =
        &[Field::required("job_id", Shape::Text), Field::defaulted("review_prompt", Shape::Text)];
}

/// Ask for a review
///
/// Queues a review of an earlier job's result by the QA agent. The result may be gone already; the
/// reviewer then says so.
#[utoipa::path(
    post,
    path = "/admin_review",
    tag = "reviews",
    operation_id = "ask_review",
    request_body(content = NewReview, description = "What to review", content_type = "application/json"),
    responses((status = 200, description = "Queued", body = ReviewReceipt, example = json!({
        "status": "admin_review_queued", "review_job_id": "0f1b10fb-8f5e-4c1c-a7dc-c65e2d64c1b7",
        "original_job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "reviewer": "qa_bot"})))
)]
pub async fn ask(state: Data<HttpState>, body: Body<NewReview>) -> Answer<ReviewReceipt> {
    Ok(Json(state.services.reviews.ask(body.0).await?))
}
