//! What happens in workflows, as it happens: events, and the tokens of running steps, for any number of viewers.
//!
//! ```text
//! store ── one pump a stream and process ──▶ channel of 256 ──▶ viewers, each at its own pace
//!   └────────────── what a viewer missed is read again, from the id it has seen last ──▶
//! ```
//!
//! A viewer that is slow, or was away, reads from the store what the channel has dropped, so that its memory is
//! bounded and it misses nothing; a pump ends with its last viewer, and no workflow waits for either. Events have
//! their ids from the write that made them. What a model says meanwhile is no event: it is looked at four times a
//! second, and a viewer gets what it has not seen.

mod hub;
mod viewer;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

pub use viewer::{Frame, Viewer};

use self::hub::Hub;
use super::{Foundation, ServiceError, records, workers::DRAINED};
use crate::{
    model::Workflow,
    store::{ALL_EVENTS, Event, REVOKED},
    telemetry::counters,
};

/// The most viewers of one process.
pub const MAX_VIEWERS: usize = 5_000;

/// The viewers of this process. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
}

struct Shared {
    base: Arc<Foundation>,
    hubs: Mutex<HashMap<String, Arc<Hub>>>,
    viewers: AtomicUsize,
    closing: CancellationToken,
}

/// Where a viewer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With the event after this one; 0: with the first that is kept.
    After(u64),
    /// With what comes from now on.
    Now,
}

impl Live {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        let (hubs, viewers, closing) = (Mutex::default(), AtomicUsize::new(0), CancellationToken::new());
        Self { shared: Arc::new(Shared { base, hubs, viewers, closing }) }
    }

    /// Watches one workflow to its end.
    pub async fn workflow(&self, id: &str, since: Since) -> Result<Option<Viewer>, ServiceError> {
        let store = self.shared.base.store.as_ref();
        let found = records::load::<Workflow>(store, records::workflow_key(id)).await?;
        found.ok_or_else(|| ServiceError::NotFound("Workflow not found".to_owned()))?;
        self.watch(id, since).await
    }

    /// Watches all workflows; it has no end.
    pub async fn all(&self, since: Since) -> Result<Option<Viewer>, ServiceError> {
        self.watch(ALL_EVENTS, since).await
    }

    /// `None` when there are too many viewers.
    async fn watch(&self, stream: &str, since: Since) -> Result<Option<Viewer>, ServiceError> {
        let Some(place) = Place::take(&self.shared) else { return Ok(None) };
        let after = match since {
            Since::After(id) => id,
            Since::Now => self.shared.base.store.newest_event(stream).await?,
        };
        Ok(Some(Viewer::new(place, stream, after)))
    }

    /// Ends all streams: the server stops.
    pub fn close(&self) {
        self.shared.closing.cancel();
    }

    /// How many viewers there are.
    pub fn viewers(&self) -> usize {
        self.shared.viewers.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// The hub of a stream that still runs; a new one where there is none.
    fn hub(self: &Arc<Self>, stream: &str, after: u64) -> Arc<Hub> {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hub) = hubs.get(stream).filter(|hub| !hub.has_ended()) {
            return hub.clone();
        }
        let hub = Hub::start(self.clone(), stream, after);
        hubs.insert(stream.to_owned(), hub.clone());
        hub
    }

    /// Forgets a hub that has ended, unless another one has taken its place.
    fn forget(&self, stream: &str, hub: &Arc<Hub>) {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        if hubs.get(stream).is_some_and(|known| Arc::ptr_eq(known, hub)) {
            hubs.remove(stream);
        }
    }
}

/// Whether an event is one that viewers are told: some are orders from process to process.
fn is_told(event: &Event) -> bool {
    ![REVOKED, DRAINED].contains(&event.stream.as_str())
}

/// One of the places for viewers.
struct Place {
    shared: Arc<Shared>,
}

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let taken = shared
            .viewers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < MAX_VIEWERS).then_some(n + 1));
        counters::VIEWERS.add(i64::from(taken.is_ok()));
        taken.ok().map(|_| Self { shared: shared.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.viewers.fetch_sub(1, Ordering::Relaxed);
        counters::VIEWERS.add(-1);
    }
}
