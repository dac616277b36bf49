//! One delivery from admission to its end.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::retry::Failure,
    service::{
        ServiceError,
        execution::{Admission, Answer, AnswerError, Ending, Running},
    },
    store::Delivery,
};

use super::{Backoff, Shared};

/// Runs a delivery. Whatever happens, the lease is not held any more by this worker afterwards.
pub async fn run(shared: &Shared, delivery: Delivery, lost: CancellationToken) {
    let token = delivery.token;
    let outcome = AssertUnwindSafe(pipeline(shared, &delivery, &lost)).catch_unwind().await;
    if outcome.is_err() {
        // The lease is left to run out: that counts a crash, so that poison is found.
        log::error!("a job panicked (lease {token}); it will be delivered again when its lease has run out");
    }
    shared.held.remove(token);
}

async fn pipeline(shared: &Shared, delivery: &Delivery, lost: &CancellationToken) {
    let execution = &shared.services.execution;
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
    log::info!("job {job_id} attempt {attempt} has begun ({})", running.job.agent);
    let answer = tokio::select! {
        answer = execution.answer(&running) => answer,
        // Dropping the call ends it: a worker that lost its job spends nothing more on it.
        () = lost.cancelled() => return,
        () = shared.giving_back.cancelled() => {
            release(shared, &running, lost).await;
            return;
        }
    };
    match end(shared, &running, answer, lost).await {
        Some(Ending::Done) => log::info!("job {job_id} attempt {attempt} has ended"),
        Some(Ending::Retry(wait)) => {
            shared.scheduled.notify_one();
            log::warn!("job {job_id} attempt {attempt} failed; the next one in {:.1} s", wait.as_secs_f64());
        }
        Some(Ending::LeaseLost) => {
            log::warn!("job {job_id} attempt {attempt}: the lease was lost, nothing was changed")
        }
        None => {}
    }
}

/// Writes down how the attempt ended.
async fn end(
    shared: &Shared,
    running: &Running,
    answer: Result<Answer, AnswerError>,
    lost: &CancellationToken,
) -> Option<Ending> {
    let execution = &shared.services.execution;
    match answer {
        Ok(answer) => persist(lost, || execution.complete(running, &answer)).await,
        Err(error) => {
            let text = error.to_string();
            let failure = match &error {
                AnswerError::Model(e) => {
                    Failure { retryable: e.kind.is_retryable(), retry_after: e.retry_after }
                }
                AnswerError::Service(_) => Failure { retryable: true, retry_after: None },
            };
            persist(lost, || execution.fail(running, &text, failure)).await
        }
    }
}

async fn release(shared: &Shared, running: &Running, lost: &CancellationToken) {
    log::info!("job {} is given back: the worker stops", running.job.job_id);
    let _ = persist(lost, || shared.services.execution.release(running)).await;
}

/// Repeats a conditional write until the store takes it, for as long as the lease is ours: an
/// answer that was paid for must not be thrown away because the store was restarted. A write whose
/// reply was lost is refused the second time; that reads as a lost lease, and the job is settled.
async fn persist<T, F, Fut>(lost: &CancellationToken, mut write: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match write().await {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        let wait = backoff.failed();
        if backoff.is_first() {
            log::warn!("a job's state could not be written: {error}; trying on while the lease holds");
        }
        let worth_it = matches!(&error, ServiceError::Store(crate::store::StoreError::Unavailable(_)))
            || matches!(&error, ServiceError::Conflict(_));
        if !worth_it {
            log::error!("a job's state cannot be written: {error}; its lease will run out");
            return None;
        }
        tokio::select! {
            () = tokio::time::sleep(wait.max(Duration::from_millis(20))) => {}
            () = lost.cancelled() => return None,
        }
    }
}
