//! The courier: delivers the reports of workflows to the addresses that their briefs named.

use std::{sync::Arc, time::Duration};

use crate::service::Services;

use super::{Shared, jittered};

const RHYTHM: Duration = Duration::from_secs(1);

/// Until the worker has ended. Any number of processes may deliver.
pub async fn run(shared: Arc<Shared>, services: Services) {
    loop {
        match services.webhooks.run_once().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(e) => log::debug!("delivering reports: {e}"),
        }
        if !shared.pause(jittered(RHYTHM)).await {
            return;
        }
    }
}
