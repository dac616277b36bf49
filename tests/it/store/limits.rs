//! The limits of the contract: what breaks one is invalid and writes nothing.

use productforge::store::{
    ALL_EVENTS, Add, Change, Claim, DocKey, Enqueue, LeaseEnd, ListQuery, MAX_BATCH, MAX_CLAIM_LIMIT,
    MAX_DOCUMENT_BYTES, MAX_PAYLOAD_BYTES, MAX_TALLY, Put, Queue, Reserve, Store, StoreError, Token,
};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_payload_may_be_as_large_as_the_limit_and_no_larger,
    a_document_may_be_as_large_as_the_limit_and_no_larger,
    a_change_may_hold_as_many_entries_as_the_limit_and_no_more,
    reading_more_than_the_limit_is_invalid,
    taking_or_moving_more_than_the_limit_is_invalid,
    a_page_or_a_reservation_of_nothing_is_invalid,
    nothing_is_appended_to_the_stream_of_all_events_by_name,
    a_claim_has_a_name_and_a_limit_within_bounds,
    a_claim_needs_a_lease_that_goes_on,
    an_add_has_names_and_a_number_within_bounds,
);

/// The change is invalid, and nothing of it was written: it also puts `witness`, a job and an event.
async fn is_invalid(store: &dyn Store, change: Change) {
    let depth = store.depth().await.unwrap();
    let mut change = change;
    change.put.insert(0, put("witness", ""));
    change.enqueue.insert(0, job(Queue::Normal, "witness"));
    change.events.insert(0, productforge::store::NewEvent { stream: "witness".into(), body: Vec::new() });
    let answer = store.apply(change).await;
    assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
    assert_eq!(doc(store, "witness").await, None);
    assert_eq!(store.depth().await.unwrap(), depth);
    assert!(event_bodies(store, ALL_EVENTS).await.is_empty());
}

async fn a_payload_may_be_as_large_as_the_limit_and_no_larger(h: &mut dyn Harness) {
    let store = h.store();
    let entry = |size: usize| Enqueue { queue: Queue::Normal, payload: vec![b'x'; size], due_at: None };
    is_invalid(&*store, Change::new().enqueue(entry(MAX_PAYLOAD_BYTES + 1))).await;
    made(&*store, Change::new().enqueue(entry(MAX_PAYLOAD_BYTES))).await;
    assert_eq!(take_one(&*store).await.payload.len(), MAX_PAYLOAD_BYTES);
}

async fn a_document_may_be_as_large_as_the_limit_and_no_larger(h: &mut dyn Harness) {
    let store = h.store();
    let large = |size: usize| Change::new().put(Put::raw(note("large"), vec![b'x'; size]));
    is_invalid(&*store, large(MAX_DOCUMENT_BYTES + 1)).await;
    made(&*store, large(MAX_DOCUMENT_BYTES)).await;
    assert_eq!(doc(&*store, "large").await.unwrap().body.len(), MAX_DOCUMENT_BYTES);
}

async fn a_change_may_hold_as_many_entries_as_the_limit_and_no_more(h: &mut dyn Harness) {
    let store = h.store();
    let fill = |add: fn(Change, usize) -> Change, count: usize| (0..count).fold(Change::new(), add);
    let kinds: [fn(Change, usize) -> Change; 7] = [
        |change, n| change.expect(note(&n.to_string()), None),
        |change, n| change.put(put(&n.to_string(), "")),
        |change, n| change.delete(note(&n.to_string())),
        |change, n| change.enqueue(job(Queue::Low, &n.to_string())),
        |change, n| change.event("run", n.to_string().into_bytes()),
        |change, n| change.revoke(Token(n as u64)),
        |change, n| change.add(Add::new(n.to_string(), "x", 1)),
    ];
    for add in kinds {
        is_invalid(&*store, fill(add, MAX_BATCH + 1)).await;
    }
    for add in kinds {
        made(&*store, fill(add, MAX_BATCH)).await;
    }
    assert_eq!(store.depth().await.unwrap().low, MAX_BATCH as u64);
}

async fn reading_more_than_the_limit_is_invalid(h: &mut dyn Harness) {
    let store = h.store();
    let keys: Vec<DocKey> = (0..=MAX_BATCH).map(|n| note(&n.to_string())).collect();
    assert!(matches!(store.get(&keys).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.get(&keys[1..]).await.unwrap().len(), MAX_BATCH);
    assert!(matches!(store.list(&ListQuery::newest(NOTE, MAX_BATCH + 1)).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.events("run", 0, MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.leases(MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.waiting(Queue::Low, MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    let names: Vec<String> = (0..=MAX_BATCH).map(|n| n.to_string()).collect();
    assert!(matches!(store.tallies(&names).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.tallies(&names[1..]).await.unwrap().len(), MAX_BATCH);
}

async fn taking_or_moving_more_than_the_limit_is_invalid(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let reserve = Reserve {
        worker: "w".into(),
        limit: MAX_BATCH + 1,
        lease_ms: LEASE_MS,
        order: productforge::store::Queue::ALL,
    };
    assert!(matches!(store.reserve(&reserve).await, Err(StoreError::Invalid(_))));
    let tokens: Vec<Token> = (0..=MAX_BATCH as u64).map(Token).collect();
    assert!(matches!(store.renew(&tokens, LEASE_MS).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.sweep(MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.promote(MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.expire(MAX_BATCH + 1).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.depth().await.unwrap().normal, 1);
}

async fn a_page_or_a_reservation_of_nothing_is_invalid(h: &mut dyn Harness) {
    let store = h.store();
    let reserve =
        Reserve { worker: "w".into(), limit: 0, lease_ms: LEASE_MS, order: productforge::store::Queue::ALL };
    assert!(matches!(store.reserve(&reserve).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.list(&ListQuery::newest(NOTE, 0)).await, Err(StoreError::Invalid(_))));
}

async fn nothing_is_appended_to_the_stream_of_all_events_by_name(h: &mut dyn Harness) {
    is_invalid(&*h.store(), Change::new().event(ALL_EVENTS, b"{}".to_vec())).await;
}

async fn a_claim_has_a_name_and_a_limit_within_bounds(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    let long = "n".repeat(256);
    let broken = [
        claim("", 1),
        claim(&format!("{long}n"), 1),
        claim("agent", 0),
        claim("agent", MAX_CLAIM_LIMIT + 1),
        claim("agent", u32::MAX),
    ];
    for broken in broken {
        is_invalid(&*store, claiming(lease.token, &[claim("sound", 1), broken.clone()])).await;
        is_invalid(&*store, Change::new().under(lease.token, LeaseEnd::Park(broken))).await;
    }
    let many: Vec<Claim> = (0..=MAX_BATCH).map(|n| claim(&n.to_string(), 1)).collect();
    is_invalid(&*store, claiming(lease.token, &many)).await;
    // Not one of them was given: a second lease can have it.
    enqueue(&*store, &["2"]).await;
    take_and_claim(&*store, &[claim("sound", 1), claim("0", 1)]).await;

    made(&*store, claiming(lease.token, &[claim(&long, MAX_CLAIM_LIMIT)])).await;
    made(&*store, claiming(lease.token, &many[1..])).await;
}

async fn a_claim_needs_a_lease_that_goes_on(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    is_invalid(&*store, Change::new().claim(claim("agent", 1))).await;
    for end in [LeaseEnd::Finish, LeaseEnd::Requeue, LeaseEnd::Park(claim("other", 1))] {
        is_invalid(&*store, Change::new().under(lease.token, end).claim(claim("agent", 1))).await;
    }
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
}

async fn an_add_has_names_and_a_number_within_bounds(h: &mut dyn Harness) {
    let store = h.store();
    let long = "n".repeat(256);
    let add = |tally: &str, field: &str, by: i64| Change::new().add(Add::new(tally, field, by));
    let broken = [
        add("", "x", 1),
        add("a", "", 1),
        add(&format!("{long}n"), "x", 1),
        add("a", &format!("{long}n"), 1),
        add("a", "x", MAX_TALLY + 1),
        add("a", "x", -MAX_TALLY - 1),
        add("a", "x", i64::MAX),
        add("a", "x", i64::MIN),
    ];
    for broken in broken {
        is_invalid(&*store, broken.add(Add::new("a", "sound", 1))).await;
    }
    assert_eq!(tally(&*store, "a").await, fields(&[]));
    made(&*store, add(&long, &long, MAX_TALLY)).await;
    made(&*store, add(&long, "x", -MAX_TALLY)).await;
    assert_eq!(tally(&*store, &long).await, fields(&[(&long, MAX_TALLY), ("x", -MAX_TALLY)]));
}
