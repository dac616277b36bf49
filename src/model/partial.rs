//! Partial answers: what a model has said so far in a call that goes on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso};

/// The answer of a running model call as far as it has come. It is replaced while tokens arrive and gone
/// when the call ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartialAnswer {
    pub job_id: String,
    /// The attempt that asks; the first is 1.
    pub attempt: u32,
    /// Which call of its job it is; the first is 1.
    pub call: u32,
    /// The text so far; of a very long one the end.
    pub text: String,
    /// How many characters have come so far.
    pub chars: u64,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
