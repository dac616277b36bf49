//! Results: the one terminal document of a job.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, Usage, Usd, Verdict, id::lenient_id, iso, iso_option};

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultStatus {
    Completed,
    /// Legacy documents say `error`.
    #[serde(alias = "error")]
    Failed,
    Cancelled,
}

impl ResultStatus {
    pub const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    /// As in documents and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The result of a job. Legacy fields first, as legacy clients know them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobResult {
    #[serde(deserialize_with = "lenient_id")]
    pub job_id: String,
    #[serde(default)]
    pub workflow_id: Option<String>,
    #[serde(default)]
    pub parent_job_id: Option<String>,
    pub agent: String,
    #[serde(default)]
    pub role: Option<String>,
    /// The agent whose review the work passed through, if one looked at it.
    #[serde(default)]
    pub reviewed_by: Option<String>,
    pub status: ResultStatus,
    /// The answer; for a failed job the reason.
    pub output: String,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// Seconds from the start of the last attempt to its end.
    #[serde(default)]
    pub execution_time: f64,
    /// QA's score of this work, or null when nobody has judged it.
    #[serde(default)]
    pub confidence_score: Option<f64>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What was asked for.
    #[serde(default)]
    pub task: Option<String>,
    // --- beyond legacy ---
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// 1 for the first draft, 2 for its first revision, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default)]
    pub attempts: u32,
    /// True when the text was made by the built-in simulation and by no model.
    #[serde(default)]
    pub simulated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What its model calls cost, as far as prices are known; null when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    /// True when the output ends early, because the answer reached its limit of tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Kept until it is unpinned or deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// When this document will be removed; never where it is pinned.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}
