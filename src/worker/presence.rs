//! Presence: the worker's own document and the owner's `worker:heartbeat`.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use crate::{
    model::WorkerInfo,
    service::records,
    store::{Change, DocKey, StoreError},
};

use super::Shared;

const RHYTHM: Duration = Duration::from_secs(10);

/// Until the worker has ended.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let wait = match run_once(&shared).await {
            Ok(()) => RHYTHM,
            Err(e) => {
                log::debug!("presence: {e}");
                Duration::from_secs(1)
            }
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

/// Says once that this worker lives.
pub async fn run_once(shared: &Shared) -> Result<(), StoreError> {
    let now = shared.clock.now();
    let info = WorkerInfo {
        worker_id: shared.worker_id.clone(),
        host: host(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: shared.options.slots,
        running: shared.held.job_ids(),
        draining: shared.draining.is_cancelled(),
        started_at: shared.started_at,
        asked_at: Some(*shared.asked_at.lock().unwrap_or_else(PoisonError::into_inner)),
        seen_at: now,
    };
    let change = Change::new().put(records::put_worker(&info)).put(records::put_heartbeat(now));
    shared.store.apply(change).await.map(|_| ())
}

/// Takes the worker's document away at its orderly end.
pub async fn leave(shared: &Shared) {
    let key = DocKey::new(records::WORKER, &shared.worker_id);
    if let Err(e) = shared.store.apply(Change::new().delete(key)).await {
        log::debug!("presence: {e}");
    }
}

/// The machine's name, as far as it can be had without a system call of our own.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().chars().filter(|c| c.is_ascii_graphic()).take(64).collect::<String>())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "host".to_owned())
}
