//! The janitor: removes what has expired, in bounded portions.

use std::{sync::Arc, time::Duration};

use crate::store::{MAX_BATCH, StoreError};

use super::{Shared, Spell, jittered};

const RHYTHM: Duration = Duration::from_secs(2);

/// Until the worker has ended. Any number of processes may clean.
pub async fn run(shared: Arc<Shared>) {
    let mut spell = Spell::default();
    loop {
        match run_once(&shared).await {
            Ok(true) => continue,
            Ok(false) => spell.over(),
            Err(e) => spell.failed("what has expired cannot be removed", e),
        }
        if !shared.pause(jittered(RHYTHM)).await {
            return;
        }
    }
}

/// One portion; whether more is left.
pub async fn run_once(shared: &Shared) -> Result<bool, StoreError> {
    shared.store.expire(MAX_BATCH).await
}
