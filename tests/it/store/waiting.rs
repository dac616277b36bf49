//! Waiting for work: no wake-up is lost, and nothing is taken by it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use productforge::store::{Change, LeaseEnd, Queue, Store, Token};
use tokio::task::JoinHandle;

use super::{fixtures::*, harness::Harness};

on_every_store!(
    waiting_returns_at_once_when_something_is_ready,
    waiting_takes_nothing,
    waiting_ends_after_the_longest_time,
    an_enqueue_wakes_a_waiter,
    an_enqueue_wakes_every_queue_s_waiter,
    a_requeue_wakes_a_waiter,
    a_sweep_wakes_a_waiter,
    a_promotion_wakes_a_waiter,
    a_queue_that_goes_on_wakes_a_waiter,
    waiting_does_not_spin_on_a_paused_queue,
    a_payload_whose_claim_is_free_wakes_a_waiter,
    a_promotion_of_what_is_parked_wakes_a_waiter,
    no_wake_up_is_lost_in_a_race,
);

/// Far longer than any test should take; a waiter that sleeps it out was not woken.
const LONG: Duration = Duration::from_secs(60);
/// What "soon" may cost on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// A task that waits until it has been woken and something could be taken. It looks again after an
/// early return, as a worker does.
fn waiter(store: &Arc<dyn Store>) -> JoinHandle<String> {
    let store = store.clone();
    tokio::spawn(async move {
        loop {
            store.wait_for_work(LONG).await;
            if let Some(payload) = payloads(&take(&*store, 1).await).pop() {
                return payload;
            }
        }
    })
}

/// Gives a waiter time to fall asleep. The test is right, if weaker, should it not have.
async fn let_it_wait() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn woken(waiter: JoinHandle<String>) -> String {
    tokio::time::timeout(SOON, waiter).await.expect("the waiter was woken").unwrap()
}

async fn waiting_returns_at_once_when_something_is_ready(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        made(&*store, Change::new().enqueue(job(queue, "1"))).await;
        let started = Instant::now();
        store.wait_for_work(LONG).await;
        assert!(started.elapsed() < SOON);
        let lease = take_one(&*store).await;
        made(&*store, Change::new().under(lease.token, LeaseEnd::Finish)).await;
    }
}

async fn waiting_takes_nothing(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3"]).await;
    for _ in 0..5 {
        store.wait_for_work(LONG).await;
    }
    assert_eq!(store.depth().await.unwrap().normal, 3);
    assert_eq!(payloads(&take(&*store, 9).await), ["1", "2", "3"]);
}

async fn waiting_ends_after_the_longest_time(h: &mut dyn Harness) {
    let wait = h.store();
    let started = Instant::now();
    wait.wait_for_work(Duration::from_millis(50)).await;
    assert!(started.elapsed() < SOON);
}

async fn an_enqueue_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    let waiter = waiter(&store);
    let_it_wait().await;
    enqueue(&*store, &["1"]).await;
    assert_eq!(woken(waiter).await, "1");
}

async fn an_enqueue_wakes_every_queue_s_waiter(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        let waiter = waiter(&store);
        let_it_wait().await;
        made(&*store, Change::new().enqueue(job(queue, queue.name()))).await;
        assert_eq!(woken(waiter).await, queue.name());
    }
}

async fn a_requeue_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let lease = take_one(&*store).await;
    let waiter = waiter(&store);
    let_it_wait().await;
    made(&*store, Change::new().under(lease.token, LeaseEnd::Requeue)).await;
    assert_eq!(woken(waiter).await, "1");
}

async fn a_sweep_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    take_one(&*store).await;
    let waiter = waiter(&store);
    h.age(OVER_A_MINUTE_MS).await;
    let_it_wait().await;
    store.sweep(100).await.unwrap();
    assert_eq!(woken(waiter).await, "1");
}

async fn a_promotion_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    made(&*store, Change::new().enqueue(job_at(Queue::Low, "1", soon))).await;
    let waiter = waiter(&store);
    h.age(OVER_A_MINUTE_MS).await;
    let_it_wait().await;
    store.promote(100).await.unwrap();
    assert_eq!(woken(waiter).await, "1");
}

async fn a_queue_that_goes_on_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        store.pause(queue, true).await.unwrap();
        made(&*store, Change::new().enqueue(job(queue, queue.name()))).await;
        assert!(take(&*store, 9).await.is_empty());
        let waiter = waiter(&store);
        let_it_wait().await;
        store.pause(queue, false).await.unwrap();
        assert_eq!(woken(waiter).await, queue.name());
    }
}

/// It may return early now and then, but not each time.
async fn waiting_does_not_spin_on_a_paused_queue(h: &mut dyn Harness) {
    const WAIT: Duration = Duration::from_millis(30);
    let store = h.store();
    for queue in Queue::ALL {
        store.pause(queue, true).await.unwrap();
        made(&*store, Change::new().enqueue(job(queue, "1"))).await;
        assert!(take(&*store, 9).await.is_empty());
        let mut waited = false;
        for _ in 0..20 {
            let started = Instant::now();
            store.wait_for_work(WAIT).await;
            waited |= started.elapsed() >= WAIT;
        }
        assert!(waited, "{queue:?} is paused, and no wait lasted");
    }
    assert_eq!(store.depth().await.unwrap().ready(), 3);
}

/// Every way in which the lease that holds a claim can end.
async fn a_payload_whose_claim_is_free_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    let ends: [fn(Token) -> Change; 4] = [
        |token| Change::new().under(token, LeaseEnd::Finish),
        // Both are ready after this: which one comes first is left open.
        |token| Change::new().under(token, LeaseEnd::Requeue),
        |token| Change::new().under(token, LeaseEnd::Park(claim("agent", 1))),
        |token| Change::new().revoke(token),
    ];
    for (number, end) in ends.into_iter().enumerate() {
        enqueue(&*store, &["same", "same"]).await;
        let holder = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
        take_and_park(&*store, &agent).await;
        let waiter = waiter(&store);
        let_it_wait().await;
        made(&*store, end(holder.token)).await;
        assert_eq!(woken(waiter).await, "same", "end {number}");
        assert_eq!(store.depth().await.unwrap().parked, 0);
        take(&*store, 9).await;
        let held: Vec<Token> = store.leases(9).await.unwrap().iter().map(|lease| lease.token).collect();
        made(&*store, held.into_iter().fold(Change::new(), Change::revoke)).await;
    }
}

async fn a_promotion_of_what_is_parked_wakes_a_waiter(h: &mut dyn Harness) {
    let store = h.store();
    let agent = claim("agent", 1);
    enqueue(&*store, &["holder", "1", "2"]).await;
    let holder = take_and_claim(&*store, std::slice::from_ref(&agent)).await;
    take_and_park(&*store, &agent).await;
    take_and_park(&*store, &agent).await;
    made(&*store, Change::new().under(holder.token, LeaseEnd::Finish)).await;
    // The one that went back ends without having claimed: nobody's end gives back the other one.
    let first = take_one(&*store).await;
    made(&*store, Change::new().under(first.token, LeaseEnd::Finish)).await;
    let waiter = waiter(&store);
    let_it_wait().await;
    store.promote(100).await.unwrap();
    assert_eq!(woken(waiter).await, "2");
}

/// Producer and waiter run without a pause between, so that an enqueue falls into every gap of the
/// waiter. One lost wake-up makes it sleep for [`LONG`].
async fn no_wake_up_is_lost_in_a_race(h: &mut dyn Harness) {
    const ROUNDS: usize = 200;
    let store = h.store();
    let consumer = store.clone();
    let (taken, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let waiter = tokio::spawn(async move {
        for _ in 0..ROUNDS {
            loop {
                consumer.wait_for_work(LONG).await;
                if let Some(lease) = take(&*consumer, 1).await.pop() {
                    made(&*consumer, Change::new().under(lease.token, LeaseEnd::Finish)).await;
                    taken.send(()).unwrap();
                    break;
                }
            }
        }
    });
    for round in 0..ROUNDS {
        enqueue(&*store, &[&round.to_string()]).await;
        let woken = tokio::time::timeout(SOON, arrived.recv()).await;
        assert!(matches!(woken, Ok(Some(()))), "the wake-up of round {round} was lost");
    }
    waiter.await.unwrap();
}
