//! The embedded store: SQLite, one writer thread with group commit, readers on their own connections.
//!
//! `open` opens files, `writer` and `readers` run steps, `schema` and `migrations/` say what the
//! tables are, `known` what the writer need not ask them, `wakeup` who waits, `snapshot` copies whole files.
//! The steps themselves are plain functions over a [`step::Step`], one file per noun of the contract:
//! `documents`, `indexes`, `change`, `queues`, `leases`, `claims`, `events`, `tallies`, `audit`, `dump`.

mod audit;
mod change;
mod check;
mod claims;
mod documents;
mod dump;
mod error;
mod events;
mod indexes;
mod inspect;
mod known;
mod leases;
mod open;
mod queues;
mod readers;
mod schema;
mod snapshot;
mod step;
mod tallies;
mod values;
mod wakeup;
mod writer;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::oneshot;

pub use self::inspect::{Inspection, inspect};
use self::{open::FileLock, readers::Readers, step::Step, wakeup::Wakeup, writer::Writer};
pub use self::{
    open::Location,
    snapshot::{Exclusive, SCHEMA, lock_of, prove, replace},
};
use super::limits::{check_batch, check_change, check_items, check_page};
use crate::{
    clock::Clock,
    store::{
        AuditPart, Audited, Change, Cursor, Delivery, Doc, DocKey, DocPage, Dump, Event, IndexName, Item,
        LeaseEnd, LeaseInfo, ListQuery, MAX_BATCH, Outcome, Promoted, Queue, QueueDepth, Reserve, Store,
        StoreError, StoreReport, Swept, Token, UnixMs,
    },
};

/// The embedded engine of [`Store`].
pub struct SqliteStore {
    location: Location,
    clock: Arc<dyn Clock>,
    writer: Arc<Writer>,
    /// `None` in memory: such a database has one connection, the writer's.
    readers: Option<Arc<Readers>>,
    wakeup: Arc<Wakeup>,
    /// Shared with the writer's thread, so that the file is ours until the last of both has let go.
    lock: Mutex<Option<Arc<FileLock>>>,
}

impl SqliteStore {
    /// Opens the database, makes it if need be, and brings its schema up to date. A file that
    /// another process has open is refused.
    pub fn open(location: Location, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let (mut conn, lock, readers) = match &location {
            Location::Memory => (open::memory()?, None, None),
            Location::File(file) => {
                open::make_folder(file)?;
                let lock = Arc::new(FileLock::take(file)?);
                (open::writer(file)?, Some(lock), Some(Readers::new(file.clone(), clock.clone())))
            }
        };
        schema::migrate(&mut conn)?;
        let wakeup: Arc<Wakeup> = Arc::default();
        let writer = Arc::new(Writer::start(conn, clock.clone(), wakeup.clone(), lock.clone())?);
        Ok(Self { location, clock, writer, readers, wakeup, lock: Mutex::new(lock) })
    }

    /// Runs a step that may write. It may be run again, after what it did was undone.
    async fn write<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Step) -> Result<T, StoreError> + Send + 'static,
    {
        self.writer.run(step).await
    }

    /// Runs a step that only reads.
    async fn read<T, F>(&self, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Step) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.run(step).await,
            None => self.writer.run(step).await,
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        Ok(self.clock.now_ms())
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        let location = self.location.clone();
        self.read(move |step| check::report(step, &location)).await
    }

    fn trouble(&self) -> Option<&'static str> {
        // What is wrong with a file shows in every answer.
        None
    }

    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
        check_batch("keys", keys.len())?;
        let keys = keys.to_vec();
        self.read(move |step| documents::get(step, &keys)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError> {
        check_page("documents of a page", query.limit)?;
        let query = query.clone();
        self.read(move |step| indexes::list(step, &query)).await
    }

    async fn count(&self, index: &IndexName) -> Result<u64, StoreError> {
        loop {
            let index = index.clone();
            if let Some(count) = self.read(move |step| indexes::count(step, &index)).await? {
                return Ok(count);
            }
            self.write(|step| documents::expire(step, MAX_BATCH)).await?;
        }
    }

    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
        check_batch("tallies", names.len())?;
        let names = names.to_vec();
        self.read(move |step| tallies::read(step, &names)).await
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        check_change(&change)?;
        self.write(move |step| change::apply(step, &change)).await
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        check_batch("documents to expire", limit)?;
        self.write(move |step| {
            let events = events::drop_old(step)? | events::drop_retired(step)?;
            let (documents, tallies) = (documents::expire(step, limit)?, tallies::expire(step, limit)?);
            Ok(events || documents == limit || tallies == limit)
        })
        .await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        check_page("payloads to reserve", request.limit)?;
        let (request, asked_at) = (request.clone(), Instant::now());
        self.write(move |step| leases::reserve(step, &request, asked_at)).await
    }

    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
        check_batch("tokens", tokens.len())?;
        let tokens = tokens.to_vec();
        self.write(move |step| leases::renew(step, &tokens, lease_ms)).await
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError> {
        check_batch("leases to sweep", limit)?;
        self.write(move |step| leases::sweep(step, limit)).await
    }

    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError> {
        check_batch("payloads to promote", limit)?;
        self.write(move |step| queues::promote(step, limit)).await
    }

    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
        check_batch("leases to list", limit)?;
        self.read(move |step| leases::list(step, limit)).await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        self.read(queues::depth).await
    }

    async fn wait_for_work(&self, longest: Duration) {
        let woken = self.wakeup.work();
        tokio::pin!(woken);
        // Registered before looking: what becomes ready after the look wakes us.
        woken.as_mut().enable();
        let look_and_wait = async {
            if !matches!(self.read(queues::any_ready).await, Ok(true)) {
                woken.await;
            }
        };
        // Both ways to return are alike to the caller.
        let _ = tokio::time::timeout(longest, look_and_wait).await;
    }

    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        check_page("payloads to reserve", request.limit)?;
        self.wait_for_work(longest).await;
        let (caller, answer) = oneshot::channel();
        let (writer, request, asked_at) = (self.writer.clone(), request.clone(), Instant::now());
        // A task of its own: a step is made also when its caller has gone, and then has to be unmade.
        tokio::spawn(async move {
            let taken = writer.run(move |step| leases::reserve(step, &request, asked_at)).await;
            if let Err(Ok(taken)) = caller.send(taken) {
                for delivery in taken {
                    let change = Change::new().under(delivery.token, LeaseEnd::Requeue);
                    if let Err(error) = writer.run(move |step| change::apply(step, &change)).await {
                        log::warn!(
                            "a job that was taken for a worker that has gone keeps its lease: {error}"
                        );
                    }
                }
            }
        });
        answer.await.unwrap_or_else(|_| Err(error::closed()))
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        check_batch("events", limit)?;
        let stream = stream.to_owned();
        self.read(move |step| events::read(step, &stream, after, limit)).await
    }

    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError> {
        let stream = stream.to_owned();
        self.read(move |step| events::newest(step, &stream)).await
    }

    async fn retire(&self, stream: &str) -> Result<(), StoreError> {
        let stream = stream.to_owned();
        self.write(move |step| events::retire(step, &stream)).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        check_batch("payloads to look at", limit)?;
        self.read(move |step| queues::waiting(step, queue, limit)).await
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        self.write(move |step| queues::pause(step, queue, paused)).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        let listener = self.wakeup.listen(stream);
        let rung = listener.event();
        tokio::pin!(rung);
        // Registered before looking, as above.
        rung.as_mut().enable();
        let look_and_wait = async {
            if !matches!(self.events(stream, after, 1).await, Ok(found) if !found.is_empty()) {
                rung.await;
            }
        };
        let _ = tokio::time::timeout(longest, look_and_wait).await;
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        let part = part.clone();
        self.write(move |step| match &part {
            AuditPart::Leases => audit::leases(step, after.as_ref()),
            AuditPart::Index(_, index) => audit::index(step, index, after.as_ref()),
        })
        .await
    }

    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError> {
        check_page("items of a dump", limit)?;
        self.read(move |step| dump::dump(step, after.as_ref(), limit)).await
    }

    async fn restore(&self, items: &[Item]) -> Result<(), StoreError> {
        check_items(items)?;
        let items = items.to_vec();
        self.write(move |step| dump::restore(step, &items)).await
    }

    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError> {
        match &self.location {
            Location::Memory => Ok(false),
            Location::File(database) => snapshot::take(database, file).await.map(|()| true),
        }
    }

    async fn close(&self) {
        if let Some(readers) = &self.readers {
            readers.stop().await;
        }
        let writer = self.writer.clone();
        // The writer's end waits for a disk, which is nothing for an async thread to do.
        let _ = tokio::task::spawn_blocking(move || writer.stop()).await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
