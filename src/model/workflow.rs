//! Workflows: a graph of steps, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Budget, Callback, Priority, TemplateRole, Timestamp, Usage, Usd, Verdict, iso, iso_option,
    one_or_many::{self, OneOrMany},
};

/// Revision rounds when the client names no number.
pub const DEFAULT_MAX_REVISIONS: u32 = 2;
/// The most revision rounds a client may ask for.
pub const MAX_REVISIONS: u32 = 10;
/// The most specialists that may work side by side.
pub const MAX_SPECIALISTS: usize = 8;

/// The name of a step: `admin_analysis`, `specialist_execution`, `qa_validation`, `admin_feedback`.
pub type StepName = String;

/// Where a step is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Its inputs are not there yet.
    Waiting,
    /// Its job is in a queue, or waits for its next attempt.
    Queued,
    /// A worker runs it.
    Processing,
    Completed,
    Failed,
    /// It will not run: it was not needed, or the workflow ended before it.
    Skipped,
    /// Somebody cancelled it.
    Cancelled,
}

impl StepStatus {
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One step, in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    #[schema(value_type = String)]
    pub step: StepName,
    pub agent: String,
    /// The job that runs it, and nothing else ever.
    pub job_id: String,
    pub status: StepStatus,
    /// The job ids of the steps whose outputs it needs. One is written as a plain string, as the
    /// legacy system did, several as a list.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<OneOrMany>)]
    pub depends_on: Vec<String>,
    /// The first 300 characters of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Seconds from the start of the last attempt to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_score: Option<f64>,
    // --- beyond legacy ---
    #[serde(default = "first_round")]
    pub round: u32,
    pub role: TemplateRole,
    /// Why it waits, failed or was skipped, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What its model calls cost, as far as prices are known; null when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    /// How many of its model calls have no known price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_calls: u32,
    /// How many model calls it took; the last one has the output.
    #[serde(default = "one_call", skip_serializing_if = "is_one")]
    pub calls: u32,
    /// True when the output ends early, because the answer reached its limit of tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    #[serde(default)]
    pub attempts: u32,
    /// The workflow that the step was taken over from, with its job; null for a step of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_workflow: Option<String>,
    /// True when a person wrote its output.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// What a person decided, at a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// SHA-256 of the output, so that "nothing changed" can be told without the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_digest: Option<String>,
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub queued_at: Option<Timestamp>,
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
}

fn first_round() -> u32 {
    1
}

fn one_call() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A person's word at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    pub outcome: DecisionOutcome,
    /// Why, in the person's words; the agents that go on see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionOutcome {
    /// The workflow goes on.
    Approved,
    /// The specialists work on it once more.
    SentBack,
    /// The workflow ends here.
    Rejected,
}

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
    #[serde(deserialize_with = "steps::deserialize")]
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
    #[serde(default, skip_serializing_if = "is_zero")]
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

/// Steps as stored. A legacy step has no role of its own: its name tells it.
mod steps {
    use serde::{Deserialize, Deserializer, de::Error};
    use serde_json::{Map, Value};

    use super::Step;

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Step>, D::Error> {
        let stored = Vec::<Map<String, Value>>::deserialize(d)?;
        stored
            .into_iter()
            .map(|mut step| {
                if !step.contains_key("role") {
                    let role = match step.get("step").and_then(Value::as_str) {
                        Some("admin_analysis") => "admin",
                        Some("qa_validation") => "qa",
                        Some("admin_feedback") => "feedback",
                        _ => "specialist",
                    };
                    step.insert("role".to_owned(), role.into());
                }
                serde_json::from_value(Value::Object(step)).map_err(D::Error::custom)
            })
            .collect()
    }
}
