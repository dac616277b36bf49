//! The pool: takes at most as many jobs as there are free slots, and runs each in a task of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    service::ServiceError,
    store::{Delivery, MAX_BATCH, Reserve, StoreError},
};

use super::{Backoff, Shared, run_job};

/// The longest wait for work; then the queues are looked at anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Until the worker drains: wait for a free slot, take, run.
pub async fn run(shared: Arc<Shared>, jobs: TaskTracker) {
    let slots = Arc::new(Semaphore::new(shared.options.slots));
    let mut backoff = Backoff::default();
    // Whether a call's answer was lost: the store may have leased jobs to us that we do not know of.
    let mut in_doubt = false;
    while !shared.draining.is_cancelled() {
        // Wait for one free slot first: nothing is taken that cannot be run at once.
        let free = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = shared.draining.cancelled() => break,
        };
        let Ok(free) = free else { break };
        drop(free);
        let taken = run_once(&shared, &slots, &jobs).await;
        if in_doubt && taken.is_ok() {
            in_doubt = give_back_unknown(&shared).await.is_err();
        }
        match taken {
            Ok(0) => {
                backoff.succeeded();
                tokio::select! {
                    () = shared.services.execution.foundation().store.wait_for_work(LONGEST_WAIT) => {}
                    () = shared.draining.cancelled() => break,
                }
            }
            Ok(_) => backoff.succeeded(),
            Err(e) => {
                in_doubt = true;
                let wait = backoff.failed();
                if backoff.is_first() {
                    log::warn!("cannot take jobs: {e}; trying on");
                }
                if !shared.pause(wait).await {
                    break;
                }
            }
        }
    }
}

/// Takes jobs into all free slots and starts them; returns how many.
pub async fn run_once(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    jobs: &TaskTracker,
) -> Result<usize, StoreError> {
    let limit = slots.available_permits().min(MAX_BATCH);
    if limit == 0 {
        return Ok(0);
    }
    // Counted from before the call, so that our idea of the lease ends before the store's does.
    let valid_until = Instant::now() + shared.options.lease;
    let request = Reserve {
        worker: shared.worker_id.clone(),
        limit,
        lease_ms: shared.options.lease.as_millis() as u64,
    };
    let deliveries: Vec<Delivery> = shared.services.execution.foundation().store.reserve(&request).await?;
    let taken = deliveries.len();
    for delivery in deliveries {
        let slot = slots.clone().try_acquire_owned().ok();
        let lost = shared.held.add(delivery.token, String::new(), valid_until);
        let shared = shared.clone();
        jobs.spawn(async move {
            run_job::run(&shared, delivery, lost).await;
            drop(slot);
        });
    }
    Ok(taken)
}

/// Gives back the leases in our name that we know nothing of.
async fn give_back_unknown(shared: &Shared) -> Result<(), ServiceError> {
    let execution = &shared.services.execution;
    for lease in execution.foundation().store.leases(MAX_BATCH).await? {
        if lease.worker == shared.worker_id && !shared.held.has(lease.token) {
            log::warn!("a job is given back: the answer that gave it to us was lost (lease {})", lease.token);
            execution.give_back(lease.token).await?;
        }
    }
    Ok(())
}
