//! Roles that act on events: each event of one stream once, in order, as long as the worker lives.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::store::{Event, MAX_BATCH, StoreError};

use super::Shared;

const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The pause after a store that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// What is done with the events of a stream.
#[async_trait]
pub trait Follower: Send + Sync {
    fn stream(&self) -> &'static str;

    /// One event. After an error it comes again, so what was done of it must bear being done twice.
    async fn take(&self, shared: &Shared, event: &Event) -> Result<(), StoreError>;
}

/// Until the worker has ended.
pub async fn run(shared: Arc<Shared>, follower: impl Follower) {
    // What happened before this worker began is passed over in portions: it names others.
    let mut seen = 0;
    loop {
        match run_once(&shared, &follower, &mut seen).await {
            Ok(MAX_BATCH) => continue,
            Ok(_) => tokio::select! {
                () = shared.store.wait_for_events(follower.stream(), seen, LONGEST_WAIT) => {}
                () = shared.ended.cancelled() => return,
            },
            Err(e) => {
                log::debug!("events of {}: {e}", follower.stream());
                if !shared.pause(PAUSE).await {
                    return;
                }
            }
        }
    }
}

/// One portion of what happened since `seen`; how many events it was.
pub async fn run_once(
    shared: &Shared,
    follower: &impl Follower,
    seen: &mut u64,
) -> Result<usize, StoreError> {
    let events = shared.store.events(follower.stream(), *seen, MAX_BATCH).await?;
    for event in &events {
        follower.take(shared, event).await?;
        *seen = event.id;
    }
    Ok(events.len())
}
