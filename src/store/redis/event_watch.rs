//! Waiting for events without polling: one connection per process blocks at the end of the stream of all
//! events and tells who waits for the streams that something came into.
//!
//! No event is missed between a look and a wait: a waiter is registered first, then the watch is known to
//! stand at a place in the stream, and only then the waiter looks at its own stream. What was written
//! before that place is found by the look, what comes after it by the watch.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{
    Cmd, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd,
};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{link::Link, reply::Reply};
use crate::store::{ALL_EVENTS, StoreError};

/// How long one look blocks: 0.2 commands a second of an idle process.
const BLOCK: Duration = Duration::from_secs(5);
/// A reply that is this late is not coming: the connection hangs.
const WATCHDOG: Duration = Duration::from_secs(7);
/// Events taken by one look.
const PORTION: usize = 100;
/// The least time between two looks while events pour in: they are told in portions.
const BREATH: Duration = Duration::from_millis(5);
/// The pause before connecting anew grows from the first to the second, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The watch of one process.
pub(super) struct EventWatch {
    shared: Arc<Shared>,
    link: Arc<Link>,
    stream_of_all: String,
    watcher: Mutex<Option<AbortHandle>>,
}

struct Shared {
    waiters: Mutex<HashMap<String, Waiters>>,
    /// Whether the watcher stands at a place in the stream.
    standing: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiters {
    bell: Arc<Notify>,
    number: usize,
}

impl EventWatch {
    pub fn new(link: Arc<Link>, stream_of_all: String) -> Self {
        let shared = Shared { waiters: Mutex::default(), standing: watch::Sender::new(false) };
        Self { shared: Arc::new(shared), link, stream_of_all, watcher: Mutex::default() }
    }

    /// Waits until something may have come into a stream, at most this long. `look` says whether there
    /// is something already; it is asked once.
    pub async fn wait(&self, stream: &str, longest: Duration, look: impl Future<Output = bool>) {
        let waiting = Waiting::begin(&self.shared, stream);
        let rung = waiting.bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        self.watch();
        let wait = async {
            let mut standing = self.shared.standing.subscribe();
            // The sender is ours, so this cannot fail.
            standing.wait_for(|standing| *standing).await.ok();
            if !look.await {
                rung.await;
            }
        };
        timeout(longest, wait).await.ok();
    }

    /// Ends the watcher.
    pub fn close(&self) {
        if let Some(watcher) = self.watcher().take() {
            watcher.abort();
        }
    }

    /// Starts the watcher where none runs (the first wait, or its runtime has ended).
    fn watch(&self) {
        let mut watcher = self.watcher();
        if watcher.as_ref().is_none_or(AbortHandle::is_finished) {
            self.shared.standing.send_replace(false);
            let run = run(self.shared.clone(), self.link.clone(), self.stream_of_all.clone());
            *watcher = Some(tokio::spawn(run).abort_handle());
        }
    }

    fn watcher(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for EventWatch {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, HashMap<String, Waiters>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, stream: &str) {
        if let Some(waiters) = self.waiters().get(stream) {
            waiters.bell.notify_waiters();
        }
    }

    /// Nobody knows what was missed: all are to look.
    fn ring_all(&self) {
        for waiters in self.waiters().values() {
            waiters.bell.notify_waiters();
        }
    }
}

/// One call that waits, for as long as it does.
struct Waiting<'a> {
    shared: &'a Shared,
    stream: String,
    bell: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared, stream: &str) -> Self {
        let mut all = shared.waiters();
        let waiters = all.entry(stream.to_owned()).or_default();
        waiters.number += 1;
        Self { shared, stream: stream.to_owned(), bell: waiters.bell.clone() }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut all = self.shared.waiters();
        if let Some(waiters) = all.get_mut(&self.stream) {
            waiters.number -= 1;
            if waiters.number == 0 {
                all.remove(&self.stream);
            }
        }
    }
}

async fn run(shared: Arc<Shared>, link: Arc<Link>, stream: String) {
    let mut pause = FIRST_PAUSE;
    loop {
        // Ends with an error only; what came while the connection was away is looked for by the waiters.
        let stood = follow(&shared, &link, &stream).await;
        shared.standing.send_replace(false);
        shared.ring_all();
        pause = if stood { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

/// Follows the stream until the connection is lost; whether it ever stood in it.
async fn follow(shared: &Shared, link: &Link, stream: &str) -> bool {
    let Ok(mut connection) = link.target().connect().await else { return false };
    let mut moves = link.target().moves();
    let mut newest = cmd("XREVRANGE");
    newest.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let Some(newest) = ask(&mut connection, &newest).await else { return false };
    let mut last = match entries(newest) {
        Ok(entries) => entries.last().map_or("0-0".to_owned(), |(id, _)| id.clone()),
        Err(_) => return false,
    };
    shared.standing.send_replace(true);
    loop {
        let mut look = cmd("XREAD");
        look.arg("COUNT").arg(PORTION).arg("BLOCK").arg(BLOCK.as_millis() as u64);
        look.arg("STREAMS").arg(stream).arg(&last);
        let answer = tokio::select! {
            answer = ask(&mut connection, &look) => answer,
            // Another server counts now: nothing is added to the stream of this one any more.
            _ = moves.changed() => return true,
        };
        let Some(answer) = answer else { return true };
        if answer == Value::Nil {
            continue;
        }
        let Ok(came) = streams(answer) else { return true };
        for (id, stream) in came {
            last = id;
            shared.ring(&stream);
        }
        shared.ring(ALL_EVENTS);
        sleep(BREATH).await;
    }
}

async fn ask(connection: &mut MultiplexedConnection, command: &Cmd) -> Option<Value> {
    match timeout(WATCHDOG, connection.req_packed_command(command)).await {
        Ok(Ok(Value::ServerError(_)) | Err(_)) | Err(_) => None,
        Ok(Ok(value)) => Some(value),
    }
}

/// The entries of the one stream that was read.
pub(super) fn streams(answer: Value) -> Result<Vec<(String, String)>, StoreError> {
    let mut stream = Reply::of("XREAD", answer)?.array()?;
    stream.next()?;
    entries(stream.next()?)
}

/// Ids of entries, and the streams that the events belong to.
fn entries(value: Value) -> Result<Vec<(String, String)>, StoreError> {
    let mut reply = Reply::of("events", value)?;
    let mut entries = Vec::with_capacity(reply.len());
    while !reply.is_empty() {
        let mut entry = reply.array()?;
        let (id, mut fields) = (entry.text()?, entry.array()?);
        let mut stream = ALL_EVENTS.to_owned();
        while !fields.is_empty() {
            match fields.bytes()?.as_slice() {
                b"s" => stream = fields.text()?,
                _ => _ = fields.next()?,
            }
        }
        entries.push((id, stream));
    }
    Ok(entries)
}
