//! Orders: does what people ask of this worker from outside its process, which is to drain.
//!
//! An order is an event that names its worker. Ids of workers are unique per process start, so an order
//! never hits the next process, and one that came while the store was away is read when it is back.

use std::{sync::Arc, time::Duration};

use crate::{
    service::workers::DRAINED,
    store::{MAX_BATCH, StoreError},
};

use super::{Shared, presence};

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Until the worker has ended.
pub async fn run(shared: Arc<Shared>) {
    // What was ordered before this worker began is for others; it is passed over in portions.
    let mut seen = 0;
    loop {
        match run_once(&shared, &mut seen).await {
            Ok(MAX_BATCH) => continue,
            Ok(_) => tokio::select! {
                () = shared.store.wait_for_events(DRAINED, seen, LONGEST_WAIT) => {}
                () = shared.ended.cancelled() => return,
            },
            Err(e) => {
                log::debug!("orders: {e}");
                if !shared.pause(Duration::from_secs(1)).await {
                    return;
                }
            }
        }
    }
}

/// One portion of what was ordered since `seen`; how many orders it was, of whomever.
pub async fn run_once(shared: &Shared, seen: &mut u64) -> Result<usize, StoreError> {
    let events = shared.store.events(DRAINED, *seen, MAX_BATCH).await?;
    for event in &events {
        let named = serde_json::from_slice::<String>(&event.body).ok();
        if named.as_ref() == Some(&shared.worker_id) && !shared.draining.is_cancelled() {
            log::info!("worker {} was asked to drain: it takes nothing new", shared.worker_id);
            shared.draining.cancel();
            // A presence of a moment before may have said otherwise.
            presence::run_once(shared).await?;
        }
        *seen = event.id;
    }
    Ok(events.len())
}
