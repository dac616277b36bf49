//! A store with one fault planted in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use productforge::store::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    IgnoresTheTokenOnFinish,
    RenewsAnything,
    ForgetsACrash,
    RequeuesToTheBack,
    LeavesAnIndexBehind,
    IgnoresExpectations,
    NamesTheLastBrokenExpectation,
    WritesTheFirstPutOfARefusedChange,
    LosesTheLastEventOfTwo,
    GivesDelayedWorkAtOnce,
    PutsTheUrgentBehindTheRest,
    KeepsDocumentsForEver,
    CountsTheDead,
    ListsTheOldestFirst,
    LosesOneAtThePageBorder,
    SweepsBeforeTime,
}

impl Fault {
    pub const ALL: [Fault; 16] = [
        Fault::IgnoresTheTokenOnFinish,
        Fault::RenewsAnything,
        Fault::ForgetsACrash,
        Fault::RequeuesToTheBack,
        Fault::LeavesAnIndexBehind,
        Fault::IgnoresExpectations,
        Fault::NamesTheLastBrokenExpectation,
        Fault::WritesTheFirstPutOfARefusedChange,
        Fault::LosesTheLastEventOfTwo,
        Fault::GivesDelayedWorkAtOnce,
        Fault::PutsTheUrgentBehindTheRest,
        Fault::KeepsDocumentsForEver,
        Fault::CountsTheDead,
        Fault::ListsTheOldestFirst,
        Fault::LosesOneAtThePageBorder,
        Fault::SweepsBeforeTime,
    ];
}

pub struct FaultyStore {
    sound: Arc<dyn Store>,
    fault: Fault,
    /// The indexes a document was last put into.
    stood_in: Mutex<BTreeMap<DocKey, Vec<(IndexName, UnixMs)>>>,
    /// The highest count answered.
    counted: Mutex<BTreeMap<IndexName, u64>>,
}

impl FaultyStore {
    pub fn new(sound: Arc<dyn Store>, fault: Fault) -> Self {
        Self { sound, fault, stood_in: Mutex::default(), counted: Mutex::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// The change as the fault distorts it before it is made.
    async fn distort(&self, mut change: Change) -> Result<Change, StoreError> {
        match self.fault {
            Fault::IgnoresExpectations => change.expect.clear(),
            Fault::NamesTheLastBrokenExpectation => change.expect.reverse(),
            Fault::LosesTheLastEventOfTwo if change.events.len() > 1 => {
                change.events.pop();
            }
            Fault::GivesDelayedWorkAtOnce => {
                change.enqueue.iter_mut().for_each(|enqueue| enqueue.due_at = None)
            }
            Fault::PutsTheUrgentBehindTheRest => {
                for enqueue in &mut change.enqueue {
                    if enqueue.queue == Queue::High {
                        enqueue.queue = Queue::Low;
                    }
                }
            }
            Fault::KeepsDocumentsForEver => change.put.iter_mut().for_each(|put| put.ttl_ms = None),
            Fault::LeavesAnIndexBehind => {
                let mut stood_in = self.stood_in.lock().unwrap();
                for put in &mut change.put {
                    let before = stood_in.insert(put.key.clone(), put.indexes.clone());
                    put.indexes.splice(0..0, before.unwrap_or_default());
                }
            }
            Fault::RequeuesToTheBack => {
                if let Some(lease) = change.lease.as_mut().filter(|lease| lease.end == LeaseEnd::Requeue) {
                    let held = self.sound.leases(MAX_BATCH).await?;
                    if let Some(held) = held.into_iter().find(|held| held.token == lease.token) {
                        lease.end = LeaseEnd::Finish;
                        change.enqueue.push(Enqueue {
                            queue: held.queue,
                            payload: held.payload,
                            due_at: None,
                        });
                    }
                }
            }
            _ => {}
        }
        Ok(change)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        self.sound.now().await
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        self.sound.check().await
    }

    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
        self.sound.get(keys).await
    }

    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError> {
        let mut page = self.sound.list(query).await?;
        if self.has(Fault::ListsTheOldestFirst) {
            page.docs.reverse();
        }
        if self.has(Fault::LosesOneAtThePageBorder) && page.next.is_some() {
            page.docs.pop();
        }
        Ok(page)
    }

    async fn count(&self, index: &IndexName) -> Result<u64, StoreError> {
        let count = self.sound.count(index).await?;
        if !self.has(Fault::CountsTheDead) {
            return Ok(count);
        }
        let mut counted = self.counted.lock().unwrap();
        let highest = counted.entry(index.clone()).or_default();
        *highest = count.max(*highest);
        Ok(*highest)
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        let change = self.distort(change).await?;
        let outcome = self.sound.apply(change.clone()).await?;
        if self.has(Fault::IgnoresTheTokenOnFinish) && outcome == Err(Refusal::LeaseLost) {
            return self.sound.apply(Change { lease: None, ..change }).await;
        }
        if self.has(Fault::WritesTheFirstPutOfARefusedChange) && outcome.is_err() && !change.put.is_empty() {
            let torn = Change::new().put(change.put[0].clone());
            self.sound.apply(torn).await?.expect("a change without a condition is made");
        }
        Ok(outcome)
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        self.sound.expire(limit).await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        let mut deliveries = self.sound.reserve(request).await?;
        for delivery in &mut deliveries {
            if self.has(Fault::ForgetsACrash) {
                delivery.crashes = 0;
            }
        }
        Ok(deliveries)
    }

    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
        let renewed = self.sound.renew(tokens, lease_ms).await?;
        Ok(if self.has(Fault::RenewsAnything) { vec![true; renewed.len()] } else { renewed })
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError> {
        if self.has(Fault::SweepsBeforeTime) {
            let held: Vec<Token> = self.sound.leases(limit).await?.iter().map(|lease| lease.token).collect();
            self.sound.renew(&held, 0).await?;
        }
        self.sound.sweep(limit).await
    }

    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError> {
        self.sound.promote(limit).await
    }

    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
        self.sound.leases(limit).await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        self.sound.depth().await
    }

    async fn wait_for_work(&self, longest: Duration) {
        self.sound.wait_for_work(longest).await;
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.sound.events(stream, after, limit).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.sound.waiting(queue, limit).await
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        self.sound.pause(queue, paused).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        self.sound.wait_for_events(stream, after, longest).await;
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        self.sound.audit(part, after).await
    }

    async fn close(&self) {
        self.sound.close().await;
    }
}
