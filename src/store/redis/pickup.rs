//! Waiting for work and taking it in one go.
//!
//! A worker that finds nothing leaves a note of how much it wants (`pf:wanted:{worker}`), and the watchers
//! of `wakeup` send `pickup.lua`, which goes by it, right behind their `BLMOVE`: the server runs it the moment
//! the list has got something, and no round trip lies between the two.
//!
//! The note keeps that to the free slots. Who takes by it spends it in the same step, so that of three
//! watchers, and of the worker itself when it stops waiting, only one takes. It lives little longer than
//! the wait: what connections of a frozen or unplugged worker still hold soon takes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool_redis::redis::Value;
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use super::{
    Shared, apply,
    queues::{self, Note, Taken},
};
use crate::store::{Change, Delivery, LeaseEnd, Reserve, StoreError, UnixMs, limits};

/// How long a note outlives the wait that it was left for.
const MARGIN: Duration = Duration::from_secs(1);
/// How long the answer to a call that went by the note may be on its way.
const LATEST: Duration = Duration::from_secs(1);

/// What watchers have taken for this process. The worker that waits holds the lock.
pub(super) type Arrivals = Mutex<mpsc::UnboundedReceiver<Value>>;

pub(super) async fn reserve_or_wait(
    store: &Arc<Shared>,
    request: &Reserve,
    longest: Duration,
) -> Result<Vec<Delivery>, StoreError> {
    limits::check_page("payloads", request.limit)?;
    let Ok(mut arrivals) = store.arrivals.try_lock() else {
        // Somebody else of this process waits in this way: one at a time.
        store.wakeup.wait(longest).await;
        let begun = Instant::now();
        return Ok(take(store, request, Note::Ignored).await?.deliveries(begun));
    };
    give_back_late(store, &mut arrivals).await;

    let begun = Instant::now();
    let found = take(store, request, Note::Left(longest + MARGIN)).await?;
    if !found.is_empty() {
        return Ok(found.deliveries(begun));
    }
    let left_at = found.at;
    let note = LeftNote { store, request: Some(request) };
    let arrived = {
        let _taking = store.wakeup.taking(queues::take_by_note(store, request));
        tokio::select! {
            biased;
            arrived = arrivals.recv() => arrived,
            () = store.wakeup.wait(longest) => None,
        }
    };
    note.settle();
    if let Some(arrived) = arrived {
        return by_note(arrived, begun, left_at);
    }
    let ended_at = Instant::now();
    let rest = take(store, request, Note::Removed).await?;
    if !rest.by_note {
        return Ok(rest.deliveries(ended_at));
    }
    match timeout(LATEST, arrivals.recv()).await {
        Ok(Some(arrived)) => by_note(arrived, begun, left_at),
        // The caller gives back what is leased in its name and it knows nothing of.
        _ => Err(store.unavailable("an answer with jobs is missing")),
    }
}

/// Takes in a task of its own: for a caller that goes meanwhile what it takes is given back.
async fn take(store: &Arc<Shared>, request: &Reserve, note: Note) -> Result<Taken, StoreError> {
    let (caller, answer) = oneshot::channel();
    let (shared, request) = (store.clone(), request.clone());
    store.pickups.spawn(async move {
        let taken = queues::take(&shared, &request, note).await;
        if let Err(Ok(taken)) = caller.send(taken) {
            give_back(&shared, &taken).await;
        }
    });
    answer.await.unwrap_or_else(|_| Err(store.unavailable("the call was given up")))
}

/// A note that was left. Should its owner be dropped while it waits, the note is removed, and what came by
/// it is given back.
struct LeftNote<'a> {
    store: &'a Arc<Shared>,
    request: Option<&'a Reserve>,
}

impl LeftNote<'_> {
    fn settle(mut self) {
        self.request = None;
    }
}

impl Drop for LeftNote<'_> {
    fn drop(&mut self) {
        let Some(request) = self.request else { return };
        // Where a runtime is taken down the note ends by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, request) = (self.store.clone(), Reserve { limit: 0, ..request.clone() });
        let end = async move {
            let mut arrivals = store.arrivals.lock().await;
            match queues::take(&store, &request, Note::Removed).await {
                Ok(rest) if rest.by_note => {
                    if let Ok(Some(arrived)) = timeout(LATEST, arrivals.recv()).await {
                        give_back_read(&store, arrived).await;
                    }
                }
                Ok(_) => {}
                Err(error) => log::debug!("a note of a worker that has gone ends by itself: {error}"),
            }
        };
        self.store.pickups.spawn_on(end, &runtime);
    }
}

/// What was taken by a note that was left at `left_at` of the server's time, not before `begun` of ours.
fn by_note(arrived: Value, begun: Instant, left_at: UnixMs) -> Result<Vec<Delivery>, StoreError> {
    let (taken, _) = queues::read_taken(arrived)?;
    // Not the time of its arrival: this process may have been frozen meanwhile.
    let since = Duration::from_millis(taken.at.saturating_sub(left_at).max(0) as u64);
    Ok(taken.deliveries(begun + since.min(begun.elapsed())))
}

/// Gives back what came when nobody waited for it any more.
async fn give_back_late(store: &Arc<Shared>, arrivals: &mut mpsc::UnboundedReceiver<Value>) {
    while let Ok(late) = arrivals.try_recv() {
        give_back_read(store, late).await;
    }
}

async fn give_back_read(store: &Arc<Shared>, arrived: Value) {
    match queues::read_taken(arrived) {
        Ok((taken, _)) => give_back(store, &taken).await,
        Err(error) => log::warn!("{error}"),
    }
}

/// A lease that cannot be given back runs out.
async fn give_back(store: &Arc<Shared>, taken: &Taken) {
    for token in taken.tokens() {
        if let Err(error) = apply::apply(store, Change::new().under(token, LeaseEnd::Requeue)).await {
            log::warn!("a job that was taken for a worker that has gone keeps its lease: {error}");
        }
    }
}

/// Before the store is closed: what has still been taken goes back.
pub(super) async fn rest(store: &Arc<Shared>) {
    store.pickups.close();
    timeout(2 * LATEST, store.pickups.wait()).await.ok();
    if let Ok(mut arrivals) = timeout(LATEST, store.arrivals.lock()).await {
        give_back_late(store, &mut arrivals).await;
    }
}
