//! Revocations: tells jobs of this worker at once that somebody has taken their leases away.
//!
//! A cancelled job's lease ends in the same step that says so; an event is the hint that makes a running
//! worker look. Who misses it (a lost connection, a frozen process) learns of it with the next renewal.

use std::{sync::Arc, time::Duration};

use crate::store::{MAX_BATCH, REVOKED, StoreError, Token};

use super::Shared;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Until the worker has ended.
pub async fn run(shared: Arc<Shared>) {
    // What was revoked before this worker began is none of its jobs'; it is passed over in portions.
    let mut seen = 0;
    loop {
        match run_once(&shared, &mut seen).await {
            Ok(MAX_BATCH) => continue,
            Ok(_) => tokio::select! {
                () = shared.store.wait_for_events(REVOKED, seen, LONGEST_WAIT) => {}
                () = shared.ended.cancelled() => return,
            },
            Err(e) => {
                log::debug!("revocations: {e}");
                if !shared.pause(Duration::from_secs(1)).await {
                    return;
                }
            }
        }
    }
}

/// One portion of what was revoked since `seen`; how many it was.
pub async fn run_once(shared: &Shared, seen: &mut u64) -> Result<usize, StoreError> {
    let events = shared.store.events(REVOKED, *seen, MAX_BATCH).await?;
    for event in &events {
        *seen = event.id;
        if let Some(token) = std::str::from_utf8(&event.body).ok().and_then(|text| text.parse().ok()) {
            shared.held.lose(Token(token));
        }
    }
    Ok(events.len())
}
