//! The Redis store: the owner's keys, one script per verb.
//!
//! - `keys`: every key with type, owner and life
//! - `scripts/*.lua`: the semantics; `prelude.lua` says what all of them keep to
//! - `link`: connections. Ordinary traffic shares two multiplexed ones: `work` for what keeps jobs
//!   alive, `read` for documents, so that an export of large results never stands in front of a renewal.
//!   deadpool-redis brings the client; `link` says why neither its pool nor the client's
//!   `ConnectionManager` carries the traffic
//! - `target`: where to connect to now: one server, the owner of our slot in a cluster, the primary that sentinels
//!   name · `dial`: opens a connection · `trouble`: what can be wrong with it
//! - `apply`: the write and its group commit · `queues`, `documents`, `tallies`: the other verbs · `wakeup`: waiting ·
//!   `pickup`: waiting and taking · `event_watch`: waiting for events · `check`: is this Redis set up for work? · `audit`: mending ·
//!   `dump`, `restore`: all that is kept ·
//!   `raw`: past all of it, for migrations

mod apply;
mod audit;
mod check;
mod dial;
mod documents;
mod dump;
mod error;
mod event_watch;
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod link;
mod ms;
mod pickup;
mod plan;
mod queues;
mod raw;
mod reply;
mod restore;
mod script;
mod standing;
mod tallies;
mod target;
mod trouble;
mod wakeup;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, Value, cmd};
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::TaskTracker;

use self::{
    apply::Writer, event_watch::EventWatch, keys::Keys, link::Link, pickup::Arrivals, target::Target,
    trouble::Trouble, wakeup::Wakeup,
};
pub use self::{
    raw::{Lua, RawRedis},
    reply::Reply,
};
use crate::{
    config::{RedisAccess, StoreConfig},
    store::{
        AuditPart, Audited, Change, Cursor, Delivery, Doc, DocKey, DocPage, Dump, Event, IndexName, Item,
        LeaseInfo, ListQuery, Outcome, Promoted, Queue, QueueDepth, Reserve, Store, StoreError, StoreReport,
        Swept, Token, UnixMs,
    },
};

/// Which Redis, and where in it.
#[derive(Clone)]
pub struct RedisOptions {
    /// One of the forms of [`RedisUrl`](crate::config::RedisUrl).
    pub url: String,
    /// Stands before every key. With a hash tag (`{pf}:`) the store works on a cluster.
    pub prefix: String,
}

/// A [`Store`] in Redis.
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Keys,
    work: Arc<Link>,
    read: Link,
    writer: Writer,
    wakeup: Wakeup,
    arrivals: Arrivals,
    /// Calls that take for somebody who waits.
    pickups: TaskTracker,
    event_watch: EventWatch,
    closed: AtomicBool,
}

impl RedisStore {
    /// The first call connects, as does every one after the connection is lost; so a Redis that is away
    /// now is no reason to fail here. Only a URL that is none is.
    pub fn open(options: RedisOptions) -> Result<Self, StoreError> {
        Self::open_with(options, RedisAccess::default())
    }

    /// Opens what is configured, or another address with the same prefix and the same certificates.
    pub fn configured(config: &StoreConfig, url: &str) -> Result<Self, StoreError> {
        let options = RedisOptions { url: url.to_owned(), prefix: config.redis_prefix.clone() };
        Self::open_with(options, config.redis_access.clone())
    }

    /// The same with what is needed beside the address.
    pub fn open_with(options: RedisOptions, access: RedisAccess) -> Result<Self, StoreError> {
        // For rediss://. Err says that the process has one already.
        rustls::crypto::ring::default_provider().install_default().ok();
        let target = Target::new(&options.url, &options.prefix, access)?;
        let keys = Keys::new(&options.prefix);
        let work = Arc::new(Link::new(Arc::new(target)));
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let shared = Shared {
            wakeup: Wakeup::new(work.clone(), keys.lists.clone(), arrived),
            arrivals: Mutex::new(arrivals),
            pickups: TaskTracker::new(),
            event_watch: EventWatch::new(work.clone(), keys.all_events.clone()),
            read: work.beside(),
            work,
            writer: Writer::default(),
            keys,
            closed: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where it is, as it may be shown: without user and password, but with the number of the database.
    pub fn place(&self) -> String {
        let target = self.shared.work.target();
        format!("{}/{}", target.place.shown, target.database())
    }

    fn opened(&self) -> Result<&Arc<Shared>, StoreError> {
        match self.shared.closed.load(Ordering::Acquire) {
            true => Err(self.shared.unavailable("the store is closed")),
            false => Ok(&self.shared),
        }
    }
}

impl Shared {
    fn unavailable(&self, why: &str) -> StoreError {
        self.work.place().unavailable(why)
    }

    async fn read(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.read.read(command).await.map_err(|error| self.read.place().explain(&error))
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        let mut reply = Reply::of("now", self.opened()?.read(&cmd("TIME")).await?)?;
        let (seconds, micros): (i64, i64) = (reply.number()?, reply.number()?);
        Ok(seconds * 1000 + micros / 1000)
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        check::check(self.opened()?).await
    }

    fn trouble(&self) -> Option<&'static str> {
        self.shared.work.place().troubles.newest().map(Trouble::sentence)
    }

    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
        documents::get(self.opened()?, keys).await
    }

    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError> {
        documents::list(self.opened()?, query).await
    }

    async fn count(&self, index: &IndexName) -> Result<u64, StoreError> {
        documents::count(self.opened()?, index).await
    }

    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
        tallies::tallies(self.opened()?, names).await
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        apply::apply(self.opened()?, change).await
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        documents::expire(self.opened()?, limit).await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        queues::reserve(self.opened()?, request).await
    }

    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
        queues::renew(self.opened()?, tokens, lease_ms).await
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError> {
        queues::sweep(self.opened()?, limit).await
    }

    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError> {
        queues::promote(self.opened()?, limit).await
    }

    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
        queues::leases(self.opened()?, limit).await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        queues::depth(self.opened()?).await
    }

    async fn wait_for_work(&self, longest: Duration) {
        match self.opened() {
            Ok(shared) => shared.wakeup.wait(longest).await,
            Err(_) => tokio::time::sleep(longest).await,
        }
    }

    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        pickup::reserve_or_wait(self.opened()?, request, longest).await
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        documents::events(self.opened()?, stream, after, limit).await
    }

    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError> {
        documents::newest_event(self.opened()?, stream).await
    }

    async fn retire(&self, stream: &str) -> Result<(), StoreError> {
        documents::retire(self.opened()?, stream).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        queues::waiting(self.opened()?, queue, limit).await
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        queues::pause(self.opened()?, queue, paused).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        match self.opened() {
            Ok(shared) => {
                let look =
                    async { self.events(stream, after, 1).await.is_ok_and(|events| !events.is_empty()) };
                shared.event_watch.wait(stream, longest, look).await;
            }
            Err(_) => tokio::time::sleep(longest).await,
        }
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        audit::audit(self.opened()?, part, after).await
    }

    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError> {
        dump::dump(self.opened()?, after.as_ref(), limit).await
    }

    async fn restore(&self, items: &[Item]) -> Result<(), StoreError> {
        restore::restore(self.opened()?, items).await
    }

    /// Redis keeps its own files, elsewhere.
    async fn snapshot(&self, _: &Path) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        pickup::rest(&self.shared).await;
        self.shared.writer.rest(link::CALL_LIMIT).await;
        self.shared.wakeup.close();
        self.shared.event_watch.close();
        self.shared.work.close();
        self.shared.read.close();
    }
}
