//! The upload janitor: removes uploads that are over, file and documents together.

use std::{sync::Arc, time::Duration};

use crate::service::{ServiceError, Services};

use super::{Shared, Spell, jittered};

const RHYTHM: Duration = Duration::from_secs(10);

/// Until the worker has ended. Any number of processes may clean.
pub async fn run(shared: Arc<Shared>, services: Services) {
    let mut spell = Spell::default();
    loop {
        match run_once(&services).await {
            Ok(true) => continue,
            Ok(false) => spell.over(),
            Err(e) => spell.failed("uploads that are over cannot be removed", e),
        }
        if !shared.pause(jittered(RHYTHM)).await {
            return;
        }
    }
}

/// One portion; whether more is left.
pub async fn run_once(services: &Services) -> Result<bool, ServiceError> {
    services.uploads.expire().await
}
