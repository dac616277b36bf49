//! The one write. Changes that come at the same time travel in one script call (group commit): each
//! is still made or refused by itself, the call's fixed cost is shared.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Shared,
    error::unexpected,
    link::limit,
    plan::{MAX_PUTS, Plan},
    reply::Reply,
    script,
};
use crate::store::{Applied, Change, LeaseEnd, MAX_BATCH, Outcome, Refusal, StoreError, limits};

/// Calls under way at once: one is at work in Redis while the next is being written.
const MAX_CALLS: usize = 2;
/// A batch ends with the change that reaches one of these, so that no call keeps Redis for long.
const BATCH_CHANGES: usize = 64;
const BATCH_ENTRIES: usize = 150;
const _: () = assert!(BATCH_ENTRIES + MAX_BATCH <= MAX_PUTS);
const BATCH_BYTES: usize = 256 * 1024;

/// The changes that wait for a call.
#[derive(Default)]
pub(super) struct Writer(Mutex<Line>);

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    calls: usize,
}

struct Waiting {
    change: Change,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

pub(super) async fn apply(store: &Arc<Shared>, change: Change) -> Result<Outcome, StoreError> {
    limits::check_change(&change)?;
    let makes_ready = change.enqueue.iter().any(|entry| entry.due_at.is_none())
        || change
            .lease
            .as_ref()
            .is_some_and(|lease| lease.end != LeaseEnd::Keep && lease.end != LeaseEnd::Finish);
    let patience = limit(bytes(&change));
    let (answer, outcome) = oneshot::channel();
    {
        let mut line = store.writer.line();
        line.waiting.push_back(Waiting { change, answer });
        if line.calls < MAX_CALLS {
            line.calls += 1;
            // A task of its own: the others' changes must not hang on this caller's patience.
            tokio::spawn(make_calls(Place { shared: store.clone(), given_back: false }));
        }
    }
    // The call itself has the same limit. Who stands in line behind one that reaches it is told no later.
    let outcome = match tokio::time::timeout(patience, outcome).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(store.unavailable("the call was given up")),
        Err(_) => Err(store.unavailable("no answer in time")),
    }?;
    if makes_ready && outcome.is_ok() {
        store.wakeup.ring();
    }
    Ok(outcome)
}

impl Writer {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no write is under way, at most this long.
    pub async fn rest(&self, longest: Duration) {
        let at_rest = async {
            while self.line().calls > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(longest, at_rest).await.ok();
    }
}

/// A place among the calls under way.
struct Place {
    shared: Arc<Shared>,
    given_back: bool,
}

impl Place {
    /// The next changes to send. With none the place is given back, under the same lock: who comes next
    /// is either in the batch or finds the place free.
    fn next_batch(&mut self) -> Vec<Waiting> {
        let mut line = self.shared.writer.line();
        let batch = take_batch(&mut line.waiting);
        if batch.is_empty() {
            line.calls -= 1;
            self.given_back = true;
        }
        batch
    }
}

impl Drop for Place {
    /// Also when the task is torn down with its runtime.
    fn drop(&mut self) {
        if !self.given_back {
            self.shared.writer.line().calls -= 1;
        }
    }
}

/// Calls until nobody waits.
async fn make_calls(mut place: Place) {
    loop {
        let batch = place.next_batch();
        if batch.is_empty() {
            return;
        }
        let (changes, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.change, waiting.answer)).unzip();
        for (answer, outcome) in answers.into_iter().zip(send_all(&place.shared, &changes).await) {
            answer.send(outcome).ok();
        }
    }
}

/// Sends changes in one call and tells each one's outcome.
async fn send_all(store: &Shared, changes: &[Change]) -> Vec<Result<Outcome, StoreError>> {
    match send(store, changes).await {
        Ok(outcomes) => outcomes,
        // Nothing was written, because one of them needs memory. The others may only give some back.
        Err(StoreError::Full(_)) if changes.len() > 1 => {
            let mut outcomes = Vec::with_capacity(changes.len());
            for change in changes {
                let alone = send(store, std::slice::from_ref(change)).await;
                outcomes.push(alone.and_then(|mut only| only.pop().ok_or_else(|| unexpected("apply"))?));
            }
            outcomes
        }
        Err(error) => changes.iter().map(|_| Err(error.clone())).collect(),
    }
}

fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut batch, mut entries, mut size) = (Vec::new(), 0, 0);
    let mut apart = Apart::default();
    while batch.len() < BATCH_CHANGES && entries < BATCH_ENTRIES && size < BATCH_BYTES {
        let Some(next) = waiting.pop_front() else { break };
        // Its caller has gone (dropped, or out of patience): not sent is nothing done.
        if next.answer.is_closed() {
            continue;
        }
        let change = &next.change;
        if !apart.admits(change) {
            waiting.push_front(next);
            break;
        }
        entries += change.expect.len() + change.put.len() + change.delete.len();
        entries += change.enqueue.len() + change.events.len() + change.revoke.len() + change.claim.len();
        entries += change.add.len();
        size += bytes(change);
        batch.push(next);
    }
    batch
}

/// Keeps the changes of a batch apart, as the script wants them: each lease and each document is the
/// matter of one of them. Only hashes are kept: two that are equal by chance end a batch early, no more.
#[derive(Default)]
struct Apart {
    hasher: RandomState,
    taken: HashSet<u64>,
}

impl Apart {
    /// Whether a change has nothing to do with what those before it are about.
    fn admits(&mut self, change: &Change) -> bool {
        let leases = change.lease.iter().map(|lease| &lease.token).chain(&change.revoke);
        let leases = leases.map(|token| self.hasher.hash_one(token.0));
        let expected = change.expect.iter().map(|expectation| &expectation.key);
        let documents = expected.chain(change.put.iter().map(|put| &put.key)).chain(&change.delete);
        let hashes: Vec<u64> = leases.chain(documents.map(|key| self.hasher.hash_one(key))).collect();
        if hashes.iter().any(|hash| self.taken.contains(hash)) {
            return false;
        }
        self.taken.extend(hashes);
        true
    }
}

/// The size of what a change writes.
fn bytes(change: &Change) -> usize {
    change.put.iter().map(|put| put.body.len()).sum::<usize>()
        + change.enqueue.iter().map(|entry| entry.payload.len()).sum::<usize>()
        + change.events.iter().map(|event| event.body.len()).sum::<usize>()
}

async fn send(store: &Shared, changes: &[Change]) -> Result<Vec<Result<Outcome, StoreError>>, StoreError> {
    let [high, normal, low] = &store.keys.lists;
    let keys = &store.keys;
    let keys = [
        high,
        normal,
        low,
        &keys.leases,
        &keys.inflight,
        &keys.crashes,
        &keys.due,
        &keys.token,
        &keys.event_id,
        &keys.expiring,
        &keys.indexed,
        &keys.all_events,
    ];
    store.work.freshen().await.map_err(|error| store.work.place().explain(&error))?;
    let plan = Plan::of(changes, &store.keys);
    let value = script::APPLY.run(&store.work, &keys, |command| plan.write(command)).await?;
    let mut reply = Reply::of("apply", value)?;
    let outcomes: Result<Vec<_>, StoreError> =
        changes.iter().map(|change| Ok(read(change, &mut reply))).collect();
    let made = |(change, outcome): (&Change, &Result<Outcome, StoreError>)| {
        matches!(outcome, Ok(Ok(_))) && !(change.put.is_empty() && change.enqueue.is_empty())
    };
    if changes.iter().zip(outcomes.iter().flatten()).any(made) {
        store.work.place().troubles.answered(true, &store.work.place().shown);
    }
    outcomes
}

/// What the script says of one change.
pub(super) fn read(change: &Change, reply: &mut Reply) -> Result<Outcome, StoreError> {
    let nth = |number: usize| number.checked_sub(1).ok_or_else(|| unexpected("apply"));
    match reply.number::<i64>()? {
        1 => {
            let first: u64 = reply.number()?;
            Ok(Ok(Applied { event_ids: (first..).take(change.events.len()).collect() }))
        }
        0 => match reply.number::<usize>()? {
            0 => Ok(Err(Refusal::LeaseLost)),
            number => {
                let broken = change.expect.get(nth(number)?).ok_or_else(|| unexpected("apply"))?;
                Ok(Err(Refusal::Changed(broken.key.clone())))
            }
        },
        2 => {
            let refused = change.claim.get(nth(reply.number()?)?).ok_or_else(|| unexpected("apply"))?;
            Ok(Err(Refusal::Limited(refused.clone())))
        }
        3 => {
            let refused = change.add.get(nth(reply.number()?)?).ok_or_else(|| unexpected("apply"))?;
            Ok(Err(Refusal::Exceeded { tally: refused.tally.clone(), field: refused.field.clone() }))
        }
        _ => {
            let mut misfit = reply.array()?;
            Err(StoreError::Corrupt { what: misfit.text()?, why: misfit.text()? })
        }
    }
}
