//! Pausing queues: nothing is taken from one, everything else goes on.

use productforge::store::{Change, LeaseEnd, Queue, QueueDepth};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    nothing_is_taken_from_a_paused_queue,
    a_pause_between_two_reservations_counts_for_the_second,
    what_waits_in_a_paused_queue_is_taken_from_its_front_when_it_goes_on,
    pausing_twice_is_pausing_once,
    the_depth_says_which_queues_are_paused,
    a_paused_queue_can_be_added_to,
    what_is_leased_from_a_paused_queue_goes_on,
    what_comes_back_to_a_paused_queue_stays_there,
    a_promotion_fills_a_paused_queue,
    a_full_paused_queue_does_not_stand_before_the_others,
);

/// Puts a payload into each queue.
async fn fill(store: &dyn productforge::store::Store) {
    for (queue, payload) in [(Queue::Low, "l"), (Queue::Normal, "n"), (Queue::High, "h")] {
        made(store, Change::new().enqueue(job(queue, payload))).await;
    }
}

async fn nothing_is_taken_from_a_paused_queue(h: &mut dyn Harness) {
    let store = h.store();
    fill(&*store).await;
    store.pause(Queue::Normal, true).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["h", "l"]);
    assert!(take(&*store, 9).await.is_empty());
    assert_eq!(waiting(&*store, Queue::Normal).await, ["n"]);
}

async fn a_pause_between_two_reservations_counts_for_the_second(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3", "4"]).await;
    for (paused, expected) in
        [(false, vec!["1"]), (true, vec![]), (false, vec!["2"]), (true, vec![]), (true, vec![])]
    {
        store.pause(Queue::Normal, paused).await.unwrap();
        assert_eq!(payloads(&take(&*store, 1).await), expected);
    }
    store.pause(Queue::Normal, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["3", "4"]);
}

async fn what_waits_in_a_paused_queue_is_taken_from_its_front_when_it_goes_on(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        for n in 1..=3 {
            made(&*store, Change::new().enqueue(job(queue, &n.to_string()))).await;
        }
        store.pause(queue, true).await.unwrap();
    }
    assert!(take(&*store, 9).await.is_empty());
    for queue in Queue::ALL {
        store.pause(queue, false).await.unwrap();
        let taken = take(&*store, 9).await;
        assert!(taken.iter().all(|delivery| delivery.queue == queue), "{taken:?}");
        assert_eq!(payloads(&taken), ["1", "2", "3"]);
    }
}

async fn pausing_twice_is_pausing_once(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    store.pause(Queue::Normal, true).await.unwrap();
    store.pause(Queue::Normal, true).await.unwrap();
    assert!(take(&*store, 9).await.is_empty());
    store.pause(Queue::Normal, false).await.unwrap();
    store.pause(Queue::Normal, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["1"]);
}

async fn the_depth_says_which_queues_are_paused(h: &mut dyn Harness) {
    let store = h.store();
    let mut expected = [false; 3];
    for (queue, paused) in [
        (Queue::Normal, true),
        (Queue::Low, true),
        (Queue::Normal, false),
        (Queue::High, true),
        (Queue::Low, false),
    ] {
        store.pause(queue, paused).await.unwrap();
        expected[usize::from(queue.rank())] = paused;
        let depth = store.depth().await.unwrap();
        assert_eq!(depth, QueueDepth { paused: expected, ..QueueDepth::default() });
    }
}

async fn a_paused_queue_can_be_added_to(h: &mut dyn Harness) {
    let store = h.store();
    store.pause(Queue::Normal, true).await.unwrap();
    enqueue(&*store, &["1", "2"]).await;
    assert_eq!(store.depth().await.unwrap().normal, 2);
    store.pause(Queue::Normal, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "2"]);
}

async fn what_is_leased_from_a_paused_queue_goes_on(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    store.pause(Queue::Normal, true).await.unwrap();
    assert_eq!(store.renew(&[lease.token], LEASE_MS).await.unwrap(), [true]);
    let finish = Change::new().under(lease.token, LeaseEnd::Finish).put(put("result", "done"));
    made(&*store, finish).await;
    assert_eq!(body(&*store, "result").await.unwrap(), "done");
}

async fn what_comes_back_to_a_paused_queue_stays_there(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    take(&*store, 1).await;
    let requeued = take_for(&*store, "w", 1, 10 * LEASE_MS).await.remove(0);
    store.pause(Queue::Normal, true).await.unwrap();
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), 1);
    made(&*store, Change::new().under(requeued.token, LeaseEnd::Requeue)).await;
    assert!(take(&*store, 9).await.is_empty());
    store.pause(Queue::Normal, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["2", "1", "3"]);
}

async fn a_promotion_fills_a_paused_queue(h: &mut dyn Harness) {
    let store = h.store();
    store.pause(Queue::High, true).await.unwrap();
    let soon = store.now().await.unwrap() + 60_000;
    made(&*store, Change::new().enqueue(job_at(Queue::High, "later", soon))).await;
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.promote(100).await.unwrap().moved, 1);
    let paused = [true, false, false];
    assert_eq!(store.depth().await.unwrap(), QueueDepth { high: 1, paused, ..QueueDepth::default() });
    assert!(take(&*store, 9).await.is_empty());
    store.pause(Queue::High, false).await.unwrap();
    assert_eq!(payloads(&take(&*store, 9).await), ["later"]);
}

async fn a_full_paused_queue_does_not_stand_before_the_others(h: &mut dyn Harness) {
    let store = h.store();
    let full = (0..100).fold(Change::new(), |change, n| change.enqueue(job(Queue::High, &n.to_string())));
    made(&*store, full).await;
    store.pause(Queue::High, true).await.unwrap();
    made(&*store, Change::new().enqueue(job(Queue::Low, "l"))).await;
    assert_eq!(payloads(&take(&*store, 9).await), ["l"]);
    let orders = [[Queue::High, Queue::Low, Queue::Normal], [Queue::High, Queue::High, Queue::High]];
    for order in orders {
        assert!(take_in(&*store, 9, order).await.is_empty());
    }
}
