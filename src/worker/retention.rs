//! Retention: removes workflows and results beyond their age or number, where the settings bound them.

use std::{sync::Arc, time::Duration};

use crate::service::{ServiceError, Services};

use super::{Shared, Spell, jittered};

const RHYTHM: Duration = Duration::from_secs(5);
/// Between two portions, so that nobody notices it.
const BREATH: Duration = Duration::from_millis(20);

/// Until the worker has ended. Any number of processes may clean.
pub async fn run(shared: Arc<Shared>, services: Services) {
    if !services.retention.is_on() {
        return;
    }
    let mut spell = Spell::default();
    loop {
        let wait = match run_once(&services).await {
            Ok(more) => {
                spell.over();
                if more { BREATH } else { jittered(RHYTHM) }
            }
            // What cannot be removed now is tried again.
            Err(e) => {
                spell.failed("what is beyond its age or number cannot be removed", e);
                jittered(RHYTHM)
            }
        };
        if !shared.pause(wait).await {
            return;
        }
    }
}

/// One portion; whether more is left.
pub async fn run_once(services: &Services) -> Result<bool, ServiceError> {
    services.retention.run().await
}
