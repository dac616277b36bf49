//! A store that can be put to sleep: until it wakes, every verb answers "not available" and does
//! nothing, as when its machine is gone. It can also let somebody else write between two verbs, fail of
//! one thing alone, and say that it is large.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use productforge::{service::records::AUDIT_ENTRY, store::*};
use tokio::sync::Notify;

pub struct SleepyStore {
    store: Arc<dyn Store>,
    asleep: AtomicBool,
    /// Writes that were turned away.
    refused: AtomicUsize,
    /// Answers to writes and reservations that are still to be lost on their way back.
    to_lose: AtomicUsize,
    /// What somebody else writes before the next verb of this name.
    meanwhile: Mutex<Vec<(&'static str, Change)>>,
    /// What cannot be written or audited, by a part of its name.
    broken: Mutex<Option<String>>,
    /// How many bytes it says it has.
    size: Mutex<Option<u64>>,
    woken: Notify,
}

impl SleepyStore {
    pub fn over(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            asleep: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            to_lose: AtomicUsize::new(0),
            meanwhile: Mutex::default(),
            broken: Mutex::default(),
            size: Mutex::default(),
            woken: Notify::new(),
        })
    }

    pub fn go_away(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    pub fn come_back(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.woken.notify_waiters();
    }

    /// How many writes were turned away so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Makes the next writes and reservations, and loses their answers.
    pub fn lose_answers(&self, number: usize) {
        self.to_lose.store(number, Ordering::SeqCst);
    }

    /// Lets somebody else write this right before the next `list`, `count`, `get` or `apply`.
    pub fn meanwhile(&self, verb: &'static str, change: Change) {
        self.meanwhile.lock().unwrap().push((verb, change));
    }

    /// From now on nothing with this in its name can be deleted, audited or done (`expire`).
    pub fn break_down(&self, name: &str) {
        *self.broken.lock().unwrap() = Some(name.to_owned());
    }

    /// From now on it says that it is as large as this.
    pub fn grow(&self, bytes: u64) {
        *self.size.lock().unwrap() = Some(bytes);
    }

    fn whole(&self, mut names: impl Iterator<Item = String>) -> Result<(), StoreError> {
        match self.broken.lock().unwrap().as_ref() {
            Some(broken) if names.any(|name| name.contains(broken.as_str())) => {
                Err(StoreError::Corrupt { what: broken.clone(), why: "it is broken".to_owned() })
            }
            _ => Ok(()),
        }
    }

    async fn before(&self, verb: &str) {
        let due: Vec<_> = self.meanwhile.lock().unwrap().extract_if(.., |(name, _)| *name == verb).collect();
        for (_, change) in due {
            self.store.apply(change).await.unwrap().unwrap();
        }
    }

    fn deliver<T>(&self, answer: T) -> Result<T, StoreError> {
        let left = self.to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match left {
            Ok(_) => Err(StoreError::Unavailable("the answer was lost".to_owned())),
            Err(_) => Ok(answer),
        }
    }

    fn awake(&self) -> Result<&dyn Store, StoreError> {
        if self.asleep.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("redis://user:secret@10.0.0.1 is asleep".to_owned()));
        }
        Ok(self.store.as_ref())
    }
}

#[async_trait]
impl Store for SleepyStore {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        self.awake()?.now().await
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        let report = self.awake()?.check().await?;
        let size = self.size.lock().unwrap().map(|bytes| StoreSize { bytes, free: Some(0) });
        Ok(StoreReport { size: size.or(report.size), ..report })
    }

    fn trouble(&self) -> Option<&'static str> {
        self.store.trouble()
    }

    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
        self.before("get").await;
        self.awake()?.get(keys).await
    }

    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError> {
        self.before("list").await;
        self.awake()?.list(query).await
    }

    async fn count(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.before("count").await;
        self.awake()?.count(index).await
    }

    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
        self.awake()?.tallies(names).await
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        // Written behind the requests, at any time: what a test prepares is not meant for it.
        let is_audit_log = change.put.iter().any(|put| put.key.kind == AUDIT_ENTRY);
        if is_audit_log {
            return self.awake()?.apply(change).await;
        }
        self.before("apply").await;
        let store = self.awake().inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::SeqCst);
        })?;
        self.whole(change.delete.iter().map(ToString::to_string))?;
        let outcome = store.apply(change).await?;
        self.deliver(outcome)
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        self.whole(std::iter::once("expire".to_owned()))?;
        self.awake()?.expire(limit).await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        let taken = self.awake()?.reserve(request).await?;
        if taken.is_empty() { Ok(taken) } else { self.deliver(taken) }
    }

    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
        self.awake()?.renew(tokens, lease_ms).await
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError> {
        self.awake()?.sweep(limit).await
    }

    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError> {
        self.awake()?.promote(limit).await
    }

    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
        self.awake()?.leases(limit).await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        self.awake()?.depth().await
    }

    async fn wait_for_work(&self, longest: Duration) {
        match self.awake() {
            Ok(store) => store.wait_for_work(longest).await,
            Err(_) => drop(tokio::time::timeout(longest, self.woken.notified()).await),
        }
    }

    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.wait_for_work(longest).await;
        self.reserve(request).await
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.awake()?.events(stream, after, limit).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.awake()?.waiting(queue, limit).await
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        self.awake()?.pause(queue, paused).await
    }

    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError> {
        self.awake()?.newest_event(stream).await
    }

    async fn retire(&self, stream: &str) -> Result<(), StoreError> {
        self.awake()?.retire(stream).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        self.store.wait_for_events(stream, after, longest).await;
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        self.whole(std::iter::once(format!("{part:?}")))?;
        self.awake()?.audit(part, after).await
    }

    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError> {
        self.awake()?.dump(after, limit).await
    }

    async fn restore(&self, items: &[Item]) -> Result<(), StoreError> {
        self.awake()?.restore(items).await
    }

    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError> {
        self.awake()?.snapshot(file).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
