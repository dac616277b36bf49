//! Payloads for later: they wait for their time and are promoted in its order.

use productforge::store::{Change, Queue, Store};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    a_payload_is_not_given_out_before_its_time,
    promoting_nothing_tells_that_nothing_waits,
    promoting_follows_the_due_times_not_the_order_of_enqueueing,
    a_promoted_payload_goes_to_the_back_of_its_own_queue,
    promoting_is_bounded_and_tells_when_the_next_falls_due,
    a_time_in_the_past_is_due_at_once,
    equal_payloads_may_wait_for_different_times,
    a_payload_that_waits_is_opaque_too,
);

const MINUTE: i64 = 60_000;

/// Puts a job into the normal queue for `minutes` from now.
async fn enqueue_in(store: &dyn Store, payload: &str, minutes: i64) {
    let due_at = store.now().await.unwrap() + minutes * MINUTE;
    made(store, Change::new().enqueue(job_at(Queue::Normal, payload, due_at))).await;
}

async fn a_payload_is_not_given_out_before_its_time(h: &mut dyn Harness) {
    let store = h.store();
    enqueue_in(&*store, "later", 2).await;
    h.age(MINUTE as u64).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 0);
    assert!(take(&*store, 9).await.is_empty());
    h.age(2 * MINUTE as u64).await;
    assert!(take(&*store, 9).await.is_empty(), "only a promotion makes it ready");
    assert_eq!(store.promote(100).await.unwrap().moved, 1);
    assert_eq!(payloads(&take(&*store, 9).await), ["later"]);
    assert_eq!(store.promote(100).await.unwrap().moved, 0);
}

async fn promoting_nothing_tells_that_nothing_waits(h: &mut dyn Harness) {
    let promoted = h.store().promote(100).await.unwrap();
    assert_eq!((promoted.moved, promoted.next_due), (0, None));
}

async fn promoting_follows_the_due_times_not_the_order_of_enqueueing(h: &mut dyn Harness) {
    let store = h.store();
    for (payload, minutes) in [("third", 3), ("first", 1), ("second", 2)] {
        enqueue_in(&*store, payload, minutes).await;
    }
    h.age(5 * MINUTE as u64).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 3);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.due, depth.normal), (0, 3));
    assert_eq!(payloads(&take(&*store, 9).await), ["first", "second", "third"]);
}

async fn a_promoted_payload_goes_to_the_back_of_its_own_queue(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + MINUTE;
    made(
        &*store,
        Change::new()
            .enqueue(job_at(Queue::High, "h later", soon))
            .enqueue(job_at(Queue::Low, "l later", soon + 1))
            .enqueue(job(Queue::High, "h"))
            .enqueue(job(Queue::Normal, "n"))
            .enqueue(job(Queue::Low, "l")),
    )
    .await;
    h.age(2 * MINUTE as u64).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 2);
    assert_eq!(payloads(&take(&*store, 9).await), ["h", "h later", "n", "l", "l later"]);
}

async fn promoting_is_bounded_and_tells_when_the_next_falls_due(h: &mut dyn Harness) {
    let store = h.store();
    for minutes in [1, 2, 3, 4, 20] {
        enqueue_in(&*store, &minutes.to_string(), minutes).await;
    }
    let until_next = async |store: &dyn Store| {
        let promoted = store.promote(3).await.unwrap();
        let now = store.now().await.unwrap();
        (promoted.moved, promoted.next_due.map(|due| due - now))
    };
    let (moved, left) = until_next(&*store).await;
    assert_eq!(moved, 0);
    assert!((30_000..=60_000).contains(&left.unwrap()), "{left:?}");

    h.age(10 * MINUTE as u64).await;
    let (moved, left) = until_next(&*store).await;
    assert_eq!(moved, 3);
    assert!(left.unwrap() <= 0, "one is due already: {left:?}");
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "2", "3"]);

    let (moved, left) = until_next(&*store).await;
    assert_eq!(moved, 1);
    assert!((9 * MINUTE..=10 * MINUTE).contains(&left.unwrap()), "{left:?}");
}

async fn a_time_in_the_past_is_due_at_once(h: &mut dyn Harness) {
    let store = h.store();
    let now = store.now().await.unwrap();
    for (payload, due_at) in [("now", now), ("an hour ago", now - 60 * MINUTE), ("long ago", i64::MIN)] {
        made(&*store, Change::new().enqueue(job_at(Queue::Normal, payload, due_at))).await;
    }
    assert_eq!(store.depth().await.unwrap().open(), 3);
    // An engine may make it ready when it is put in or when it is promoted.
    store.promote(100).await.unwrap();
    let mut taken = payloads(&take(&*store, 9).await);
    taken.sort();
    assert_eq!(taken, ["an hour ago", "long ago", "now"]);
}

async fn equal_payloads_may_wait_for_different_times(h: &mut dyn Harness) {
    let store = h.store();
    enqueue_in(&*store, "same", 1).await;
    enqueue_in(&*store, "same", 1).await;
    enqueue_in(&*store, "same", 10).await;
    assert_eq!(store.depth().await.unwrap().due, 3);
    h.age(5 * MINUTE as u64).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 2);
    assert_eq!(payloads(&take(&*store, 9).await), ["same", "same"]);
}

async fn a_payload_that_waits_is_opaque_too(h: &mut dyn Harness) {
    let store = h.store();
    let bytes: Vec<u8> = (0..=255).rev().collect();
    let due_at = Some(store.now().await.unwrap() + MINUTE);
    let entry = productforge::store::Enqueue { queue: Queue::Low, payload: bytes.clone(), due_at };
    made(&*store, Change::new().enqueue(entry)).await;
    h.age(2 * MINUTE as u64).await;
    store.promote(100).await.unwrap();
    assert_eq!(take_one(&*store).await.payload, bytes);
}
