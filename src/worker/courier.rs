//! The courier: delivers the reports of workflows to the addresses that their briefs named.

use std::{sync::Arc, time::Duration};

use crate::service::{ServiceError, Services};

use super::{Shared, Spell, jittered};

const RHYTHM: Duration = Duration::from_secs(1);

/// Until the worker has ended and what is under way as well. Any number of processes may deliver.
pub async fn run(shared: Arc<Shared>, services: Services) {
    let mut round = services.webhooks.round();
    let mut spell = Spell::default();
    let mut told = |outcome: Result<(), ServiceError>| match outcome {
        Ok(()) => spell.over(),
        Err(error) => spell.failed("reports of workflows cannot be delivered", error),
    };
    loop {
        told(round.begin().await);
        tokio::select! {
            outcome = round.ended() => told(outcome.map_err(Into::into)),
            goes_on = shared.pause(jittered(RHYTHM)) => if !goes_on { break },
        }
    }
    while !round.is_idle() {
        told(round.ended().await.map_err(Into::into));
    }
}
