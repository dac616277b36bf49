//! Workflows: a graph of steps, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, Callback, Priority, Step, Timestamp, Usage, Usd, iso, iso_option, step};

/// Revision rounds when the client names no number.
pub const DEFAULT_MAX_REVISIONS: u32 = 2;
/// The most revision rounds a client may ask for.
pub const MAX_REVISIONS: u32 = 10;
/// The most specialists that may work side by side.
pub const MAX_SPECIALISTS: usize = 8;

/// How much a deletion that has begun takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletion {
    Whole,
    /// Results that somebody has pinned stay.
    ButPinned,
}

/// What a workflow goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fork {
    pub workflow_id: String,
    /// The step: its job there.
    pub job_id: String,
    #[schema(example = "specialist_execution")]
    pub step: String,
    /// True when the step's output was replaced; false when the step runs again.
    pub edited: bool,
}

/// Where a workflow is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowStatus {
    Running,
    /// It waits for somebody: its `pause` says for what.
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl WorkflowStatus {
    pub const ALL: [WorkflowStatus; 5] =
        [Self::Running, Self::Paused, Self::Completed, Self::Failed, Self::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How the review of the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewOutcome {
    /// QA approved.
    Approved,
    /// QA rejected the work outright.
    Rejected,
    /// QA still wanted changes when the rounds were used up.
    RoundsUsedUp,
    /// A revision changed nothing, so further rounds were pointless.
    NoProgress,
    /// QA's answer held no verdict; nobody claims approval.
    Unstructured,
}

/// What a paused workflow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A budget is used up: it waits for it to be raised.
    BudgetExceeded,
    /// Somebody paused it: it waits for somebody to resume it.
    Requested,
    /// The work is at a gate: it waits for a person's word.
    Approval,
    /// What a later version writes.
    #[serde(other)]
    Unknown,
}

/// Why a workflow is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pause {
    pub reason: PauseReason,
    /// For a person: what it waits for, and what to do.
    pub detail: String,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// A workflow. Legacy fields first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Workflow {
    pub workflow_id: String,
    /// The brief.
    pub original_task: String,
    #[serde(deserialize_with = "step::stored")]
    pub steps: Vec<Step>,
    pub status: WorkflowStatus,
    pub qa_enabled: bool,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    // --- beyond legacy ---
    #[serde(default = "default_template")]
    pub template: String,
    #[serde(default)]
    pub priority: Priority,
    #[serde(default = "default_max_revisions")]
    pub max_revisions: u32,
    /// How the review ended; null without QA or before its end.
    #[serde(default)]
    pub review: Option<ReviewOutcome>,
    /// Why the workflow failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True when any of its texts was made by the built-in simulation.
    #[serde(default)]
    pub simulated: bool,
    /// Tokens of all steps so far.
    #[serde(default)]
    pub usage: Usage,
    /// What its model calls cost so far, as far as prices are known; null when none is.
    #[serde(default)]
    pub cost_usd: Option<Usd>,
    /// How many of its model calls have no known price.
    #[serde(default, skip_serializing_if = "step::is_zero")]
    pub unpriced_calls: u32,
    /// The most it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Why it is paused; null when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Whether a person has to approve the work before the closing report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// What it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Fork>,
    /// The workflows that were forked from it and use its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<String>,
    /// Its deletion has begun: what belonged to it may be gone, and nothing goes on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub deleting: Option<Deletion>,
    /// The upload whose files its agents may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Which API key asked for it; null when none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// The job whose output is the final report, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_job_id: Option<String>,
    /// The time before which it was asked not to begin; null: at once.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<Timestamp>,
    /// How many seconds one attempt at a step may take; null: the template's word, or `JOB_TIMEOUT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_timeout_seconds: Option<u32>,
    /// Where it reports to, and how its last report fared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// A digest of the request that made it, where that carried an `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// The id of the request that asked for it: its `X-Request-ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The place in a trace that its jobs go on from, as in the header of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    pub traceparent: Option<String>,
    /// Whatever the client attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

fn default_template() -> String {
    "review-chain".to_owned()
}

fn default_max_revisions() -> u32 {
    DEFAULT_MAX_REVISIONS
}

impl Workflow {
    /// The step that a job runs.
    pub fn step(&self, job_id: &str) -> Option<&Step> {
        self.steps.iter().find(|s| s.job_id == job_id)
    }

    pub fn step_mut(&mut self, job_id: &str) -> Option<&mut Step> {
        self.steps.iter_mut().find(|s| s.job_id == job_id)
    }

    /// Whether it is paused for this.
    pub fn waits_for(&self, reason: PauseReason) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.reason == reason)
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        !matches!(self.status, WorkflowStatus::Running | WorkflowStatus::Paused)
    }
}
