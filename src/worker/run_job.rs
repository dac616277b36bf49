//! One delivery from admission to its end.

use std::time::Instant;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{
    service::{
        adoption,
        execution::{Admission, AnswerError, Attempt, Ending, Execution, Fault, Running},
    },
    store::Delivery,
    telemetry::counters,
};

use super::{
    Handler, Shared,
    converse::{Bounds, Outcome, converse},
    persist::persist,
};

/// Runs the product's jobs: tasks, steps and reviews.
pub struct RunJob {
    execution: Execution,
}

impl RunJob {
    pub fn new(execution: Execution) -> Self {
        Self { execution }
    }
}

#[async_trait]
impl Handler for RunJob {
    async fn run(&self, shared: &Shared, delivery: Delivery, lost: CancellationToken) {
        pipeline(shared, &self.execution, &delivery, &lost).await;
    }
}

async fn pipeline(shared: &Shared, execution: &Execution, delivery: &Delivery, lost: &CancellationToken) {
    let admission = persist(lost, || execution.admit(delivery, &shared.worker_id)).await;
    let running = match admission {
        Some(Admission::Run(running)) => running,
        Some(Admission::Settled(why)) => {
            log::info!("a job from {} is settled without a run: {why}", delivery.queue.name());
            return;
        }
        Some(Admission::LeaseLost) => return taken_away(execution, &job_id_of(delivery)).await,
        None => return unwritten(execution, &job_id_of(delivery), lost).await,
    };
    let attempt = Attempt::begin(&running, delivery, execution.foundation().clock.now());
    // From here on every line of the log and every request says for whom it is.
    attempt.context().scope(run(shared, execution, delivery, &running, lost, attempt)).await;
}

/// Which job it is of; empty for what cannot be read or names none.
fn job_id_of(delivery: &Delivery) -> String {
    adoption::job_id(&delivery.payload).unwrap_or_default()
}

/// One attempt from its beginning to what became of it.
async fn run(
    shared: &Shared,
    execution: &Execution,
    delivery: &Delivery,
    running: &Running,
    lost: &CancellationToken,
    attempt: Attempt,
) {
    let job_id = running.job.job_id.as_str();
    shared.held.name(running.token, job_id);
    let number = running.job.attempts.len();
    log::info!(job_id = job_id, attempt = number, agent = running.job.agent.as_str(); "attempt has begun");
    let timeout = execution.timeout_of(running);
    let deadline = Instant::now() + timeout;
    // The journal of a job that nobody has begun before is empty: admission saw to that.
    let fresh = running.job.is_first_attempt() && delivery.crashes == 0;
    let bounds = Bounds { shared, lost, deadline, timeout };
    let mut fault = None;
    let ending = match converse(execution, running, fresh, &bounds).await {
        Outcome::Answered(answer) => {
            fault = answer.as_ref().as_ref().err().map(AnswerError::fault);
            match (*answer, &fault) {
                (Ok(answer), _) => persist(lost, || execution.complete(running, &answer)).await,
                (Err(_), Some(fault)) => fail(execution, running, fault, lost).await,
                (Err(_), None) => None,
            }
        }
        Outcome::PutOff(reason) => persist(lost, || execution.postpone(running, &reason)).await,
        Outcome::GivenBack => {
            release(execution, running, lost).await;
            return attempt.ended("released");
        }
        Outcome::Gone => None,
    };
    match (ending, fault) {
        (Some(Ending::Done), fault) => {
            log::info!(job_id = job_id, attempt = number; "attempt has ended");
            match fault {
                Some(fault) => attempt.failed(&fault, false),
                None => attempt.completed(),
            }
        }
        (Some(Ending::Retry(wait)), fault) => {
            shared.scheduled.notify_one();
            log::warn!(job_id = job_id, attempt = number, wait_ms = wait.as_millis() as u64; "another attempt follows");
            match fault {
                Some(fault) => attempt.failed(&fault, true),
                None => attempt.ended("retried"),
            }
        }
        (Some(Ending::Postponed(wait)), _) => {
            shared.scheduled.notify_one();
            log::info!(job_id = job_id, wait_ms = wait.as_millis() as u64; "put off: what it needs cannot be had now");
            attempt.ended("postponed");
        }
        (Some(Ending::LeaseLost), _) => {
            taken_away(execution, job_id).await;
            attempt.ended("lost");
        }
        (None, _) => {
            unwritten(execution, job_id, lost).await;
            attempt.ended("lost");
        }
    }
}

/// What [`persist`] gave up: the lease was lost, or the log says already what is wrong.
async fn unwritten(execution: &Execution, job_id: &str, lost: &CancellationToken) {
    if lost.is_cancelled() {
        taken_away(execution, job_id).await;
    }
}

/// Says why an attempt ended without a word of ours: somebody cancelled the job, or another worker has it.
async fn taken_away(execution: &Execution, job_id: &str) {
    if execution.was_cancelled(job_id).await {
        log::info!(job_id = job_id; "cancelled: the attempt was stopped");
    } else {
        counters::LEASES_LOST.add(1);
        log::warn!(job_id = job_id; "the lease was lost, nothing was changed");
    }
}

/// Writes down that the attempt failed.
async fn fail(
    execution: &Execution,
    running: &Running,
    fault: &Fault,
    lost: &CancellationToken,
) -> Option<Ending> {
    log::warn!(job_id = running.job.job_id.as_str(), error = fault.error.as_str(); "the attempt failed");
    persist(lost, || execution.fail(running, fault)).await
}

async fn release(execution: &Execution, running: &Running, lost: &CancellationToken) {
    log::info!(job_id = running.job.job_id.as_str(); "given back: the worker stops");
    let _ = persist(lost, || execution.release(running)).await;
}
