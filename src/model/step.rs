//! Steps of a workflow: one job each, in one round, and what became of it.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    TemplateRole, Timestamp, Usage, Usd, Verdict, iso, iso_option,
    one_or_many::{self, OneOrMany},
};

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

pub(super) fn is_zero(number: &u32) -> bool {
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

/// Steps as stored. A legacy step has no role of its own: its name tells it.
pub(super) fn stored<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Step>, D::Error> {
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
