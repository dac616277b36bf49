//! The storage contract's suites, run on every engine.
//!
//! Conformance: one file per topic, each body written once and run by [`on_every_store`] as
//! `sqlite_memory::…`, `sqlite_file::…` and `redis::…`. `model_based` drives random operations against
//! a plain model; `planted_faults` proves that it would notice.

/// Runs each named body on every engine; `opening:` bodies get the way to open fresh ones instead of
/// one that is open. A body that is left off the list is dead code and fails the gate.
///
/// An engine is one line: its name in the test's path, and how a fresh, empty store of it is had
/// (`None`: not available here, the test is passed over).
macro_rules! on_every_store {
    (@engines $form:ident $bodies:tt) => {
        on_every_store!(@$form sqlite_memory, $crate::store::sqlite_harness::memory, $bodies);
        on_every_store!(@$form sqlite_file, $crate::store::sqlite_harness::file, $bodies);
        on_every_store!(@$form redis, $crate::store::redis_harness::redis, $bodies);
    };
    (@open $engine:ident, $open:path, ($($body:ident),*)) => {
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
    (@opening $engine:ident, $open:path, ($($body:ident),*)) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $body() {
                    super::$body($open).await;
                }
            )*
        }
    };
    (opening: $($body:ident),* $(,)?) => { on_every_store!(@engines opening ($($body),*)); };
    ($($body:ident),* $(,)?) => {
        on_every_store!(@engines open ($($body),*));

        /// The same bodies, for servers that are too dear to be started for each.
        pub fn bodies() -> Vec<$crate::store::topologies::Body> {
            use $crate::store::topologies::Body;
            vec![$(Body::new(concat!(module_path!(), "::", stringify!($body)), |h| Box::pin($body(h)))),*]
        }
    };
}

mod fault;
mod faulty_store;
mod fixtures;
mod harness;
mod model;
mod operations;
mod playing;
mod redis_harness;
mod sqlite_harness;
mod tally_model;

mod audits;
mod claims;
mod conditions;
mod documents;
mod due_times;
pub mod dumps;
mod event_waits;
mod events;
mod expiry;
mod fencing;
mod indexes;
mod leases;
mod limits;
mod looking;
mod model_based;
mod parking;
mod pausing;
mod pickup;
mod planted_faults;
mod queues;
mod races;
mod reopening;
mod revoking;
mod sqlite_files;
mod tallies;
mod tally_bounds;
mod tally_lives;
mod topologies;
mod waiting;

mod redis_audits;
mod redis_failovers;
mod redis_moves;
mod redis_only;
mod redis_outages;
mod redis_pickup;
mod redis_refusals;
mod redis_tallies;
mod redis_wakeups;
