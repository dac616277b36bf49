//! The scheduler: moves jobs whose time has come into their queues.

use std::{sync::Arc, time::Duration};

use crate::store::{MAX_BATCH, StoreError};

use super::{Shared, Spell};

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(1);
/// The shortest, so that a clock that stands still does not make it spin.
const SHORTEST: Duration = Duration::from_millis(5);

/// Until the worker has ended. Any number of processes may schedule.
pub async fn run(shared: Arc<Shared>) {
    let mut spell = Spell::default();
    loop {
        let wait = match run_once(&shared).await {
            Ok(wait) => {
                spell.over();
                wait
            }
            Err(e) => {
                spell.failed("jobs that are due cannot be queued", e);
                LONGEST
            }
        };
        tokio::select! {
            going_on = shared.pause(wait) => if !going_on { return },
            () = shared.scheduled.notified() => {}
        }
    }
}

/// One bounded move; returns how long until the next look.
pub async fn run_once(shared: &Shared) -> Result<Duration, StoreError> {
    let promoted = shared.store.promote(MAX_BATCH).await?;
    if promoted.moved == MAX_BATCH {
        return Ok(Duration::ZERO);
    }
    let Some(due) = promoted.next_due else { return Ok(LONGEST) };
    let left = u64::try_from(due - promoted.now).unwrap_or(0);
    Ok(Duration::from_millis(left).clamp(SHORTEST, LONGEST))
}
