//! The JSON API, one file per noun, named like the services they call.

pub mod agents;
pub mod results;
pub mod reviews;
pub mod root;
pub mod system;
pub mod tasks;
pub mod workflows;

use actix_web::{http::header::HeaderName, web::Json};

use super::error::Problem;

/// Where the next page of a plain list begins.
pub const X_NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");
/// How many there are in all, for a plain list.
pub const X_TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

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
