//! Looking into a queue: what is ready in it, in the order it will be taken, and nothing is taken.

use productforge::store::{Change, Enqueue, LeaseEnd, Queue};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    an_empty_queue_shows_nothing,
    a_queue_shows_what_waits_in_it_the_next_first,
    looking_takes_nothing,
    looking_is_bounded,
    what_goes_back_to_the_front_is_shown_at_the_front,
    what_is_due_later_leased_or_parked_is_not_shown,
    a_paused_queue_can_be_looked_into,
    a_payload_is_shown_as_it_is,
);

async fn an_empty_queue_shows_nothing(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        assert!(waiting(&*store, queue).await.is_empty());
    }
}

async fn a_queue_shows_what_waits_in_it_the_next_first(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    made(&*store, Change::new().enqueue(job(Queue::Low, "low")).enqueue(job(Queue::Normal, "4"))).await;
    assert!(waiting(&*store, Queue::High).await.is_empty());
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2", "3", "4"]);
    assert_eq!(waiting(&*store, Queue::Low).await, ["low"]);
}

async fn looking_takes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2"]).await;
    let depth = store.depth().await.unwrap();
    for _ in 0..3 {
        assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2"]);
    }
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "2"]);
}

async fn looking_is_bounded(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..3 {
        let change = (0..50).fold(Change::new(), |change, n| {
            change.enqueue(job(Queue::Normal, &(block * 50 + n).to_string()))
        });
        made(&*store, change).await;
    }
    for limit in [0, 1, 7, 100] {
        let shown = store.waiting(Queue::Normal, limit).await.unwrap();
        let expected: Vec<_> = (0..limit).map(|n| n.to_string().into_bytes()).collect();
        assert_eq!(shown, expected);
    }
}

async fn what_goes_back_to_the_front_is_shown_at_the_front(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3", "4"]).await;
    let swept = take_one(&*store).await;
    store.renew(&[swept.token], LEASE_MS).await.unwrap();
    let requeued = take_for(&*store, "w", 1, 10 * LEASE_MS).await.remove(0);
    h.age(OVER_A_MINUTE_MS).await;
    store.sweep(100).await.unwrap();
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "3", "4"]);
    made(&*store, Change::new().under(requeued.token, LeaseEnd::Requeue)).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["2", "1", "3", "4"]);
    take_and_park(&*store, &claim("agent", 1)).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["2", "1", "3", "4"]);
    assert_eq!(payloads(&take(&*store, 9).await), ["2", "1", "3", "4"]);
}

async fn what_is_due_later_leased_or_parked_is_not_shown(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    let agent = claim("agent", 1);
    enqueue(&*store, &["leased", "parked", "ready"]).await;
    take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    take_and_park(&*store, &agent).await;
    made(&*store, Change::new().enqueue(job_at(Queue::Normal, "due", soon))).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["ready"]);
    h.age(OVER_A_MINUTE_MS).await;
    store.promote(100).await.unwrap();
    assert_eq!(waiting(&*store, Queue::Normal).await, ["ready", "due"]);
}

async fn a_paused_queue_can_be_looked_into(h: &mut dyn Harness) {
    let store = h.store();
    store.pause(Queue::Normal, true).await.unwrap();
    enqueue(&*store, &["1", "2"]).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1", "2"]);
}

async fn a_payload_is_shown_as_it_is(h: &mut dyn Harness) {
    let store = h.store();
    let odd: Vec<Vec<u8>> = vec![(0..=255).collect(), Vec::new(), vec![0xff, 0xfe], vec![b'x'; 100_000]];
    for payload in &odd {
        let entry = Enqueue { queue: Queue::High, payload: payload.clone(), due_at: None };
        made(&*store, Change::new().enqueue(entry)).await;
    }
    assert_eq!(store.waiting(Queue::High, 100).await.unwrap(), odd);
}
