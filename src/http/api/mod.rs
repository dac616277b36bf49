//! The JSON API, one file per noun, named like the services they call.

pub mod agents;
pub mod analytics;
pub mod audit;
pub mod backups;
pub mod events;
pub mod exports;
pub mod jobs;
pub mod keys;
pub mod metrics;
pub mod providers;
pub mod queues;
pub mod reports;
pub mod results;
pub mod reviews;
pub mod root;
pub mod system;
pub mod tasks;
pub mod uploads;
pub mod usage;
pub mod workers;
pub mod workflows;

use actix_web::{HttpResponse, http::header::HeaderName, web::Json};

use super::error::Problem;
use crate::service::idempotency::Answered;

/// Where the next page of a plain list begins.
pub const X_NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
/// How many there are in all, for a plain list.
pub const X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Said with an answer that an earlier request with the same `Idempotency-Key` was given.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a request that may carry an `Idempotency-Key`.
fn answered<T: serde::Serialize>(answered: &Answered<T>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if answered.replayed {
        response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    response.json(&answered.answer)
}

/// What most handlers answer.
type Answer<T> = Result<Json<T>, Problem>;

/// The answer of a module's ping.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub struct Pong {
    #[schema(example = "ok")]
    pub status: &'static str,
    /// The part of the API that answers.
    pub module: &'static str,
}
