//! The pool: takes at most as many jobs as there are free slots, and runs each in a task of its own.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::QueueOrder,
    engine::order,
    model::Priority,
    store::{Change, Delivery, LeaseEnd, MAX_BATCH, Queue, Reserve, StoreError},
    telemetry::counters,
};

use super::{Backoff, Shared};

/// The longest wait for work; then the queues are looked at anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Until the worker drains: wait for a free slot, take, run.
pub async fn run(shared: Arc<Shared>, jobs: TaskTracker) {
    let slots = Arc::new(Semaphore::new(shared.options.slots));
    let mut looks = 0;
    let mut backoff = Backoff::default();
    let mut idle = false;
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
        gather(&slots).await;
        let taken = if idle {
            // What is taken at the moment this is dropped goes back by itself.
            tokio::select! {
                taken = wait_once(&shared, &slots, &jobs, looks) => taken,
                () = shared.draining.cancelled() => break,
            }
        } else {
            run_once(&shared, &slots, &jobs, looks).await
        };
        looks += 1;
        idle = matches!(taken, Ok(0));
        if in_doubt && taken.is_ok() {
            in_doubt = give_back_unknown(&shared).await.is_err();
        }
        match taken {
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

/// Lets those jobs begin that were just taken, and those end that are about to. One commit (or one answer of Redis) ends many jobs, and this task is
/// woken by the first of them: if it asked for that one slot alone, the others would stand free until the
/// call that takes one job has come back. It costs no time when nothing else wants to run.
async fn gather(slots: &Semaphore) {
    let mut free = 0;
    while slots.available_permits() > free {
        free = slots.available_permits();
        tokio::task::yield_now().await;
    }
}

/// Takes jobs into all free slots and starts them; returns how many. `look` is the number of this look
/// into the queues.
pub async fn run_once(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    jobs: &TaskTracker,
    look: u64,
) -> Result<usize, StoreError> {
    let request = request(shared, slots, look);
    if request.limit == 0 {
        return Ok(0);
    }
    let deliveries = shared.store.reserve(&request).await?;
    Ok(start(shared, slots, jobs, deliveries))
}

/// The same when there was nothing the last time: waits for work.
async fn wait_once(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    jobs: &TaskTracker,
    look: u64,
) -> Result<usize, StoreError> {
    let deliveries = shared.store.reserve_or_wait(&request(shared, slots, look), LONGEST_WAIT).await?;
    Ok(start(shared, slots, jobs, deliveries))
}

fn request(shared: &Shared, slots: &Semaphore, look: u64) -> Reserve {
    Reserve {
        worker: shared.worker_id.clone(),
        limit: slots.available_permits().min(MAX_BATCH),
        lease_ms: shared.options.lease.as_millis() as u64,
        order: order(shared.options.order, look),
    }
}

/// Starts what was taken; how much it is.
fn start(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    jobs: &TaskTracker,
    deliveries: Vec<Delivery>,
) -> usize {
    shared.has_asked();
    let taken = deliveries.len();
    for delivery in deliveries {
        let slot = slots.clone().try_acquire_owned().ok();
        // So that our idea of the lease ends before the store's does.
        let valid_until = delivery.leased_at + shared.options.lease;
        let lost = shared.held.add(delivery.token, String::new(), valid_until);
        let shared = shared.clone();
        jobs.spawn(async move {
            let _busy = counters::SLOTS_BUSY.hold(1);
            run_job(&shared, delivery, lost).await;
            drop(slot);
        });
    }
    taken
}

/// The queues in the order in which they are looked into this time.
fn order(order: QueueOrder, look: u64) -> [Queue; 3] {
    let priorities = match order {
        QueueOrder::Strict => order::STRICT,
        QueueOrder::Weighted => order::weighted(look),
    };
    priorities.map(|priority| match priority {
        Priority::High => Queue::High,
        Priority::Normal => Queue::Normal,
        Priority::Low => Queue::Low,
    })
}

/// Runs a delivery. Whatever happens, the lease is not held any more by this worker afterwards.
async fn run_job(shared: &Shared, delivery: Delivery, lost: CancellationToken) {
    let token = delivery.token;
    if AssertUnwindSafe(shared.handler.run(shared, delivery, lost)).catch_unwind().await.is_err() {
        // The lease is left to run out: that counts a crash, so that poison is found.
        log::error!("a job panicked (lease {token}); it will be delivered again when its lease has run out");
    }
    shared.held.remove(token);
}

/// Gives back the leases in our name that we know nothing of.
async fn give_back_unknown(shared: &Shared) -> Result<(), StoreError> {
    for lease in shared.store.leases(MAX_BATCH).await? {
        if lease.worker == shared.worker_id && !shared.held.has(lease.token) {
            log::warn!("a job is given back: the answer that gave it to us was lost (lease {})", lease.token);
            let _ = shared.store.apply(Change::new().under(lease.token, LeaseEnd::Requeue)).await?;
        }
    }
    Ok(())
}
