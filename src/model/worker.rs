//! Worker processes, as they describe themselves.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso, iso_option};

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
    /// True from the stop signal, or from the request to drain on: it finishes what it has and takes nothing
    /// new.
    pub draining: bool,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it last asked for work and got an answer, be it "nothing".
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub asked_at: Option<Timestamp>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}

/// A worker with a free slot asks at least every few seconds.
const LONGEST_SILENCE: TimeDelta = TimeDelta::seconds(20);

impl WorkerInfo {
    /// Whether it lives and could work, but has stopped asking for work.
    pub fn is_idle_alive(&self) -> bool {
        let silent = self.asked_at.is_some_and(|asked_at| self.seen_at - asked_at > LONGEST_SILENCE);
        silent && !self.draining && self.running.len() < self.slots
    }
}
