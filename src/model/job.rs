//! Jobs: one queued unit of execution, its payload in the queue, its attempts and its replays.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FailureClass, Timestamp, iso, iso_option};

/// How urgent a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

/// What kind of work a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobMode {
    /// A task asked of one agent.
    #[default]
    Task,
    /// A step of a workflow.
    Step,
    /// A review of an earlier job, asked for by `/admin_review`.
    Review,
    /// The analysis of an upload.
    Analyze,
}

impl JobMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Step => "step",
            Self::Review => "review",
            Self::Analyze => "analyze",
        }
    }
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// In its queue, or parked until what it waits for (`waits_for`) can be had.
    Queued,
    /// Under a lease of a worker.
    Running,
    /// Waits for the time it was asked for, or for the due time of its next attempt.
    Scheduled,
    Completed,
    Failed,
    Cancelled,
}

impl JobState {
    pub const ALL: [JobState; 6] =
        [Self::Queued, Self::Running, Self::Scheduled, Self::Completed, Self::Failed, Self::Cancelled];

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    Completed,
    Failed,
    /// It took longer than the job's time-out.
    TimedOut,
    /// The worker was stopped and gave the job back; it does not count against the job.
    Released,
    /// The lease ran out: the worker died or froze.
    Crashed,
    Cancelled,
    /// What it needs cannot be had now (the provider asked to wait, a budget is used up); it does not
    /// count against the job.
    Postponed,
}

/// One try of one worker at a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// The first is 1.
    pub number: u32,
    pub worker: String,
    /// The token of the lease it runs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub outcome: Option<AttemptOutcome>,
    /// What it failed of; decides how long the next one waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    #[serde(default)]
    pub error: Option<String>,
}

/// A dead job was brought back by somebody: its attempts are counted anew from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many attempts it had had by then.
    pub after_attempts: u32,
}

/// A job and its whole story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub job_id: String,
    pub mode: JobMode,
    pub state: JobState,
    pub agent: String,
    pub priority: Priority,
    /// What was asked for.
    pub task: String,
    #[serde(default)]
    pub workflow_id: Option<String>,
    #[serde(default)]
    pub step: Option<String>,
    #[serde(default)]
    pub round: Option<u32>,
    #[serde(default)]
    pub parent_job_id: Option<String>,
    /// True when a foreign program put it into the queue.
    #[serde(default)]
    pub foreign: bool,
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    #[serde(default, with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub error: Option<String>,
    /// The time before which it was asked not to begin; null: at once.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<Timestamp>,
    /// How many seconds one attempt may take; null: `JOB_TIMEOUT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// What it waits for beside a free slot: `agent:qa_bot` or `model:gpt-4o`, whose limit is reached,
    /// `provider:groq`, which asked to wait, or `budget:workflow`, which is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Since when it has been put off without having got anywhere.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub postponed_since: Option<Timestamp>,
    /// The upload that it analyses, or whose files its agent may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Which API key asked for it; null when none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<Replay>,
    /// A digest of the request that made it, where that carried an `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<String>,
    /// The id of the request that asked for it: that of its workflow, where it is a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The place in a trace that it goes on from, as in the header of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    pub traceparent: Option<String>,
}

impl Job {
    /// Attempts that failed by themselves since the last replay: what the retry limit counts.
    pub fn failures(&self) -> u32 {
        let forgiven = self.replays.last().map_or(0, |replay| replay.after_attempts as usize);
        let counts =
            |a: &&Attempt| matches!(a.outcome, Some(AttemptOutcome::Failed | AttemptOutcome::TimedOut));
        self.attempts.iter().skip(forgiven).filter(counts).count() as u32
    }

    /// Whether no attempt before the one that has begun can have asked a model.
    pub fn is_first_attempt(&self) -> bool {
        self.attempts.len() <= 1 && self.replays.is_empty()
    }

    /// Since when it could have been run: it was made, fell due, or was given back.
    pub fn ready_since(&self) -> Timestamp {
        let mut since = self.created_at;
        for later in [
            self.run_at,
            self.due_at,
            self.attempts.last().and_then(|a| a.ended_at),
            self.replays.last().map(|r| r.at),
        ] {
            since = since.max(later.unwrap_or(since));
        }
        since
    }

    /// Back into its queue with a fresh number of attempts; what was stays in its history.
    pub fn replay(&mut self, now: Timestamp) {
        self.replays.push(Replay { at: now, after_attempts: self.attempts.len() as u32 });
        self.state = JobState::Queued;
        self.ended_at = None;
        self.due_at = None;
        self.waits_for = None;
        self.postponed_since = None;
        self.error = None;
    }

    /// Its end: in no queue any more, and waiting for nothing.
    pub fn end(&mut self, state: JobState, error: Option<String>, now: Timestamp) {
        self.state = state;
        self.ended_at = Some(now);
        self.due_at = None;
        self.waits_for = None;
        self.postponed_since = None;
        self.error = error;
    }

    /// Closes the open attempt, if there is one.
    pub fn close_attempt(&mut self, outcome: AttemptOutcome, error: Option<String>, now: Timestamp) {
        self.close_attempt_as(outcome, None, error, now);
    }

    /// The same with the class of its failure.
    pub fn close_attempt_as(
        &mut self,
        outcome: AttemptOutcome,
        class: Option<FailureClass>,
        error: Option<String>,
        now: Timestamp,
    ) {
        if let Some(attempt) = self.attempts.iter_mut().rev().find(|a| a.outcome.is_none()) {
            attempt.ended_at = Some(now);
            attempt.outcome = Some(outcome);
            attempt.class = class;
            attempt.error = error;
        }
    }
}

/// The JSON in the queues, as the legacy API and foreign programs write it.
///
/// Unknown fields are ignored; every field but the text may be missing, and a field that is
/// not needed to run the job may be of any type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobPayload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Legacy workers read `agent`, the legacy API writes `agent_name`.
    #[serde(default, alias = "agent", skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub parent_job_id: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub original_job_id: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub requires_qa: Option<bool>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Where the legacy system put the file of an upload.
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    #[serde(default, deserialize_with = "if_fitting", skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The value if it has the right type, else nothing.
fn if_fitting<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(d)?;
    Ok(serde_json::from_value(value).ok())
}
