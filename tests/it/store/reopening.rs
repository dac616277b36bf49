//! Closing and opening again: everything that was answered is still there, and goes on.

use productforge::store::{
    ALL_EVENTS, Add, Change, IndexName, LeaseEnd, Queue, QueueDepth, Refusal, StoreError,
};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    documents_indexes_and_counts_outlive_a_close,
    queues_leases_and_due_times_outlive_a_close,
    pauses_claims_and_what_is_parked_outlive_a_close,
    tallies_outlive_a_close,
    tokens_and_event_ids_go_on_rising_after_a_close,
    lives_run_on_while_the_store_is_closed,
    a_closed_store_is_not_available,
);

async fn documents_indexes_and_counts_outlive_a_close(h: &mut dyn Harness) {
    let narrow = IndexName::by(NOTE, "agent", "x");
    let change = Change::new()
        .put(put("a", "one").indexed(1).index(narrow.clone(), 1))
        .put(put("b", "two").indexed(2));
    made(&*h.store(), change).await;
    if !h.reopen().await {
        return;
    }
    let store = h.store();
    assert_eq!(body(&*store, "a").await.unwrap(), "one");
    assert_eq!(walk(&*store, &all_notes(), 1).await, ["b", "a"]);
    assert_eq!(store.count(&all_notes()).await.unwrap(), 2);
    assert_eq!(store.count(&narrow).await.unwrap(), 1);
}

async fn queues_leases_and_due_times_outlive_a_close(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    enqueue(&*store, &["held", "crashed", "1", "2"]).await;
    let held = take_for(&*store, "w", 1, 10 * LEASE_MS).await.remove(0);
    take_for(&*store, "w", 1, LEASE_MS).await;
    made(&*store, Change::new().enqueue(job_at(Queue::High, "later", soon))).await;
    if !h.reopen().await {
        return;
    }
    let store = h.store();
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 0, normal: 2, low: 0, due: 1, leased: 2, ..QueueDepth::default() });
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), 1);
    assert_eq!(store.promote(100).await.unwrap().moved, 1);
    assert!(h.reopen().await);
    let store = h.store();
    made(&*store, Change::new().under(held.token, LeaseEnd::Finish)).await;
    let taken = take(&*store, 9).await;
    assert_eq!(payloads(&taken), ["later", "crashed", "1", "2"]);
    assert_eq!(taken.iter().map(|delivery| delivery.crashes).collect::<Vec<_>>(), [0, 1, 0, 0]);
}

async fn pauses_claims_and_what_is_parked_outlive_a_close(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    enqueue(&*store, &["holder", "parked", "late"]).await;
    let holder = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    take_and_park(&*store, &agent).await;
    let late = take_one(&*store).await;
    made(&*store, Change::new().enqueue(job(Queue::Low, "low"))).await;
    store.pause(Queue::Low, true).await.unwrap();
    if !h.reopen().await {
        return;
    }
    let store = h.store();
    let depth = store.depth().await.unwrap();
    let paused = [false, false, true];
    assert_eq!(depth, QueueDepth { low: 1, parked: 1, leased: 2, paused, ..QueueDepth::default() });
    assert!(take(&*store, 9).await.is_empty());
    let limited = Refusal::Limited(agent.clone());
    assert_eq!(refused(&*store, claiming(late.token, std::slice::from_ref(&agent))).await, limited);
    made(&*store, Change::new().under(holder.token, LeaseEnd::Finish)).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["parked"]);
    made(&*store, claiming(late.token, &[agent])).await;
    store.pause(Queue::Low, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["low"]);
}

async fn tallies_outlive_a_close(h: &mut dyn Harness) {
    let counted = |name: &str, by: i64| Add::new(name, "tokens", by);
    let change = Change::new().add(counted("for ever", 5)).add(counted("a while", 6).keep_ms(3 * LEASE_MS));
    made(&*h.store(), change).await;
    h.age(LEASE_MS).await;
    if !h.reopen().await {
        return;
    }
    let store = h.store();
    assert_eq!(tally(&*store, "for ever").await, fields(&[("tokens", 5)]));
    assert_eq!(tally(&*store, "a while").await, fields(&[("tokens", 6)]));
    let exceeded = exceeded("for ever", "tokens");
    assert_eq!(refused(&*store, Change::new().add(counted("for ever", 1).below(5))).await, exceeded);
    made(&*store, Change::new().add(counted("for ever", 1)).add(counted("a while", 1))).await;
    h.age(2 * LEASE_MS + 30_000).await;
    assert!(h.reopen().await);
    let store = h.store();
    assert_eq!(tally(&*store, "for ever").await, fields(&[("tokens", 6)]));
    assert_eq!(tally(&*store, "a while").await, fields(&[]));
}

async fn tokens_and_event_ids_go_on_rising_after_a_close(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let token = take_one(&*store).await.token;
    let finish = Change::new().under(token, LeaseEnd::Finish).event("run", b"1".to_vec());
    let before = made(&*store, finish).await.event_ids;
    if !h.reopen().await {
        return;
    }
    let store = h.store();
    enqueue(&*store, &["2"]).await;
    assert!(take_one(&*store).await.token > token);
    let after = made(&*store, Change::new().event("run", b"2".to_vec())).await.event_ids;
    assert!(after > before);
    assert_eq!(event_bodies(&*store, "run").await, ["1", "2"]);
    assert_eq!(event_bodies(&*store, ALL_EVENTS).await, ["1", "2"]);
}

async fn lives_run_on_while_the_store_is_closed(h: &mut dyn Harness) {
    made(&*h.store(), Change::new().put(put("a", "one").indexed(1).ttl_ms(60_000))).await;
    h.age(OVER_A_MINUTE_MS).await;
    if !h.reopen().await {
        return;
    }
    assert_eq!(doc(&*h.store(), "a").await, None);
    assert_eq!(h.store().count(&all_notes()).await.unwrap(), 0);
}

async fn a_closed_store_is_not_available(h: &mut dyn Harness) {
    let store = h.store();
    store.close().await;
    store.close().await;
    assert!(matches!(store.apply(Change::new()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.get(&[note("a")]).await, Err(StoreError::Unavailable(_))));
}
