//! A store with one fault planted in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use productforge::store::*;

use super::fault::Fault;

pub struct FaultyStore {
    sound: Arc<dyn Store>,
    fault: Fault,
    /// The indexes a document was last put into.
    stood_in: Mutex<BTreeMap<DocKey, Vec<(IndexName, UnixMs)>>>,
    /// The highest count answered.
    counted: Mutex<BTreeMap<IndexName, u64>>,
    /// Who claimed which names.
    claimed: Mutex<BTreeSet<(Token, String)>>,
}

impl FaultyStore {
    pub fn new(sound: Arc<dyn Store>, fault: Fault) -> Self {
        Self {
            sound,
            fault,
            stood_in: Mutex::default(),
            counted: Mutex::default(),
            claimed: Mutex::default(),
        }
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
            Fault::GrantsOneClaimTooMany => change.claim.iter_mut().for_each(|claim| claim.limit += 1),
            Fault::NamesTheLastRefusedClaim => change.claim.reverse(),
            Fault::LosesWhatIsParked => {
                if let Some(lease) = &mut change.lease
                    && matches!(lease.end, LeaseEnd::Park(_))
                {
                    lease.end = LeaseEnd::Finish;
                }
            }
            Fault::LeavesARevokedLease => change.revoke.clear(),
            Fault::IgnoresTheBoundOfAnAdd => change.add.iter_mut().for_each(|add| add.below = None),
            Fault::AddsAtTheBound => {
                change.add.iter_mut().for_each(|add| add.below = add.below.map(|below| below + 1))
            }
            Fault::CountsEarlierAddsIntoABound => count_earlier_adds(&mut change.add),
            Fault::NamesTheLastExceededField => change.add.reverse(),
            Fault::LosesTheLastAddOfTwo if change.add.len() > 1 => _ = change.add.pop(),
            Fault::KeepsTalliesForEver => change.add.iter_mut().for_each(|add| add.keep_ms = None),
            _ => {}
        }
        Ok(change)
    }

    /// The outcome as the fault distorts it after the change was made or refused.
    async fn spoil(&self, change: Change, outcome: Outcome) -> Result<Outcome, StoreError> {
        let torn = match (self.fault, &outcome) {
            (Fault::IgnoresTheTokenOnFinish, Err(Refusal::LeaseLost)) => {
                let sound = Change { lease: None, claim: Vec::new(), ..change };
                return self.sound.apply(sound).await;
            }
            (Fault::GrantsOneClaimTooMany, Err(Refusal::Limited(claim))) => {
                let claim = Claim { limit: claim.limit - 1, ..claim.clone() };
                return Ok(Err(Refusal::Limited(claim)));
            }
            (Fault::WritesTheFirstPutOfARefusedChange, Err(_)) => {
                change.put.into_iter().take(1).fold(Change::new(), Change::put)
            }
            (Fault::RevokesInARefusedChange, Err(_)) => {
                change.revoke.into_iter().fold(Change::new(), Change::revoke)
            }
            (Fault::MakesTheAddsOfARefusedChange, Err(_)) => unbounded(change.add),
            (Fault::MakesTheAddsOfAnExceededChangeTwice, Err(Refusal::Exceeded { .. })) => {
                let twice = change.add.iter().chain(&change.add).cloned();
                unbounded(twice.collect())
            }
            (Fault::GivesTheFirstClaimOfARefusedChange, Err(Refusal::Limited(_))) => {
                let first = change.claim.into_iter().take(1);
                first.fold(Change { lease: change.lease, ..Change::new() }, Change::claim)
            }
            _ => return Ok(outcome),
        };
        // Whether it is made does not matter: the outcome is the one it was.
        let _ = self.sound.apply(torn).await?;
        Ok(outcome)
    }

    /// Refuses a claim that somebody still holds whose lease has ended.
    fn still_claimed(&self, change: &Change) -> Option<Claim> {
        let (token, claimed) = (change.lease.as_ref()?.token, self.claimed.lock().unwrap());
        let holders = |claim: &Claim| claimed.iter().filter(|(_, name)| *name == claim.name).count() as u32;
        let refused = change
            .claim
            .iter()
            .find(|claim| !claimed.contains(&(token, claim.name.clone())) && holders(claim) >= claim.limit);
        refused.cloned()
    }
}

/// Makes each bound look at its field as the adds before it in the same change leave it.
fn count_earlier_adds(adds: &mut [Add]) {
    for number in 0..adds.len() {
        let (earlier, rest) = adds.split_at_mut(number);
        let same = |add: &&Add| (&add.tally, &add.field) == (&rest[0].tally, &rest[0].field);
        let added: i64 = earlier.iter().filter(same).map(|add| add.by).sum();
        rest[0].below = rest[0].below.map(|below| below - added);
    }
}

/// These adds and nothing else, on no condition.
fn unbounded(adds: Vec<Add>) -> Change {
    let adds = adds.into_iter().map(|add| Add { below: None, ..add });
    adds.fold(Change::new(), Change::add)
}

#[async_trait]
impl Store for FaultyStore {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        self.sound.now().await
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        self.sound.check().await
    }

    fn trouble(&self) -> Option<&'static str> {
        self.sound.trouble()
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

    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
        let mut tallies = self.sound.tallies(names).await?;
        if self.has(Fault::ShowsTalliesInAnotherOrder) {
            tallies.reverse();
        }
        Ok(tallies)
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        let change = self.distort(change).await?;
        if self.has(Fault::ForgetsToFreeAClaim)
            && let Some(claim) = self.still_claimed(&change)
        {
            return Ok(Err(Refusal::Limited(claim)));
        }
        let outcome = self.sound.apply(change.clone()).await?;
        if let (Ok(_), Some(lease)) = (&outcome, &change.lease) {
            let claims = change.claim.iter().map(|claim| (lease.token, claim.name.clone()));
            self.claimed.lock().unwrap().extend(claims);
        }
        self.spoil(change, outcome).await
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        self.sound.expire(limit).await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        let mut request = request.clone();
        if self.has(Fault::TakesInStrictOrderAlways) {
            request.order = Queue::ALL;
        }
        let paused = self.sound.depth().await?.paused;
        let paused = Queue::ALL.into_iter().filter(|queue| paused[usize::from(queue.rank())]);
        let paused: Vec<Queue> = paused.filter(|_| self.has(Fault::TakesFromAPausedQueue)).collect();
        for queue in &paused {
            self.sound.pause(*queue, false).await?;
        }
        let mut deliveries = self.sound.reserve(&request).await?;
        for queue in paused {
            self.sound.pause(queue, true).await?;
        }
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

    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.wait_for_work(longest).await;
        self.reserve(request).await
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.sound.events(stream, after, limit).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut waiting = self.sound.waiting(queue, limit).await?;
        if self.has(Fault::ShowsTheLastFirst) {
            waiting.reverse();
        }
        Ok(waiting)
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        self.sound.pause(queue, paused).await
    }

    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError> {
        self.sound.newest_event(stream).await
    }

    async fn retire(&self, stream: &str) -> Result<(), StoreError> {
        self.sound.retire(stream).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        self.sound.wait_for_events(stream, after, longest).await;
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        self.sound.audit(part, after).await
    }

    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError> {
        self.sound.dump(after, limit).await
    }

    async fn restore(&self, items: &[Item]) -> Result<(), StoreError> {
        self.sound.restore(items).await
    }

    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError> {
        self.sound.snapshot(file).await
    }

    async fn close(&self) {
        self.sound.close().await;
    }
}
