//! The sweeper: returns jobs of workers that are not heard of to the front of their queues.

use std::{sync::Arc, time::Duration};

use crate::{
    store::{MAX_BATCH, StoreError},
    telemetry::counters,
};

use super::{Shared, Spell, jittered, lease_keeper};

const RHYTHM: Duration = Duration::from_secs(1);

/// Until the worker has ended. Any number of processes may sweep.
pub async fn run(shared: Arc<Shared>) {
    let mut spell = Spell::default();
    loop {
        match run_once(&shared).await {
            Ok(MAX_BATCH) => continue,
            Ok(_) => spell.over(),
            Err(e) => spell.failed("jobs of dead workers cannot be returned to their queues", e),
        }
        if !shared.pause(jittered(RHYTHM)).await {
            return;
        }
    }
}

/// One bounded sweep; returns how many jobs it returned to their queues.
pub async fn run_once(shared: &Shared) -> Result<usize, StoreError> {
    // Our own leases first: after a suspend or a step of the clock they may look run out, and nobody
    // knows better than this process that it lives.
    if !shared.held.is_empty() {
        lease_keeper::run_once(shared).await?;
    }
    let swept = shared.store.sweep(MAX_BATCH).await?;
    counters::CRASHES.add(swept.len() as u64);
    for lease in &swept {
        log::warn!(
            "a job of worker {} is delivered again: its lease {} ran out ({} time{})",
            lease.worker,
            lease.token,
            lease.crashes,
            if lease.crashes == 1 { "" } else { "s" }
        );
    }
    Ok(swept.len())
}
