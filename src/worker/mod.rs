//! A worker process: one file per role, each with a `run_once` that tests can turn by hand.
//!
//! | role | does | how often |
//! |---|---|---|
//! | [`pool`] | takes jobs into free slots and runs them | when there is work |
//! | [`lease_keeper`] | renews the leases of running jobs | a third of the lease |
//! | [`sweeper`] | returns jobs of dead workers to their queues | every second |
//! | [`revocations`] | tells jobs whose lease somebody took away | when that happens |
//! | [`scheduler`] | moves due retries into their queues | when the next is due, at most a second |
//! | [`janitor`] | removes what has expired | every two seconds |
//! | [`upload_janitor`] | removes uploads that are over | every ten seconds |
//! | [`retention`] | removes workflows and results beyond their age or number | every five seconds |
//! | [`auditor`] | mends what the store has lost | every ten minutes |
//! | [`presence`] | says that this worker lives | every ten seconds |
//! | [`orders`] | lets the worker drain when somebody asks for that | when that happens |

pub mod auditor;
mod converse;
mod courier;
pub mod follow;
mod held;
pub mod janitor;
pub mod lease_keeper;
pub mod orders;
mod persist;
pub mod pool;
pub mod presence;
pub mod retention;
pub mod revocations;
pub mod run_job;
pub mod scheduler;
pub mod sweeper;
pub mod upload_janitor;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    config::QueueOrder,
    model::{Timestamp, new_id},
    service::{ServiceError, Services},
    store::{Delivery, Store, StoreError},
    telemetry::{counters, metrics},
};

pub use held::Held;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Jobs run at once.
    pub slots: usize,
    /// How long a job stays with a worker that is not heard of.
    pub lease: Duration,
    /// In which order the queues are looked into.
    pub order: QueueOrder,
}

/// What is done with a delivery. The product's is [`run_job::RunJob`]; a load harness brings its own.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Runs a delivery to its end. `lost` is set when the lease is not ours any more: then nothing may
    /// be written for it, and what runs is to stop.
    async fn run(&self, shared: &Shared, delivery: Delivery, lost: CancellationToken);
}

/// What the roles of one worker share.
pub struct Shared {
    /// Unique per process start.
    pub worker_id: String,
    pub options: WorkerOptions,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub handler: Arc<dyn Handler>,
    /// The leases this worker holds.
    pub held: Held,
    /// When this worker last asked the store for work and got an answer, if it was only "nothing".
    pub asked_at: Mutex<Timestamp>,
    /// Rung when this worker put a job into the due set, so that the scheduler looks at once.
    pub scheduled: Notify,
    /// Set when the worker is to take nothing more.
    pub draining: CancellationToken,
    /// Set when running jobs are to be given back.
    pub giving_back: CancellationToken,
    /// Set when all roles are to end.
    pub ended: CancellationToken,
    pub started_at: Timestamp,
}

/// A running worker.
pub struct WorkerHandle {
    shared: Arc<Shared>,
    pool: JoinHandle<()>,
    roles: TaskTracker,
    jobs: TaskTracker,
    /// Its slots among those of the process.
    _slots: metrics::Held,
}

/// Starts a worker that runs the product's jobs.
pub fn start(services: Services, options: WorkerOptions) -> WorkerHandle {
    let base = services.execution.foundation();
    let (store, clock) = (base.store.clone(), base.clock.clone());
    let handler = Arc::new(run_job::RunJob::new(services.execution.clone()));
    let worker = start_with(store, clock, handler, options);
    worker.roles.spawn(upload_janitor::run(worker.shared.clone(), services.clone()));
    worker.roles.spawn(courier::run(worker.shared.clone(), services.clone()));
    worker.roles.spawn(retention::run(worker.shared.clone(), services.clone()));
    worker.roles.spawn(auditor::run(worker.shared.clone(), services));
    worker
}

/// Starts all roles of a worker.
pub fn start_with(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    handler: Arc<dyn Handler>,
    options: WorkerOptions,
) -> WorkerHandle {
    let started_at = clock.now();
    let slots = counters::SLOTS.hold(i64::try_from(options.slots).unwrap_or(i64::MAX));
    let shared = Arc::new(Shared {
        worker_id: format!("{}-{}-{}", presence::host(), std::process::id(), &new_id()[..8]),
        options,
        store,
        clock,
        handler,
        held: Held::default(),
        asked_at: Mutex::new(started_at),
        scheduled: Notify::new(),
        draining: CancellationToken::new(),
        giving_back: CancellationToken::new(),
        ended: CancellationToken::new(),
        started_at,
    });
    let (roles, jobs) = (TaskTracker::new(), TaskTracker::new());
    let pool = tokio::spawn(pool::run(shared.clone(), jobs.clone()));
    roles.spawn(lease_keeper::run(shared.clone()));
    roles.spawn(sweeper::run(shared.clone()));
    roles.spawn(scheduler::run(shared.clone()));
    roles.spawn(janitor::run(shared.clone()));
    roles.spawn(presence::run(shared.clone()));
    roles.spawn(follow::run(shared.clone(), revocations::Revocations));
    roles.spawn(follow::run(shared.clone(), orders::Orders));
    log::info!("worker {} runs {} slots", shared.worker_id, shared.options.slots);
    WorkerHandle { shared, pool, roles, jobs, _slots: slots }
}

impl WorkerHandle {
    pub fn worker_id(&self) -> &str {
        &self.shared.worker_id
    }

    /// Stops in order: takes nothing more, waits up to `grace` for running jobs, gives back what
    /// is left with no attempt charged, then ends the roles. `now` cuts the wait short.
    pub async fn stop(self, grace: Duration, now: impl Future<Output = ()>) {
        self.shared.draining.cancel();
        // What a call under way still takes is ours to finish or to give back.
        let _ = tokio::time::timeout(Duration::from_secs(4), self.pool).await;
        let running = self.shared.held.len();
        if running > 0 {
            log::info!("waiting up to {:.0} s for {running} running jobs", grace.as_secs_f64());
        }
        self.jobs.close();
        tokio::select! {
            () = self.jobs.wait() => {}
            () = tokio::time::sleep(grace) => {}
            () = now => {}
        }
        self.shared.giving_back.cancel();
        // Giving back is a few store calls a job; a store that is away must not hold the process.
        if tokio::time::timeout(Duration::from_secs(5), self.jobs.wait()).await.is_err() {
            log::warn!("{} jobs could not be given back; their leases will run out", self.shared.held.len());
        }
        self.shared.ended.cancel();
        self.roles.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.roles.wait()).await;
        presence::leave(&self.shared).await;
        log::info!("worker {} has stopped", self.shared.worker_id);
    }
}

impl Shared {
    /// The pool has asked the store for work and got an answer.
    pub(crate) fn has_asked(&self) {
        *self.asked_at.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
    }

    /// Waits, unless the worker ends first; false then.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.ended.cancelled() => false,
        }
    }
}

/// Spreads the rhythm of many processes: a time between half and one and a half of `time`.
pub(crate) fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.5 + rand::random::<f64>())
}

/// Says once, for as long as a role goes on failing, what it fails of. That the store is away is said by whoever takes
/// jobs, so it is not said by every role as well.
#[derive(Debug, Default)]
pub(crate) struct Spell {
    told: bool,
}

impl Spell {
    /// It failed: `{doing}: {error}`.
    pub(crate) fn failed(&mut self, doing: &str, error: impl Into<ServiceError>) {
        let error = error.into();
        let away = matches!(error, ServiceError::Store(StoreError::Unavailable(_)));
        let level = if self.told || away { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "{doing}: {error}; trying on");
        self.told |= !away;
    }

    /// It succeeded: what comes next is said again.
    pub(crate) fn over(&mut self) {
        self.told = false;
    }
}

/// Waits that grow while the store is away, with jitter, for ever.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// After a failure: how long to wait. Never more than a second, so that work goes on within two
    /// seconds of the store's return.
    pub(crate) fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        jittered(Duration::from_millis(50 << self.failures.min(4)).min(Duration::from_millis(700)))
    }

    /// Whether this failure is the first in a row: the one that is worth a line in the log.
    pub(crate) fn is_first(&self) -> bool {
        self.failures <= 1
    }

    pub(crate) fn succeeded(&mut self) {
        if self.failures > 0 {
            log::info!("the store answers again after {} failed tries", self.failures);
        }
        self.failures = 0;
    }
}
