//! Waiting and taking in one go: what comes is taken once, within the limit, and never for nobody.

use std::{sync::Arc, time::Duration};

use productforge::store::{Change, Delivery, LeaseEnd, Queue, Reserve, Store};
use tokio::task::JoinHandle;

use super::{fixtures::*, harness::Harness};

on_every_store!(
    what_is_ready_is_taken_at_once,
    nothing_is_taken_when_nothing_comes,
    what_comes_is_taken_from_every_queue,
    no_more_is_taken_than_was_asked_for,
    nothing_is_taken_from_a_paused_queue,
    what_comes_for_a_caller_that_has_gone_stays_in_its_queue,
    no_arrival_is_lost_in_a_race,
    a_lease_is_counted_from_no_later_than_its_beginning,
);

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_secs(10);

fn request(limit: usize) -> Reserve {
    Reserve { worker: "worker-1".into(), limit, lease_ms: LEASE_MS, order: Queue::ALL }
}

/// A worker without work: looks again when it was woken for nothing, as the pool does.
fn idle(store: &Arc<dyn Store>, limit: usize) -> JoinHandle<Vec<Delivery>> {
    let store = store.clone();
    tokio::spawn(async move {
        loop {
            let taken = store.reserve_or_wait(&request(limit), LONG).await.unwrap();
            if !taken.is_empty() {
                return taken;
            }
        }
    })
}

async fn taken(worker: JoinHandle<Vec<Delivery>>) -> Vec<Delivery> {
    tokio::time::timeout(SOON, worker).await.expect("work came").unwrap()
}

async fn finish(store: &dyn Store, delivery: &Delivery) {
    made(store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
}

async fn what_is_ready_is_taken_at_once(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2"]).await;
    let found = taken(idle(&store, 9)).await;
    assert_eq!(payloads(&found), ["1", "2"]);
    assert_eq!(store.depth().await.unwrap().leased, 2);
}

async fn nothing_is_taken_when_nothing_comes(h: &mut dyn Harness) {
    let store = h.store();
    assert!(store.reserve_or_wait(&request(9), SHORT).await.unwrap().is_empty());
    // Nor later, for the wait that is over.
    enqueue(&*store, &["1"]).await;
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1"]);
}

async fn what_comes_is_taken_from_every_queue(h: &mut dyn Harness) {
    let store = h.store();
    for queue in Queue::ALL {
        let worker = idle(&store, 1);
        made(&*store, Change::new().enqueue(job(queue, queue.name()))).await;
        let found = taken(worker).await.remove(0);
        assert_eq!((found.queue, &*found.payload), (queue, queue.name().as_bytes()));
        finish(&*store, &found).await;
    }
}

async fn no_more_is_taken_than_was_asked_for(h: &mut dyn Harness) {
    let store = h.store();
    for _ in 0..20 {
        let worker = idle(&store, 2);
        let jobs = Queue::ALL.map(|queue| [job(queue, "a"), job(queue, "b")]).into_iter().flatten();
        made(&*store, jobs.fold(Change::new(), Change::enqueue)).await;
        let found = taken(worker).await;
        let depth = store.depth().await.unwrap();
        assert!((1..=2).contains(&found.len()), "{found:?}");
        assert_eq!((depth.leased, depth.ready()), (found.len() as u64, 6 - found.len() as u64));
        for delivery in found.into_iter().chain(take(&*store, 9).await) {
            finish(&*store, &delivery).await;
        }
    }
}

async fn nothing_is_taken_from_a_paused_queue(h: &mut dyn Harness) {
    let store = h.store();
    store.pause(Queue::Normal, true).await.unwrap();
    enqueue(&*store, &["1"]).await;
    assert!(store.reserve_or_wait(&request(9), SHORT).await.unwrap().is_empty());
    let worker = idle(&store, 9);
    made(&*store, Change::new().enqueue(job(Queue::Low, "2"))).await;
    assert_eq!(payloads(&taken(worker).await), ["2"]);
    assert_eq!(waiting(&*store, Queue::Normal).await, ["1"]);
}

async fn what_comes_for_a_caller_that_has_gone_stays_in_its_queue(h: &mut dyn Harness) {
    let store = h.store();
    for round in 0..40 {
        let worker = idle(&store, 9);
        // Now and then it has not begun to wait yet, or has work already.
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let payload = round.to_string();
        let entry = [&*payload];
        let coming = enqueue(&*store, &entry);
        worker.abort();
        coming.await;
        let found = match worker.await {
            Ok(found) => found,
            Err(_) => {
                eventually("the payload is ready", async || waiting(&*store, Queue::Normal).await.len() == 1)
                    .await;
                take(&*store, 9).await
            }
        };
        assert_eq!(payloads(&found), [payload]);
        finish(&*store, &found[0]).await;
    }
    assert_eq!(store.depth().await.unwrap().open(), 0);
}

/// Producer and worker run without a pause between, so that an enqueue falls into every gap of the worker.
async fn no_arrival_is_lost_in_a_race(h: &mut dyn Harness) {
    const ROUNDS: usize = 200;
    let store = h.store();
    let worker_store = store.clone();
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let worker = tokio::spawn(async move {
        for _ in 0..ROUNDS {
            for delivery in idle(&worker_store, 1).await.unwrap() {
                finish(&*worker_store, &delivery).await;
                arrived.send(delivery.payload).unwrap();
            }
        }
    });
    for round in 0..ROUNDS {
        enqueue(&*store, &[&round.to_string()]).await;
        let payload = tokio::time::timeout(SOON, arrivals.recv()).await.expect("it arrives").unwrap();
        assert_eq!(payload, round.to_string().into_bytes());
    }
    worker.await.unwrap();
}

async fn a_lease_is_counted_from_no_later_than_its_beginning(h: &mut dyn Harness) {
    let store = h.store();
    let worker = idle(&store, 1);
    enqueue(&*store, &["1"]).await;
    let found = taken(worker).await.remove(0);
    let (lease, now) = (store.leases(1).await.unwrap().remove(0), store.now().await.unwrap());
    // Of two clocks that both go right: what the lease has left is no less than what its holder counts on.
    let left_by_ours = LEASE_MS as i64 - found.leased_at.elapsed().as_millis() as i64;
    assert!(lease.expires_at - now + 50 >= left_by_ours, "{lease:?} at {now}, we count on {left_by_ours} ms");
}
