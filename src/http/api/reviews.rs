//! Reviews: QA looks at the result of an earlier job.

use actix_web::{HttpResponse, web::Data};

use super::answered;
use crate::{
    http::{
        HttpState,
        caller::Caller,
        error::Problem,
        extract::{Body, Idempotency, RequestBody},
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
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "1 to 255 visible ASCII characters of your choice. A request that is sent again with the \
            same key has no second effect and gets the same answer; another request with a used key gets 422")),
    request_body(content = NewReview, description = "What to review", content_type = "application/json"),
    responses((status = 200, description = "Queued", body = ReviewReceipt,
        headers(("Idempotency-Replayed" = bool, description = "true when an earlier request with this key made it")),
        example = json!({
        "status": "admin_review_queued", "review_job_id": "0f1b10fb-8f5e-4c1c-a7dc-c65e2d64c1b7",
        "original_job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "reviewer": "qa_bot"})))
)]
pub async fn ask(
    state: Data<HttpState>,
    caller: Caller,
    key: Idempotency,
    body: Body<NewReview>,
) -> Result<HttpResponse, Problem> {
    Ok(answered(&state.services.reviews.ask_once(body.0, key.0.as_ref(), caller.name()).await?))
}
