//! A store that is timed: every verb of the contract as it is, with its duration and its failures counted.
//!
//! What enters the queues is counted here, too, and not where it is decided: only the store's answer says
//! whether a change was made. The cost is one allocation, two looks at the clock and a few atomics a verb,
//! beside a round trip or a share of an fsync.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    AuditPart, Audited, Change, Cursor, Delivery, Doc, DocKey, DocPage, Dump, Event, IndexName, Item,
    LeaseEnd, LeaseInfo, ListQuery, Outcome, Promoted, Queue, QueueDepth, Reserve, Store, StoreError,
    StoreReport, Swept, Token, UnixMs,
};
use crate::telemetry::counters;

/// The verbs as metrics tell them apart: the places in `counters::STORE_OPERATIONS`.
#[derive(Clone, Copy)]
enum Operation {
    Now,
    Check,
    Get,
    List,
    Count,
    Tallies,
    Apply,
    /// An `apply` that ends the lease of a job.
    Finish,
    Reserve,
    Renew,
    Events,
    /// What nobody waits for: sweeps, promotions, expiry, audits, copies, lists of leases.
    Upkeep,
}

/// Any store, timed.
pub struct Measured(Arc<dyn Store>);

impl Measured {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

async fn timed<T>(
    operation: Operation,
    step: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let begun = Instant::now();
    let outcome = step.await;
    counters::STORE_SECONDS.at(operation as usize).observe(begun.elapsed());
    note(operation, outcome)
}

/// Counts a failure.
fn note<T>(operation: Operation, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    outcome.inspect_err(|error| {
        let kind = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Full(_) => "full",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Unusable(_) => "unusable",
            StoreError::Invalid(_) => "invalid",
        };
        let name = counters::STORE_OPERATIONS.get(operation as usize).copied().unwrap_or_default();
        counters::STORE_ERRORS.with([name, kind], |count| count.add(1));
    })
}

/// What a change puts into the queues: at once and for later, by rank.
fn queued(change: &Change) -> [[u64; 3]; 2] {
    let mut numbers = [[0; 3]; 2];
    for entry in &change.enqueue {
        numbers[usize::from(entry.due_at.is_some())][usize::from(entry.queue.rank()).min(2)] += 1;
    }
    numbers
}

#[async_trait]
impl Store for Measured {
    async fn now(&self) -> Result<UnixMs, StoreError> {
        timed(Operation::Now, self.0.now()).await
    }

    async fn check(&self) -> Result<StoreReport, StoreError> {
        timed(Operation::Check, self.0.check()).await
    }

    fn trouble(&self) -> Option<&'static str> {
        self.0.trouble()
    }

    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
        timed(Operation::Get, self.0.get(keys)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError> {
        timed(Operation::List, self.0.list(query)).await
    }

    async fn count(&self, index: &IndexName) -> Result<u64, StoreError> {
        timed(Operation::Count, self.0.count(index)).await
    }

    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
        timed(Operation::Tallies, self.0.tallies(names)).await
    }

    async fn apply(&self, change: Change) -> Result<Outcome, StoreError> {
        let ends = change.lease.as_ref().is_some_and(|lease| lease.end == LeaseEnd::Finish);
        let queued = queued(&change);
        let operation = if ends { Operation::Finish } else { Operation::Apply };
        let outcome = timed(operation, self.0.apply(change)).await?;
        if outcome.is_ok() {
            let [now, later] = queued;
            for (rank, number) in now.into_iter().enumerate().filter(|(_, number)| *number > 0) {
                counters::ENQUEUED.at(rank).add(number);
            }
            for (rank, number) in later.into_iter().enumerate().filter(|(_, number)| *number > 0) {
                counters::SCHEDULED.at(rank).add(number);
            }
        }
        Ok(outcome)
    }

    async fn expire(&self, limit: usize) -> Result<bool, StoreError> {
        timed(Operation::Upkeep, self.0.expire(limit)).await
    }

    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError> {
        timed(Operation::Reserve, self.0.reserve(request)).await
    }

    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
        timed(Operation::Renew, self.0.renew(tokens, lease_ms)).await
    }

    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError> {
        timed(Operation::Upkeep, self.0.sweep(limit)).await
    }

    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError> {
        timed(Operation::Upkeep, self.0.promote(limit)).await
    }

    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
        timed(Operation::Upkeep, self.0.leases(limit)).await
    }

    async fn depth(&self) -> Result<QueueDepth, StoreError> {
        timed(Operation::Count, self.0.depth()).await
    }

    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        timed(Operation::List, self.0.waiting(queue, limit)).await
    }

    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError> {
        timed(Operation::Apply, self.0.pause(queue, paused)).await
    }

    async fn wait_for_work(&self, longest: Duration) {
        self.0.wait_for_work(longest).await;
    }

    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError> {
        // How long nothing came says nothing of the store.
        note(Operation::Reserve, self.0.reserve_or_wait(request, longest).await)
    }

    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        timed(Operation::Events, self.0.events(stream, after, limit)).await
    }

    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError> {
        timed(Operation::Events, self.0.newest_event(stream)).await
    }

    async fn retire(&self, stream: &str) -> Result<(), StoreError> {
        timed(Operation::Apply, self.0.retire(stream)).await
    }

    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration) {
        self.0.wait_for_events(stream, after, longest).await;
    }

    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError> {
        timed(Operation::Upkeep, self.0.audit(part, after)).await
    }

    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError> {
        timed(Operation::Upkeep, self.0.dump(after, limit)).await
    }

    async fn restore(&self, items: &[Item]) -> Result<(), StoreError> {
        timed(Operation::Upkeep, self.0.restore(items)).await
    }

    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError> {
        timed(Operation::Upkeep, self.0.snapshot(file)).await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}
