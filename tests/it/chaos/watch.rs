//! The watcher: looks on while a run goes, for what cannot be told afterwards. Whether a lease outlives
//! its owner, whether work waits and nobody takes it, when an answer came into the journal, how often a
//! result was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::Duration,
};

use deadpool_redis::redis::Client;
use futures_util::StreamExt;
use productforge::store::{QueueDepth, Store};
use tokio::time::{Instant, sleep, timeout};

use super::{
    board::{Board, now_us},
    place::Place,
    plan::LEASE,
};

const RHYTHM: Duration = Duration::from_millis(25);
/// The promise: a job is with a living worker again this long after its lease.
const PROMISE: Duration = Duration::from_secs(2);
/// What a look and a busy machine may add; looks that come late add their lateness.
const SLACK: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Default)]
pub struct Seen {
    /// Job id → when its answer was certainly in the journal.
    pub journaled: BTreeMap<String, i64>,
    /// Job id → how often its result was written.
    pub results_written: BTreeMap<String, usize>,
    /// The longest that a lease stood after its end.
    pub worst_overdue: Duration,
    /// The longest that work waited and nothing moved.
    pub worst_standstill: Duration,
    pub stuck: Vec<String>,
}

/// Looks on until it is dropped.
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Watcher {
    pub async fn of_redis(store: Arc<dyn Store>, url: String, board: Arc<Board>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let tasks = vec![
            tokio::spawn(look_on(Place::Redis(store), board, seen.clone())),
            tokio::spawn(listen(url, seen.clone(), ready)),
        ];
        subscribed.await.unwrap();
        Self { seen, tasks }
    }

    pub fn of_sqlite(file: PathBuf, board: Arc<Board>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let place = Place::Sqlite { file, reader: None, last_document: 0 };
        let tasks = vec![tokio::spawn(look_on(place, board, seen.clone()))];
        Self { seen, tasks }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// One look at a store.
pub struct Look {
    pub depth: QueueDepth,
    pub leases: Vec<Lease>,
    /// How many results there are.
    pub finished: u64,
    /// Jobs whose answers have come into the journal since the last look, where a look can tell.
    pub journaled: Vec<String>,
}

pub struct Lease {
    pub token: u64,
    pub worker: String,
    pub expires_at: i64,
}

/// How long something has not moved, as far as it is the system's fault.
struct Standstill<T> {
    last: Option<T>,
    since: Instant,
    told: bool,
}

impl<T: PartialEq> Standstill<T> {
    fn new() -> Self {
        Self { last: None, since: Instant::now(), told: false }
    }

    fn forgive(&mut self) {
        self.last = None;
    }

    /// What there is to see now; how long it has been so.
    fn look(&mut self, now: T) -> Duration {
        if self.last.as_ref() != Some(&now) {
            *self = Self { last: Some(now), ..Self::new() };
        }
        self.since.elapsed()
    }
}

impl Seen {
    fn note_standstill<T>(&mut self, stands: &mut Standstill<T>, time: Duration, late: Duration, what: &str) {
        self.worst_standstill = self.worst_standstill.max(time);
        if time > LEASE + PROMISE + SLACK + late && !stands.told {
            stands.told = true;
            self.stuck.push(format!("stuck: {what}, and nothing moved for {time:?}"));
        }
    }
}

async fn look_on(mut place: Place, board: Arc<Board>, seen: Arc<Mutex<Seen>>) {
    let mut back = Instant::now();
    let mut stands = Standstill::new();
    let mut told = BTreeSet::new();
    let (mut late, mut last_look) = (Duration::ZERO, Instant::now());
    loop {
        sleep(RHYTHM).await;
        // Lateness counts for as long as it could have held something up, then it fades.
        late = late.mul_f64(0.99) + last_look.elapsed().saturating_sub(RHYTHM * 2);
        last_look = Instant::now();
        if !board.store_up.load(Ordering::Acquire) {
            place.let_go();
            board.looking.store(false, Ordering::Release);
            back = Instant::now();
            continue;
        }
        board.looking.store(true, Ordering::Release);
        let Ok(Some(look)) = timeout(Duration::from_secs(1), place.look()).await else {
            back = Instant::now();
            stands.forgive();
            continue;
        };
        board.open.store(look.depth.open() as usize, Ordering::Release);
        let mut seen = seen.lock().unwrap();
        let now = now_us();
        for job in look.journaled {
            seen.journaled.entry(job).or_insert(now);
        }
        for lease in &look.leases {
            let overdue = Duration::from_millis(u64::try_from(now / 1000 - lease.expires_at).unwrap_or(0));
            let overdue = overdue.min(back.elapsed());
            seen.worst_overdue = seen.worst_overdue.max(overdue);
            if overdue > PROMISE + SLACK + late && told.insert(lease.token) {
                let (token, worker) = (lease.token, &lease.worker);
                seen.stuck.push(format!("stuck: lease {token} of {worker} stands {overdue:?} after its end"));
            }
        }
        if look.depth.ready() == 0 {
            stands.forgive();
            continue;
        }
        let tokens: Vec<u64> = look.leases.iter().map(|lease| lease.token).collect();
        let time = stands.look((look.finished, tokens)).min(back.elapsed());
        let what = format!("{} jobs wait, {} are leased", look.depth.ready(), look.depth.leased);
        seen.note_standstill(&mut stands, time, late, &what);
    }
}

/// Hears of every string that is written: calls and results.
async fn listen(url: String, seen: Arc<Mutex<Seen>>, ready: tokio::sync::oneshot::Sender<()>) {
    let mut ready = Some(ready);
    loop {
        if loaded(&url).await
            && let Ok(mut heard) = Client::open(url.as_str()).unwrap().get_async_pubsub().await
            && heard.psubscribe(&["__keyspace@0__:call:*", "__keyspace@0__:result:*"][..]).await.is_ok()
        {
            if let Some(ready) = ready.take() {
                let _ = ready.send(());
            }
            let mut messages = heard.into_on_message();
            while let Some(message) = messages.next().await {
                if message.get_payload::<String>().is_ok_and(|command| command == "set") {
                    note(&mut seen.lock().unwrap(), message.get_channel_name());
                }
            }
        }
        // Until the store is back.
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the store is there and has read its file: it tells of what it reads, too.
async fn loaded(url: &str) -> bool {
    let Ok(mut connection) = Client::open(url).unwrap().get_multiplexed_async_connection().await else {
        return false;
    };
    deadpool_redis::redis::cmd("DBSIZE").query_async::<u64>(&mut connection).await.is_ok()
}

fn note(seen: &mut Seen, channel: &str) {
    let Some((_, key)) = channel.split_once(':') else { return };
    if let Some(job) = key.strip_prefix("result:") {
        *seen.results_written.entry(job.to_owned()).or_default() += 1;
    } else if let Some(job) = key.strip_prefix("call:").and_then(|rest| rest.strip_suffix(":1")) {
        seen.journaled.entry(job.to_owned()).or_insert_with(now_us);
    }
}
