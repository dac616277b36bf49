//! Execution: what happens to a job between its delivery and its result.
//!
//! ```text
//! delivery ─▶ admit ─▶ converse (each answer journaled) ─▶ complete ─▶ one result
//!               │          ├─ put off: no budget left, the provider asks to wait; it comes again
//!               │          └─ error ─▶ fail ────┤ last attempt, or hopeless: the result says why
//!               │                       └─▶ scheduled again (retry) ─▶ delivery
//!               ├─▶ parked: as many jobs of its agent or model run as may; it comes again
//!               ├─▶ nothing to do: finished already · its workflow is over · not readable (dead set)
//!               └─▶ the lease is lost: somebody else has it; change nothing
//! ```
//!
//! Every arrow is one conditional write under the lease's token, so a crash between two of them
//! leaves a state from which the next delivery goes on.

mod admit;
pub(super) mod answer;
mod audit;
pub(super) mod budget;
mod complete;
mod fail;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod limits;
mod partial;
pub(super) mod payload;
mod postpone;
mod question;
mod unrun;
mod watched;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use crate::{
    llm::Route,
    model::{Agent, Job, JobResult, JobState, ResultStatus, Timestamp, Workflow},
    store::{Change, LeaseEnd, Revision, Token},
};

use super::{Agents, Foundation, Keys, ServiceError, Uploads, records};

pub use answer::{Answer, AnswerError};
pub use budget::{Reservation, Reserved};
pub use fail::Fault;
pub use postpone::{HOLD, LONGEST_WAIT, Postponement};
pub use question::{Conversation, Question};
pub use watched::Attempt;

/// How often a write is computed again when another step of the same workflow got in between.
const TRIES: usize = 50;

/// What a worker may do with a delivery.
#[derive(Debug)]
pub enum Admission {
    /// Run it.
    Run(Box<Running>),
    /// Nothing is left to do; the reason is for the log. The lease has ended.
    Settled(String),
    /// Another worker has the job.
    LeaseLost,
}

/// A job that this worker runs now.
#[derive(Debug, Clone)]
pub struct Running {
    pub token: Token,
    pub job: Job,
    /// Since when this attempt could have begun.
    pub ready_since: Timestamp,
    /// The job's document as this attempt wrote it.
    job_revision: Revision,
    /// The workflow it is a step of.
    pub workflow: Option<Workflow>,
    pub agent: Agent,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The job has its result.
    Done,
    /// It will be tried again after this time.
    Retry(Duration),
    /// It cannot go on now and comes again after this time; no attempt is charged.
    Postponed(Duration),
    /// Another worker has the job; nothing was changed.
    LeaseLost,
}

#[derive(Clone)]
pub struct Execution {
    base: Arc<Foundation>,
    agents: Agents,
    uploads: Uploads,
    keys: Keys,
    /// How many model calls stream in this process.
    streams: Arc<AtomicUsize>,
    /// How many tokens models can read, as far as their providers have told.
    context_limits: Arc<Mutex<HashMap<Route, u64>>>,
}

impl Execution {
    pub(super) fn new(base: Arc<Foundation>, agents: Agents, uploads: Uploads, keys: Keys) -> Self {
        Self { base, agents, uploads, keys, streams: Arc::default(), context_limits: Arc::default() }
    }

    /// The store and the clock, for the roles of a worker.
    pub fn foundation(&self) -> &Foundation {
        &self.base
    }

    /// How long an attempt at this job may take.
    pub fn timeout_of(&self, running: &Running) -> Duration {
        let own = running.job.timeout_seconds.map(|s| Duration::from_secs(u64::from(s)));
        own.unwrap_or(self.base.job_timeout)
    }

    /// Whether somebody cancelled a job whose lease was lost: then there is nothing to worry about.
    pub async fn was_cancelled(&self, job_id: &str) -> bool {
        let found = records::load::<Job>(self.base.store.as_ref(), records::job_key(job_id)).await;
        matches!(found, Ok(Some((job, _))) if job.state == JobState::Cancelled)
    }

    /// Whether a lease is held: a change of nothing under it is made only then.
    async fn holds(&self, token: Token) -> Result<bool, ServiceError> {
        Ok(self.base.store.apply(Change::new().under(token, LeaseEnd::Keep)).await?.is_ok())
    }

    fn busy(&self, job_id: &str) -> ServiceError {
        ServiceError::Conflict(format!(
            "job {job_id} kept being changed by others; it will be delivered again"
        ))
    }

    /// The workflow as it is now: other steps may have moved it on since this attempt began.
    async fn workflow_of(&self, running: &Running) -> Result<Option<(Workflow, Revision)>, ServiceError> {
        match &running.workflow {
            Some(w) => {
                Ok(records::load(self.base.store.as_ref(), records::workflow_key(&w.workflow_id)).await?)
            }
            None => Ok(None),
        }
    }

    fn result_of(
        &self,
        running: &Running,
        status: ResultStatus,
        output: String,
        now: Timestamp,
    ) -> JobResult {
        result_of(&running.job, Some(&running.agent), status, output, now)
    }
}

/// The result of a job as far as it follows from the job itself.
pub(super) fn result_of(
    job: &Job,
    agent: Option<&Agent>,
    status: ResultStatus,
    output: String,
    now: Timestamp,
) -> JobResult {
    let started_at = job.attempts.last().map(|a| a.started_at);
    let seconds = started_at.map_or(0.0, |s| (now - s).num_milliseconds().max(0) as f64 / 1000.0);
    JobResult {
        job_id: job.job_id.clone(),
        workflow_id: job.workflow_id.clone(),
        parent_job_id: job.parent_job_id.clone(),
        agent: job.agent.clone(),
        role: agent.map(|agent| agent.role.clone()),
        reviewed_by: None,
        status,
        output,
        started_at,
        completed_at: Some(now),
        execution_time: seconds,
        confidence_score: None,
        timestamp: now,
        task: Some(job.task.clone()),
        step: job.step.clone(),
        round: job.round,
        verdict: None,
        error: None,
        attempts: job.attempts.len() as u32,
        simulated: false,
        provider: None,
        model: None,
        usage: None,
        cost_usd: None,
        truncated: false,
        pinned: false,
        expires_at: None,
    }
}
