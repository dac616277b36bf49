//! The queue under load: the real worker (pool, leases, sweeper, scheduler) and the real stores, with a
//! job that does nothing but write a result. Counted is what is durably finished.
//!
//! ```text
//! enqueue N         N jobs by LPUSH, as a foreign program would
//! produce N PER_S   the same at a steady rate, while a worker runs
//! work              a worker until SIGTERM
//! due N SECONDS     N jobs that fall due within one second, so many seconds from now
//! latency K         K jobs, one at a time, that carry the time just before their LPUSH
//! embedded N        N jobs on the embedded store, in this process: prints the drain as JSON
//! workflows N       N reviewed workflows with the simulated model, on Redis if it is named, else embedded
//! workflows-live N  the same, posted while the worker runs
//! ```
//! All but the last three need `REDIS_URL` or `REDIS_PORT`. `SLOTS` (200, embedded: 64), `JOB_BYTES` (200),
//! `RESULT_BYTES` (1000), `RESULT_TTL` (3600 s), `LIST` (queue), `LAT_FILE`, `LAT_MIN_MS`, `LAT_MAX_MS`, `THREADS`,
//! `MEASURED` (1).
//! `benches/compare.py` puts all of it beside rivals and limits.

mod embedded;
mod job;
mod produce;
mod workflows;

use std::{sync::Arc, time::Duration};

use productforge::{
    clock::SystemClock,
    config::QueueOrder,
    store::{
        Measured, Store,
        redis::{RedisOptions, RedisStore},
    },
    worker::{self, WorkerOptions},
};

use job::Noop;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let number = |at: usize| arguments.get(at).and_then(|n| n.parse::<usize>().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(setting("THREADS", 2))
        .enable_all()
        .build()
        .expect("a runtime can be had");
    match (arguments.first().map(String::as_str), number(1)) {
        (Some("enqueue"), Some(jobs)) => produce::all_at_once(jobs),
        (Some("produce"), Some(jobs)) => produce::at_a_rate(jobs, number(2).unwrap_or(1_000)),
        (Some("latency"), Some(jobs)) => produce::one_by_one(jobs),
        (Some("due"), Some(jobs)) => runtime.block_on(produce::due_together(jobs, number(2).unwrap_or(5))),
        (Some("work"), _) => runtime.block_on(work()),
        (Some("workflows"), Some(number)) => runtime.block_on(workflows::drain(number, false)),
        (Some("workflows-live"), Some(number)) => runtime.block_on(workflows::drain(number, true)),
        (Some("embedded"), Some(jobs)) => runtime.block_on(embedded::drain(jobs)),
        _ => eprintln!(
            "enqueue N | produce N PER_S | work | latency K | embedded N | workflows N; see benches/queue/main.rs"
        ),
    }
}

async fn work() {
    let store = as_shipped(Arc::new(store()));
    let slots = setting("SLOTS", 200);
    let options = WorkerOptions { slots, lease: Duration::from_secs(30), order: QueueOrder::Strict };
    let worker =
        worker::start_with(store.clone(), Arc::new(SystemClock), Arc::new(Noop::new(store)), options);
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("signals can be received");
    term.recv().await;
    worker.stop(Duration::from_secs(1), std::future::pending()).await;
}

fn store() -> RedisStore {
    let options = RedisOptions { url: redis_url(), prefix: String::new() };
    RedisStore::open(options).expect("REDIS_URL is a URL of a Redis")
}

/// The store as the product uses it: timed. `MEASURED=0` shows what that costs.
fn as_shipped(store: Arc<dyn Store>) -> Arc<dyn Store> {
    if setting("MEASURED", 1) == 0 { store } else { Arc::new(Measured::new(store)) }
}

fn redis_url() -> String {
    redis_url_if_set().expect("set REDIS_URL or REDIS_PORT")
}

fn redis_url_if_set() -> Option<String> {
    let by_port = || std::env::var("REDIS_PORT").map(|port| format!("redis://127.0.0.1:{port}"));
    std::env::var("REDIS_URL").or_else(|_| by_port()).ok()
}

/// A number from the environment.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
