//! The audit log: kept in the store, written behind the requests.
//!
//! ```text
//! request ends → note (a log line, and a place in memory) … run → store, up to 100 entries in one write
//!                                                      flush at the stop ↗
//! ```
//!
//! What is promised: every change is a line of the log (`audit`) before its answer is sent, and an entry of
//! the store soon after (a tenth of a second, as long as the store answers). A request never waits for that. A stop
//! writes what is left; `kill -9` can lose what came in the last moment, and a store that is away for so long that
//! 4,096 entries wait loses the newest of them. The log line has both.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{Foundation, ServiceError, records};
use crate::{
    model::{AuditEntry, AuditOutcome, Timestamp},
    store::{Change, Cursor, ListQuery, MAX_BATCH, StoreError},
};

/// The most entries that wait for the store.
const MAX_WAITING: usize = 4096;
/// Between two writes, so that entries gather.
const GATHER: Duration = Duration::from_millis(100);
/// Between two tries while the store is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long the last write may take when the process stops.
const LAST_WRITE: Duration = Duration::from_secs(3);
/// How many entries are looked at for one page.
const LOOK_AT: usize = 5_000;
/// Attempts of strangers are kept no longer than this, so that they cannot fill the store.
const REFUSED_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of the key of this name.
    pub key: Option<String>,
    /// Whose operation has this in it, whatever its case.
    pub operation: Option<String>,
    /// That are no older.
    pub since: Option<Timestamp>,
}

/// One page, newest first.
#[derive(Debug)]
pub struct AuditPage {
    pub entries: Vec<AuditEntry>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// The audit log. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    base: Arc<Foundation>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Notify,
    /// Held by who writes: entries leave the queue in the order in which they came.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<AuditEntry>,
    /// How many found no place since the last write.
    lost: u64,
}

impl Audit {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base, shared: Arc::default() }
    }

    /// Notes an entry. It is written to the log at once and to the store soon; nothing is waited for.
    pub fn note(&self, entry: AuditEntry) {
        log::info!(
            target: "audit",
            operation = entry.operation.as_str(),
            path = entry.path.as_str(),
            outcome = entry.outcome.as_str(),
            status = entry.status,
            key = entry.key.as_deref().unwrap_or("-"),
            ip = entry.ip.as_deref().unwrap_or("-"),
            request_id = entry.request_id.as_str();
            "a change"
        );
        let mut waiting = self.waiting();
        match waiting.entries.len() < MAX_WAITING {
            true => waiting.entries.push_back(entry),
            false => waiting.lost += 1,
        }
        drop(waiting);
        self.shared.came.notify_one();
    }

    /// Writes what comes, for as long as the process serves.
    pub async fn run(self) {
        loop {
            self.shared.came.notified().await;
            while let Err(error) = self.write().await {
                log::debug!("the audit log waits for the store: {error}");
                tokio::time::sleep(AWAY).await;
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Writes what is left; for the end of a process.
    pub async fn flush(&self) {
        let written = tokio::time::timeout(LAST_WRITE, self.write()).await;
        let left = self.waiting().entries.len();
        if !matches!(written, Ok(Ok(()))) && left > 0 {
            log::warn!("{left} entries of the audit log could not be stored; they are in this log");
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let _turn = self.shared.writing.lock().await;
        loop {
            let batch: Vec<_> = self.waiting().entries.iter().take(MAX_BATCH).cloned().collect();
            if batch.is_empty() {
                let lost = std::mem::take(&mut self.waiting().lost);
                if lost > 0 {
                    log::warn!(
                        "{lost} entries of the audit log came too fast to be stored; they are in this log"
                    );
                }
                return Ok(());
            }
            let now = self.base.clock.now();
            let change = batch.iter().fold(Change::new(), |change, entry| {
                let life = match entry.outcome {
                    AuditOutcome::Refused => self.base.audit_ttl.min(REFUSED_TTL),
                    AuditOutcome::Done | AuditOutcome::Failed => self.base.audit_ttl,
                };
                let age = (now - entry.at).to_std().unwrap_or_default();
                change.put(records::put_audit_entry(entry, life.saturating_sub(age)))
            });
            // A write whose answer was lost is made again: the ids are the same.
            let _ = self.base.store.apply(change).await?;
            self.waiting().entries.drain(..batch.len());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest entries that fit, after a cursor. A page can be short although more follow: for one page 5,000
    /// entries are looked at, at most.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<AuditPage, ServiceError> {
        let index = match &filter.key {
            Some(key) => records::audit_entries_by_key(key),
            None => records::audit_entries(),
        };
        let operation = filter.operation.as_ref().map(|text| text.to_lowercase());
        let fits = |entry: &AuditEntry| {
            operation.as_ref().is_none_or(|text| entry.operation.to_lowercase().contains(text))
        };
        let mut query = ListQuery::newest(records::AUDIT_ENTRY, 1).index(index).after(after);
        let (mut entries, mut seen) = (Vec::new(), 0);
        loop {
            query.limit = (limit - entries.len()).clamp(1, MAX_BATCH);
            let page = self.base.store.list(&query).await?;
            seen += page.docs.len();
            for doc in &page.docs {
                match doc.parse::<AuditEntry>() {
                    Ok(entry) if filter.since.is_some_and(|since| entry.at < since) => {
                        return Ok(AuditPage { entries, next: None });
                    }
                    Ok(entry) if fits(&entry) => entries.push(entry),
                    Ok(_) => {}
                    Err(error) => log::warn!("passed over in a listing: {error}"),
                }
            }
            match page.next {
                Some(next) if entries.len() < limit && seen < LOOK_AT => query.after = Some(next),
                next => return Ok(AuditPage { entries, next }),
            }
        }
    }
}
