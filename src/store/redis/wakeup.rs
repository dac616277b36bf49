//! Waiting for work without polling and without ever holding a payload.
//!
//! `BRPOP` and its kind lose what they popped when the client dies or gives up before the reply. Here
//! nothing is popped: one connection per list waits in `BLMOVE list list RIGHT RIGHT`, which puts the
//! tail back where it was, in the same step. It answers when the list has something in it, whoever put
//! it there, and a watcher that is killed, hangs or is abandoned has nothing to lose.
//!
//! - The three connections are the process', however many tasks wait. They are made by the first wait.
//! - On a list with payloads `BLMOVE` answers at once, so a watcher asks only while somebody waits, and
//!   once per call that waits: jobs that lie there while all slots are busy cost nothing.
//! - What this process itself put into a list wakes its waiters directly.
//! - While a worker waits to take (`pickup`), a watcher sends that script right behind the `BLMOVE`, and
//!   hands on what it has taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{
    Cmd, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd, pipe,
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{link::Link, script};

/// How long one `BLMOVE` waits: three lists make 0.4 commands a second of an idle process.
const BLOCK: Duration = Duration::from_secs(8);
/// A reply that is this late is not coming: the connection hangs.
const WATCHDOG: Duration = Duration::from_secs(10);
/// What `scripts/reserve.lua` answers beside payloads.
const NO_PAYLOADS: usize = 5;
/// The pause before connecting anew grows from the first to the second, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The waiting room of one process.
pub(super) struct Wakeup {
    shared: Arc<Shared>,
    link: Arc<Link>,
    lists: [String; 3],
    watchers: std::sync::Mutex<Vec<AbortHandle>>,
}

struct Shared {
    /// Changes when a payload may have become ready.
    ready: watch::Sender<u64>,
    /// Changes with every call that begins to wait.
    calls: watch::Sender<u64>,
    /// How many wait now.
    waiting: watch::Sender<usize>,
    /// Lists that nothing is taken from now: what lies there is no work. As the last `reserve` saw it.
    passed_over: [AtomicBool; 3],
    /// How a worker that waits takes what comes.
    take: std::sync::Mutex<Option<Arc<Cmd>>>,
    /// Where what was taken goes.
    arrivals: mpsc::UnboundedSender<Value>,
}

impl Wakeup {
    pub fn new(link: Arc<Link>, lists: [String; 3], arrivals: mpsc::UnboundedSender<Value>) -> Self {
        let shared = Shared {
            ready: watch::Sender::new(0),
            calls: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
            passed_over: Default::default(),
            take: std::sync::Mutex::default(),
            arrivals,
        };
        Self { shared: Arc::new(shared), link, lists, watchers: std::sync::Mutex::default() }
    }

    /// Something was put into a list.
    pub fn ring(&self) {
        self.shared.ring();
    }

    /// From now on these lists wake nobody.
    pub fn passing_over(&self, lists: [bool; 3]) {
        for (list, passed_over) in self.shared.passed_over.iter().zip(lists) {
            list.store(passed_over, Ordering::Relaxed);
        }
    }

    /// Waits until something may be in a list, at most this long.
    ///
    /// No wake-up is lost: the caller listens before it asks, so what is put in before the asking is
    /// found by the watchers' `BLMOVE`, and what is put in after it ends that `BLMOVE`.
    pub async fn wait(&self, longest: Duration) {
        let mut ready = self.shared.ready.subscribe();
        let _waiting = Waiting::begin(&self.shared);
        self.watch();
        // Only the time-out and a ring end this; an error of the sender cannot be, we hold it.
        timeout(longest, ready.changed()).await.ok();
    }

    /// Until the answer is dropped, who waits has this sent when a list has got something.
    pub fn taking(&self, take: Cmd) -> Taking<'_> {
        *self.shared.take() = Some(Arc::new(take));
        Taking(&self.shared)
    }

    /// Ends the watchers.
    pub fn close(&self) {
        for watcher in self.watchers().drain(..) {
            watcher.abort();
        }
    }

    /// Starts the watchers where none run (the first wait, or their runtime has ended).
    fn watch(&self) {
        let mut watchers = self.watchers();
        if watchers.is_empty() || watchers.iter().any(AbortHandle::is_finished) {
            for watcher in watchers.drain(..) {
                watcher.abort();
            }
            watchers.extend(self.lists.iter().enumerate().map(|(rank, list)| {
                let watcher = watch_list(self.shared.clone(), self.link.clone(), rank, list.clone());
                tokio::spawn(watcher).abort_handle()
            }));
        }
    }

    fn watchers(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.watchers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn ring(&self) {
        self.ready.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    fn take(&self) -> std::sync::MutexGuard<'_, Option<Arc<Cmd>>> {
        self.take.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A worker that waits to take, for as long as it does.
pub(super) struct Taking<'a>(&'a Shared);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        *self.0.take() = None;
    }
}

/// One call that waits, for as long as it does.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.waiting.send_modify(|waiting| *waiting += 1);
        shared.calls.send_modify(|calls| *calls = calls.wrapping_add(1));
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// Watches one list for as long as the process waits for work now and then.
async fn watch_list(shared: Arc<Shared>, link: Arc<Link>, rank: usize, list: String) {
    let mut calls = shared.calls.subscribe();
    let mut command = cmd("BLMOVE");
    command.arg(&list).arg(&list).arg("RIGHT").arg("RIGHT").arg(BLOCK.as_secs());
    let mut connection = None;
    let mut pause = FIRST_PAUSE;
    // A fresh watcher was started by a call that already waits.
    calls.mark_changed();
    while calls.changed().await.is_ok() {
        while *shared.waiting.borrow() > 0 {
            calls.mark_unchanged();
            if shared.passed_over[rank].load(Ordering::Relaxed) {
                // The next call looks again: it follows a `reserve`, which knows.
                break;
            }
            let take = shared.take().clone();
            match look(&mut connection, &link, &command, take).await {
                Ok(found) => {
                    pause = FIRST_PAUSE;
                    if let Some(taken) = found.taken {
                        shared.arrivals.send(taken).ok();
                    }
                    if found.something {
                        shared.ring();
                        // The next look is for the next call: those that wait have been told.
                        break;
                    }
                }
                Err(()) => {
                    connection = None;
                    sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// What came of one look.
struct Found {
    /// Whether the list has something in it.
    something: bool,
    /// The reply of the script that followed, if it took anything.
    taken: Option<Value>,
}

/// Waits up to [`BLOCK`] for the list to have something in it. The reason of an error is of no use here:
/// the next `reserve` meets it and tells it.
async fn look(
    connection: &mut Option<MultiplexedConnection>,
    link: &Link,
    command: &Cmd,
    take: Option<Arc<Cmd>>,
) -> Result<Found, ()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => {
            let mut fresh = link.target().connect().await.map_err(drop)?;
            script::PICKUP.load(&mut fresh).await.map_err(drop)?;
            fresh
        }
    };
    let mut commands = pipe();
    commands.add_command(command.clone());
    if let Some(take) = take {
        commands.add_command(Cmd::clone(&take));
    }
    let mut moves = link.target().moves();
    let answers = tokio::select! {
        answers = timeout(WATCHDOG, open.req_packed_commands(&commands, 0, commands.len())) => answers,
        // Another server counts now: nothing comes into the list of this one any more.
        _ = moves.changed() => return Err(()),
    };
    let mut answers = answers.map_err(drop)?.map_err(drop)?.into_iter();
    let something = match answers.next() {
        Some(Value::Nil) => false,
        Some(Value::ServerError(_)) | None => return Err(()),
        Some(_) => true,
    };
    let taken = match answers.next() {
        Some(Value::Array(parts)) if parts.len() > NO_PAYLOADS => Some(Value::Array(parts)),
        // The server has forgotten the script: the next connection brings it.
        Some(Value::ServerError(_)) => return Ok(Found { something, taken: None }),
        _ => None,
    };
    *connection = Some(open);
    Ok(Found { something, taken })
}
