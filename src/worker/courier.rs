//! The courier: delivers the reports of workflows to the addresses that their briefs named.

use std::{sync::Arc, time::Duration};

use crate::service::Services;

use super::{Shared, Spell, jittered};

const RHYTHM: Duration = Duration::from_secs(1);

/// Until the worker has ended. Any number of processes may deliver.
pub async fn run(shared: Arc<Shared>, services: Services) {
    let mut spell = Spell::default();
    loop {
        match services.webhooks.run_once().await {
            Ok(true) => continue,
            Ok(false) => spell.over(),
            Err(e) => spell.failed("reports of workflows cannot be delivered", e),
        }
        if !shared.pause(jittered(RHYTHM)).await {
            return;
        }
    }
}
