//! Dead jobs: what could not be run, kept with its raw bytes for a person to look at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Job, Timestamp, iso};

/// Why a job is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// The payload is not a job.
    Unreadable,
    /// It brought down its worker too often.
    Poison,
    /// Its last attempt failed.
    Exhausted,
    /// It failed in a way that another attempt cannot mend.
    Permanent,
}

/// One entry of the dead set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadJob {
    /// The job's id; for an unreadable payload one derived from its bytes.
    pub job_id: String,
    pub reason: DeadReason,
    pub error: String,
    /// The list it came from: `queue_high`, `queue` or `queue_low`.
    pub queue: String,
    /// The payload as it was, where it is text.
    pub payload_text: Option<String>,
    /// The payload in base64, where it is not text.
    pub payload_base64: Option<String>,
    /// The job as it died, with its attempts; nothing for a payload that is no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<Job>>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub died_at: Timestamp,
}
