//! Short words for what nearly every body does.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use productforge::store::{
    Applied, Change, Claim, Cursor, Delivery, Doc, DocKey, Enqueue, IndexName, Kind, LeaseEnd, ListQuery,
    Put, Queue, Refusal, Reserve, Revision, Store, Token,
};

/// The kind of most test documents.
pub const NOTE: Kind = Kind("note");

/// How long [`take`] leases.
pub const LEASE_MS: u64 = 60_000;
/// Long enough that everything with a life, lease or delay of a minute is over.
pub const OVER_A_MINUTE_MS: u64 = 90_000;

/// More pages than any test fills; a cursor that does not move would go on for ever.
const MANY_PAGES: usize = 1000;

pub fn note(id: &str) -> DocKey {
    DocKey::new(NOTE, id)
}

pub fn put(id: &str, body: &str) -> Put {
    Put::raw(note(id), body)
}

pub fn rev(body: &str) -> Revision {
    Revision::of(body.as_bytes())
}

pub fn all_notes() -> IndexName {
    IndexName::all(NOTE)
}

/// A job that is ready at once.
pub fn job(queue: Queue, payload: &str) -> Enqueue {
    Enqueue { queue, payload: payload.into(), due_at: None }
}

/// A job for later.
pub fn job_at(queue: Queue, payload: &str, due_at: i64) -> Enqueue {
    Enqueue { queue, payload: payload.into(), due_at: Some(due_at) }
}

/// A claim of this name, of which `limit` leases may hold one.
pub fn claim(name: &str, limit: u32) -> Claim {
    Claim { name: name.into(), limit }
}

/// Makes a change that must be made.
pub async fn made(store: &dyn Store, change: Change) -> Applied {
    store.apply(change).await.unwrap().expect("the change is made")
}

/// Makes these changes all at once; whether each was made. Nothing but a bound may refuse one.
pub async fn at_once(store: &Arc<dyn Store>, changes: Vec<Change>) -> Vec<bool> {
    let tasks = changes.into_iter().map(|change| {
        let store = store.clone();
        tokio::spawn(async move { store.apply(change).await.unwrap() })
    });
    let outcomes = futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
    let outcomes = outcomes.into_iter().map(Result::unwrap);
    outcomes
        .map(|outcome| match outcome {
            Ok(_) => true,
            Err(refusal) => {
                assert!(matches!(refusal, Refusal::Exceeded { .. }), "{refusal:?}");
                false
            }
        })
        .collect()
}

/// Tries a change that must be refused.
pub async fn refused(store: &dyn Store, change: Change) -> Refusal {
    store.apply(change).await.unwrap().expect_err("the change is refused")
}

/// Puts jobs into the normal queue.
pub async fn enqueue(store: &dyn Store, payloads: &[&str]) {
    for payload in payloads {
        made(store, Change::new().enqueue(job(Queue::Normal, payload))).await;
    }
}

pub async fn doc(store: &dyn Store, id: &str) -> Option<Doc> {
    store.get(&[note(id)]).await.unwrap().remove(0)
}

/// The body of a note as text.
pub async fn body(store: &dyn Store, id: &str) -> Option<String> {
    doc(store, id).await.map(|doc| String::from_utf8(doc.body).unwrap())
}

/// The fields of one tally.
pub async fn tally(store: &dyn Store, name: &str) -> BTreeMap<String, i64> {
    store.tallies(&[name.to_owned()]).await.unwrap().remove(0)
}

/// The refusal of an add to this field.
pub fn exceeded(tally: &str, field: &str) -> Refusal {
    Refusal::Exceeded { tally: tally.into(), field: field.into() }
}

pub fn fields(fields: &[(&str, i64)]) -> BTreeMap<String, i64> {
    fields.iter().map(|(field, value)| ((*field).to_owned(), *value)).collect()
}

/// Takes up to `limit` payloads for [`LEASE_MS`].
pub async fn take(store: &dyn Store, limit: usize) -> Vec<Delivery> {
    take_for(store, "worker-1", limit, LEASE_MS).await
}

pub async fn take_for(store: &dyn Store, worker: &str, limit: usize, lease_ms: u64) -> Vec<Delivery> {
    store.reserve(&Reserve { worker: worker.into(), limit, lease_ms, order: Queue::ALL }).await.unwrap()
}

/// Takes up to `limit` payloads from the queues in this order.
pub async fn take_in(store: &dyn Store, limit: usize, order: [Queue; 3]) -> Vec<Delivery> {
    let request = Reserve { worker: "worker-1".into(), limit, lease_ms: LEASE_MS, order };
    store.reserve(&request).await.unwrap()
}

/// Takes the one payload that must be there.
pub async fn take_one(store: &dyn Store) -> Delivery {
    take(store, 1).await.pop().expect("a payload is ready")
}

/// Takes a payload and claims under its lease, which it must get.
pub async fn take_and_claim(store: &dyn Store, claims: &[Claim]) -> Delivery {
    let taken = take_one(store).await;
    made(store, claiming(taken.token, claims)).await;
    taken
}

/// A change that claims and nothing else.
pub fn claiming(token: Token, claims: &[Claim]) -> Change {
    claims.iter().cloned().fold(Change::new().under(token, LeaseEnd::Keep), Change::claim)
}

/// Takes a payload and parks it.
pub async fn take_and_park(store: &dyn Store, claim: &Claim) -> Delivery {
    let taken = take_one(store).await;
    made(store, Change::new().under(taken.token, LeaseEnd::Park(claim.clone()))).await;
    taken
}

/// The payloads that are ready in a queue, as text.
pub async fn waiting(store: &dyn Store, queue: Queue) -> Vec<String> {
    let payloads = store.waiting(queue, 100).await.unwrap();
    payloads.into_iter().map(|payload| String::from_utf8(payload).unwrap()).collect()
}

/// The payloads that were delivered, as text.
pub fn payloads(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|d| String::from_utf8(d.payload.clone()).unwrap()).collect()
}

pub fn tokens(deliveries: &[Delivery]) -> Vec<Token> {
    deliveries.iter().map(|d| d.token).collect()
}

pub fn ids(docs: &[Doc]) -> Vec<&str> {
    docs.iter().map(|doc| doc.key.id.as_str()).collect()
}

/// The ids of all documents of an index, in pages of `limit`.
pub async fn walk(store: &dyn Store, index: &IndexName, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut after: Option<Cursor> = None;
    for _ in 0..MANY_PAGES {
        let query = ListQuery::newest(NOTE, limit).index(index.clone()).after(after);
        let page = store.list(&query).await.unwrap();
        assert!(page.docs.len() <= limit, "a page of {} where {limit} were asked for", page.docs.len());
        found.extend(page.docs.into_iter().map(|doc| doc.key.id));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
    panic!("{} has no last page: {found:?}", index.as_str());
}

/// The bodies of a stream's events, as text.
pub async fn event_bodies(store: &dyn Store, stream: &str) -> Vec<String> {
    let events = store.events(stream, 0, 100).await.unwrap();
    events.into_iter().map(|event| String::from_utf8(event.body).unwrap()).collect()
}

/// Asks again and again until the answer is yes; fails after ten seconds.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut is_so: F) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
