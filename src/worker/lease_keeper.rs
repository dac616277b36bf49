//! The lease keeper: renews all leases of this worker at a third of their length.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::store::{MAX_BATCH, StoreError};

use super::Shared;

/// The longest time between two tries while the store is away: the leases are running out.
const CLOSE_TOGETHER: Duration = Duration::from_millis(500);

/// Until the worker has ended.
pub async fn run(shared: Arc<Shared>) {
    let rhythm = shared.options.lease / 3;
    let mut wait = rhythm;
    let mut failing = false;
    while shared.pause(wait).await {
        let renewed = run_once(&shared).await;
        let told = std::mem::replace(&mut failing, renewed.is_err());
        wait = match renewed {
            Ok(()) => rhythm,
            Err(e) => {
                // Once, not with every try.
                let level = if told { log::Level::Debug } else { log::Level::Warn };
                log::log!(level, "leases could not be renewed: {e}; trying on");
                (rhythm / 6).min(CLOSE_TOGETHER)
            }
        };
        shared.held.lose_overdue(Instant::now());
    }
}

/// Renews every held lease; tells the jobs whose lease is gone.
pub async fn run_once(shared: &Shared) -> Result<(), StoreError> {
    let lease = shared.options.lease;
    for tokens in shared.held.tokens().chunks(MAX_BATCH) {
        let valid_until = Instant::now() + lease;
        let kept = shared.store.renew(tokens, lease.as_millis() as u64).await?;
        for (token, kept) in tokens.iter().zip(kept) {
            if kept {
                shared.held.extend(*token, valid_until);
            } else {
                shared.held.lose(*token);
            }
        }
    }
    Ok(())
}
