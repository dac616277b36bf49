//! One delivery from admission to its end.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{
    model::Call,
    service::{
        ServiceError,
        execution::{Admission, Answer, AnswerError, Ending, Execution, Running},
    },
    store::Delivery,
};

use super::{Backoff, Handler, Shared};

/// How long a paid answer is offered to a store that is away.
const JOURNAL_WITHIN: Duration = Duration::from_secs(600);
/// How often: it has to be there before another worker asks for it.
const JOURNAL_RHYTHM: Duration = Duration::from_millis(100);
/// How often a write that others get in the way of is begun anew.
const MOST_CONFLICTS: u32 = 5;

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
    let recalled = if running.job.is_first_attempt() && delivery.crashes == 0 {
        None
    } else {
        let Some(recalled) = persist(lost, || execution.recall(&running)).await else {
            return unwritten(execution, &job_id, lost).await;
        };
        recalled
    };
    let answer = match recalled {
        Some(answer) => Ok(answer),
        None => {
            let Some(request) = persist(lost, || execution.prepare(&running)).await else {
                return unwritten(execution, &job_id, lost).await;
            };
            // A process that was frozen since is not told yet that its lease is lost; its own clock knows.
            shared.held.lose_overdue(Instant::now());
            if lost.is_cancelled() {
                return taken_away(execution, &job_id).await;
            }
            let call = tokio::select! {
                // An answer that is there is kept, whatever else has happened.
                biased;
                call = execution.ask(&running, request) => call.map_err(AnswerError::from),
                // Dropping the call ends it: a worker that lost its job spends nothing more on it.
                () = lost.cancelled() => return taken_away(execution, &job_id).await,
                () = tokio::time::sleep_until(deadline.into()) => Err(AnswerError::TimedOut(timeout)),
                () = shared.giving_back.cancelled() => {
                    release(execution, &running, lost).await;
                    return;
                }
            };
            match call {
                Ok(call) => journal(execution, &call).await.map_err(AnswerError::from),
                Err(e) => Err(e),
            }
        }
    };
    match end(execution, &running, answer, lost).await {
        Some(Ending::Done) => log::info!(job_id = job_id.as_str(), attempt = attempt; "attempt has ended"),
        Some(Ending::Retry(wait)) => {
            shared.scheduled.notify_one();
            log::warn!(job_id = job_id.as_str(), attempt = attempt, wait_ms = wait.as_millis() as u64; "another attempt follows");
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

/// Writes a paid answer down, also when the lease is lost meanwhile: the journal is what keeps it
/// from being paid twice. Gives up after [`JOURNAL_WITHIN`].
async fn journal(execution: &Execution, call: &Call) -> Result<Answer, ServiceError> {
    let give_up = CancellationToken::new();
    let write = persist_or(&give_up, JOURNAL_RHYTHM, || execution.journal(call));
    match tokio::time::timeout(JOURNAL_WITHIN, write).await {
        Ok(Some(Ok(answer))) => Ok(answer),
        Ok(Some(Err(e))) => Err(e),
        _ => Err(ServiceError::Conflict("the store did not take the answer in time".to_owned())),
    }
}

/// Repeats a conditional write until the store takes it, for as long as the lease is ours: an
/// answer that was paid for must not be thrown away because the store was restarted. A write whose
/// reply was lost is refused the second time; that reads as a lost lease, and the job is settled.
async fn persist<T, F, Fut>(lost: &CancellationToken, write: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    match persist_or(lost, Duration::MAX, write).await? {
        Ok(done) => Some(done),
        Err(error) => {
            log::error!("a job's state cannot be written: {error}; its lease will run out");
            None
        }
    }
}

/// The same, with the error that repeating does not mend; `None` when the lease was lost. Waits at
/// most `longest` between two tries.
async fn persist_or<T, F, Fut>(
    lost: &CancellationToken,
    longest: Duration,
    mut write: F,
) -> Option<Result<T, ServiceError>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match write().await {
            Ok(done) => return Some(Ok(done)),
            // Others that keep changing a document are rare and pass; for ever would hold the slot.
            Err(ServiceError::Conflict(why)) if backoff.failures >= MOST_CONFLICTS => {
                return Some(Err(ServiceError::Conflict(why)));
            }
            Err(error) if error.may_pass() => error,
            Err(error) => return Some(Err(error)),
        };
        let wait = backoff.failed().min(longest);
        if backoff.is_first() {
            log::warn!("a job's state could not be written: {error}; trying on while the lease holds");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = lost.cancelled() => return None,
        }
    }
}
