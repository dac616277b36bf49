//! Execution: what happens to a job between its delivery and its result.
//!
//! ```text
//! delivery ─▶ admit ─▶ answer (journaled) ─▶ complete ─▶ one result
//!               │          │                    ▲
//!               │          └─ error ─▶ fail ────┤ last attempt, or hopeless: the result says why
//!               │                       └─▶ scheduled again (retry) ─▶ delivery
//!               ├─▶ nothing to do: finished already · its workflow is over · not readable (dead set)
//!               └─▶ the lease is lost: somebody else has it; change nothing
//! ```
//!
//! Every arrow is one conditional write under the lease's token, so a crash between two of them
//! leaves a state from which the next delivery goes on.

mod admit;
mod answer;
mod finish;

use std::sync::Arc;

use crate::{
    model::{Agent, Job, Workflow},
    store::{Revision, Token},
};

use super::{Agents, Foundation, ServiceError};

pub use answer::{Answer, AnswerError};

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
    Retry(std::time::Duration),
    /// Another worker has the job; nothing was changed.
    LeaseLost,
}

#[derive(Clone)]
pub struct Execution {
    base: Arc<Foundation>,
    agents: Agents,
}

impl Execution {
    pub(super) fn new(base: Arc<Foundation>, agents: Agents) -> Self {
        Self { base, agents }
    }

    /// The store and the clock, for the roles of a worker.
    pub fn foundation(&self) -> &Foundation {
        &self.base
    }

    fn busy(&self, job_id: &str) -> ServiceError {
        ServiceError::Conflict(format!(
            "job {job_id} kept being changed by others; it will be delivered again"
        ))
    }
}
