//! One delivery from admission to its end.

use std::time::Instant;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{
    service::execution::{Admission, Answer, AnswerError, Ending, Execution, Running},
    store::Delivery,
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
        None => return,
        Some(Admission::Run(running)) => running,
        Some(Admission::Settled(why)) => {
            log::info!("a job from {} is settled without a run: {why}", delivery.queue.name());
            return;
        }
        Some(Admission::LeaseLost) => return,
    };
    let job_id = running.job.job_id.clone();
    shared.held.name(running.token, &job_id);
    let attempt = running.job.attempts.len();
    log::info!(job_id = job_id.as_str(), attempt = attempt, agent = running.job.agent.as_str(); "attempt has begun");
    let timeout = execution.timeout_of(&running);
    let deadline = Instant::now() + timeout;
    // The journal of a job that nobody has begun before is empty: admission saw to that.
    let fresh = running.job.is_first_attempt() && delivery.crashes == 0;
    let bounds = Bounds { shared, lost, deadline, timeout };
    let ending = match converse(execution, &running, fresh, &bounds).await {
        Outcome::Answered(answer) => end(execution, &running, *answer, lost).await,
        Outcome::PutOff(reason) => persist(lost, || execution.postpone(&running, &reason)).await,
        Outcome::GivenBack => return release(execution, &running, lost).await,
        Outcome::Gone => None,
    };
    match ending {
        Some(Ending::Done) => log::info!(job_id = job_id.as_str(), attempt = attempt; "attempt has ended"),
        Some(Ending::Retry(wait)) => {
            shared.scheduled.notify_one();
            log::warn!(job_id = job_id.as_str(), attempt = attempt, wait_ms = wait.as_millis() as u64; "another attempt follows");
        }
        Some(Ending::Postponed(wait)) => {
            shared.scheduled.notify_one();
            log::info!(job_id = job_id.as_str(), wait_ms = wait.as_millis() as u64; "put off: what it needs cannot be had now");
        }
        Some(Ending::LeaseLost) => taken_away(execution, &job_id).await,
        None => unwritten(execution, &job_id, lost).await,
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
        log::warn!(job_id = job_id; "the lease was lost, nothing was changed");
    }
}

/// Writes down how the attempt ended.
async fn end(
    execution: &Execution,
    running: &Running,
    answer: Result<Answer, AnswerError>,
    lost: &CancellationToken,
) -> Option<Ending> {
    match answer {
        Ok(answer) => persist(lost, || execution.complete(running, &answer)).await,
        Err(error) => {
            let fault = error.fault();
            log::warn!(job_id = running.job.job_id.as_str(), error = fault.error.as_str(); "the attempt failed");
            persist(lost, || execution.fail(running, &fault)).await
        }
    }
}

async fn release(execution: &Execution, running: &Running, lost: &CancellationToken) {
    log::info!(job_id = running.job.job_id.as_str(); "given back: the worker stops");
    let _ = persist(lost, || execution.release(running)).await;
}
