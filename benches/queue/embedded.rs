//! The embedded store: preload, then drain in this process, durable at every step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use productforge::{
    clock::SystemClock,
    config::QueueOrder,
    service::records,
    store::{
        Change, Enqueue, IndexName, MAX_BATCH, Queue,
        sqlite::{Location, SqliteStore},
    },
    worker::{self, WorkerOptions},
};

use crate::{
    as_shipped,
    job::{self, Noop},
    setting,
};

/// Drains so many jobs and prints the rate, taken between 2 % done and all done.
pub async fn drain(jobs: usize) {
    let folder = tempfile::tempdir_in(std::env::var("STORE_DIR").unwrap_or_else(|_| ".".to_owned()))
        .expect("a folder can be made");
    let clock = Arc::new(SystemClock);
    let location = Location::File(folder.path().join("bench.db"));
    let store = SqliteStore::open(location, clock.clone()).expect("the store opens");
    let store = as_shipped(Arc::new(store));
    let begun = Instant::now();
    for from in (0..jobs).step_by(MAX_BATCH) {
        let entry =
            |number| Enqueue { queue: Queue::Normal, payload: job::payload(number, None), due_at: None };
        let change =
            Change { enqueue: (from..jobs.min(from + MAX_BATCH)).map(entry).collect(), ..Change::new() };
        let _ = store.apply(change).await.expect("the jobs are taken");
    }
    let enqueue_s = begun.elapsed().as_secs_f64();

    let slots = setting("SLOTS", 64);
    let options = WorkerOptions { slots, lease: Duration::from_secs(30), order: QueueOrder::Strict };
    let noop = Arc::new(Noop::new(store.clone()));
    let worker = worker::start_with(store.clone(), clock, noop, options);
    let results = IndexName::all(records::RESULT);
    let mut first = None;
    let (jobs_s, seconds) = loop {
        let done = store.count(&results).await.expect("the store answers") as usize;
        let now = Instant::now();
        if first.is_none() && done >= (jobs / 50).max(1) {
            first = Some((now, done));
        }
        if done >= jobs {
            let (since, before) = first.unwrap_or((begun, 0));
            let seconds = (now - since).as_secs_f64();
            break ((done - before) as f64 / seconds, seconds);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    worker.stop(Duration::from_secs(1), std::future::pending()).await;
    assert_eq!(store.depth().await.expect("the store answers").open(), 0, "a job is left");
    store.close().await;
    println!(
        "{{\"jobs\":{jobs},\"slots\":{slots},\"jobs_s\":{jobs_s:.0},\"seconds\":{seconds:.3},\"enqueue_s\":{enqueue_s:.3}}}"
    );
}
