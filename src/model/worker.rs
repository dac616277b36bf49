//! Worker processes, as they describe themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso};

/// What one worker process says of itself; it lapses when the process stops saying it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerInfo {
    /// Unique per process start.
    pub worker_id: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub slots: usize,
    /// The jobs it runs now.
    pub running: Vec<String>,
    /// True from the stop signal on: it finishes what it has and takes nothing new.
    pub draining: bool,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}
