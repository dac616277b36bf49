//! The storage contract's suites, run on every engine.
//!
//! Conformance: one file per topic, each body written once and run by [`on_every_store`] as
//! `sqlite_memory::…`, `sqlite_file::…` and `redis::…`. `model_based` drives random operations against
//! a plain model; `planted_faults` proves that it would notice.

/// Runs each named body on every engine. A body that is left off the list is dead code and fails
/// the gate. An engine is one line: its name in the test's path, and how a fresh, empty one is had
/// (`None`: not available here, the test is passed over).
macro_rules! on_every_store {
    ($($body:ident),* $(,)?) => {
        // on_every_store!(@engine sqlite_memory, $crate::store::sqlite_harness::memory, $($body),*);
        // on_every_store!(@engine sqlite_file, $crate::store::sqlite_harness::file, $($body),*);
        on_every_store!(@engine redis, $crate::store::redis_harness::redis, $($body),*);
    };
    (@engine $engine:ident, $open:path, $($body:ident),*) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $body() {
                    if let Some(mut harness) = $open().await {
                        super::$body(harness.as_mut()).await;
                        harness.store().close().await;
                    }
                }
            )*
        }
    };
}

mod fixtures;
mod harness;
mod redis_harness;
// mod sqlite_harness;

mod conditions;
mod documents;
mod due_times;
mod events;
mod expiry;
mod fencing;
mod indexes;
mod leases;
mod limits;
mod queues;
mod races;
mod reopening;
mod waiting;
