//! What is shown of jobs: a row of a list, and the whole story of one.

use base64::Engine as _;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    model::{Attempt, DeadJob, DeadReason, Job, JobMode, JobState, Priority, Timestamp, iso, iso_option},
    store::Queue,
};

use super::{JobFilter, Jobs, StateFilter, is_older};
use crate::service::{
    ServiceError, dispatch,
    execution::{HOLD, payload},
    records,
};

/// How many characters of a text a list carries.
const PREVIEW_CHARS: usize = 300;

/// A job in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobRow {
    pub job_id: String,
    pub state: JobState,
    pub mode: JobMode,
    pub agent: String,
    pub priority: Priority,
    /// The first 300 characters of what was asked for.
    pub task: String,
    pub workflow_id: Option<String>,
    pub step: Option<String>,
    pub round: Option<u32>,
    /// How many attempts it has had.
    pub attempts: usize,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it falls due, where it waits for that.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What it waits for beside a free slot: `agent:qa_bot` or `model:gpt-4o`, whose limit is reached.
    pub waits_for: Option<String>,
    pub error: Option<String>,
    /// Why it is dead, in a list of dead jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_reason: Option<DeadReason>,
}

impl JobRow {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            job_id: job.job_id.clone(),
            state: job.state,
            mode: job.mode,
            agent: job.agent.clone(),
            priority: job.priority,
            task: job.task.chars().take(PREVIEW_CHARS).collect(),
            workflow_id: job.workflow_id.clone(),
            step: job.step.clone(),
            round: job.round,
            attempts: job.attempts.len(),
            created_at: job.created_at,
            due_at: job.due_at,
            ended_at: job.ended_at,
            waits_for: job.waits_for.clone(),
            error: job.error.clone(),
            dead_reason: None,
        }
    }

    pub(super) fn of_dead(dead: DeadJob) -> Self {
        let row = Self::of(&remembered(&dead));
        let error = Some(dead.error.chars().take(PREVIEW_CHARS).collect());
        Self { dead_reason: Some(dead.reason), ended_at: Some(dead.died_at), error, ..row }
    }

    pub(super) fn fits(&self, filter: &JobFilter, now: Timestamp) -> bool {
        let state = match filter.state {
            None => true,
            Some(StateFilter::Is(state)) => self.state == state,
            Some(StateFilter::Dead) => self.dead_reason.is_some(),
        };
        state
            && filter.agent.as_ref().is_none_or(|agent| *agent == self.agent)
            && filter.workflow_id.as_ref().is_none_or(|id| Some(id) == self.workflow_id.as_ref())
            && is_older(self.ended_at.unwrap_or(self.created_at), filter.older_than, now)
    }
}

/// A job with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobStory {
    #[serde(flatten)]
    pub job: Job,
    /// Why it does not run now, in a sentence, where it waits.
    pub waits_because: Option<String>,
    /// The list it belongs to: `queue_high`, `queue` or `queue_low`.
    #[schema(example = "queue")]
    pub queue: &'static str,
    /// What stands in the queue for it: the job JSON. A text where it is no JSON.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Where its result is, if it has one that is still kept.
    #[schema(example = "/results/cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11")]
    pub result: Option<String>,
    /// Its entry in the dead set, if it has one.
    pub dead: Option<DeadEntry>,
}

/// What the dead set says of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadEntry {
    pub reason: DeadReason,
    pub error: String,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub died_at: Timestamp,
    /// The payload as it was, where it is text.
    pub payload_text: Option<String>,
    /// The payload in base64, where it is not text.
    pub payload_base64: Option<String>,
}

impl Jobs {
    /// The whole story of one job.
    pub async fn get(&self, id: &str) -> Result<JobStory, ServiceError> {
        let found = self.find(id).await?;
        let result = self.base.store.get(&[records::result_key(id)]).await?.pop().flatten();
        let queue = dispatch::queue_of(found.job.priority);
        Ok(JobStory {
            waits_because: self.waits_because(&found.job, queue).await?,
            queue: queue.name(),
            payload: payload_of(&found.job, found.dead.as_ref()),
            result: result.map(|_| format!("/results/{id}")),
            dead: found.dead.map(|dead| DeadEntry {
                reason: dead.reason,
                error: dead.error,
                died_at: dead.died_at,
                payload_text: dead.payload_text,
                payload_base64: dead.payload_base64,
            }),
            job: found.job,
        })
    }

    async fn waits_because(&self, job: &Job, queue: Queue) -> Result<Option<String>, ServiceError> {
        Ok(match (job.state, &job.waits_for, job.due_at) {
            (JobState::Queued, Some(limit), _) => {
                Some(format!("Waits for {limit}: as many of its jobs run as may run at once."))
            }
            (JobState::Queued, None, _) => {
                let paused = self.base.store.depth().await?.paused[usize::from(queue.rank())];
                Some(match paused {
                    true => format!("Its queue ({}) is paused.", queue.name()),
                    false => "Waits in its queue for a free slot of a worker.".to_owned(),
                })
            }
            (JobState::Scheduled, Some(what), _) if what == HOLD => {
                Some("Its workflow is paused: it waits for somebody to resume it.".to_owned())
            }
            (JobState::Scheduled, _, Some(due)) => Some(match job.attempts.last() {
                Some(last) => {
                    format!("Attempt {} failed; the next one begins at {}.", last.number, iso::format(&due))
                }
                None => format!("Begins at {}, as asked for.", iso::format(&due)),
            }),
            _ => None,
        })
    }
}

/// The job as the dead set has kept it; of an unreadable payload there is little to tell.
pub(super) fn remembered(dead: &DeadJob) -> Job {
    if let Some(job) = &dead.job {
        return (**job).clone();
    }
    let queue = queue_named(&dead.queue).unwrap_or(Queue::Normal);
    let priority = dispatch::priority_of(queue);
    let mut job = dispatch::new_job(&dead.job_id, JobMode::Task, "", "", priority, dead.died_at);
    // Whoever looks at it did not ask for it.
    (job.request_id, job.traceparent) = (None, None);
    job.foreign = true;
    job.end(JobState::Failed, Some(dead.error.clone()), dead.died_at);
    job
}

/// A queue by the owner's name of its list, or by its priority.
pub(in crate::service) fn queue_named(name: &str) -> Option<Queue> {
    let word = |queue: &Queue| match queue {
        Queue::High => "high",
        Queue::Normal => "normal",
        Queue::Low => "low",
    };
    Queue::ALL.into_iter().find(|queue| queue.name() == name || word(queue) == name)
}

/// The raw payload of a dead job.
pub(super) fn raw_payload(dead: &DeadJob) -> Option<Vec<u8>> {
    match (&dead.payload_text, &dead.payload_base64) {
        (Some(text), _) => Some(text.clone().into_bytes()),
        (None, Some(base64)) => base64::engine::general_purpose::STANDARD.decode(base64).ok(),
        (None, None) => None,
    }
}

fn payload_of(job: &Job, dead: Option<&DeadJob>) -> Value {
    let bytes = dead.and_then(raw_payload).unwrap_or_else(|| payload::of_job(job));
    serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The attempt that is open, if one is.
pub(super) fn open_attempt(job: &Job) -> Option<&Attempt> {
    job.attempts.iter().rev().find(|attempt| attempt.outcome.is_none())
}
