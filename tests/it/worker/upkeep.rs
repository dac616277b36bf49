//! Upkeep: what the auditor mends, and what it leaves alone.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use productforge::{
    app::App,
    clock::{Clock, ManualClock},
    config::QueueOrder,
    model::{JobState, Usd},
    service::{execution::Reservation, records, tasks::NewTask, workflows::NewWorkflow},
    store::{Add, Change, Delivery, LeaseEnd, Queue, Reserve},
    worker::{Handler, Held, Shared, WorkerOptions, auditor, janitor},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{
    app::memory_at,
    blobs::TempBlobs,
    logs,
    scripted::chain,
    sleepy_store::SleepyStore,
    wait::until,
    world::{config, idle, job},
};

const START_MS: i64 = 1_763_800_000_000;
const LONG_MS: i64 = 31 * 60_000;

fn world() -> (App, Arc<ManualClock>) {
    let (store, clock) = memory_at(START_MS);
    (App::assemble(config(&[]), store, TempBlobs::new(), chain(|_| "approve"), clock.clone()), clock)
}

async fn submit(app: &App, run_later: bool) -> String {
    let delay_seconds = run_later.then_some(60.0);
    let task = NewTask { job: "x".to_owned(), delay_seconds, ..NewTask::default() };
    app.services.tasks.submit(task).await.unwrap().job_id
}

/// Makes everything that is ready vanish, as an eviction of the list would.
async fn lose_payloads(app: &App) {
    let request = Reserve { worker: "eviction".into(), limit: 100, lease_ms: 60_000, order: Queue::ALL };
    for delivery in app.store.reserve(&request).await.unwrap() {
        let change = Change::new().under(delivery.token, LeaseEnd::Finish);
        app.store.apply(change).await.unwrap().unwrap();
    }
}

async fn audited(app: &App) -> Vec<String> {
    let (mut mended, mut after) = (Vec::new(), None);
    loop {
        let audited = app.services.execution.audit_jobs(after).await.unwrap();
        mended.extend(audited.mended);
        after = audited.next;
        if after.is_none() {
            return mended;
        }
    }
}

#[tokio::test]
async fn a_job_whose_payload_the_store_has_lost_is_queued_again_and_runs() {
    let (app, clock) = world();
    let lost = submit(&app, false).await;
    lose_payloads(&app).await;
    assert_eq!(audited(&app).await, [""; 0], "too early to be sure");
    clock.advance(LONG_MS);
    let mended = audited(&app).await;
    assert!(mended.len() == 1 && mended[0].contains(&lost), "{mended:?}");
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(job(&app, &lost).await.state, JobState::Completed);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_running_job_whose_lease_the_store_has_lost_is_queued_again() {
    let (app, clock) = world();
    let id = submit(&app, false).await;
    let request = Reserve { worker: "w".into(), limit: 1, lease_ms: 60_000, order: Queue::ALL };
    let delivery = app.store.reserve(&request).await.unwrap().pop().unwrap();
    app.services.execution.admit(&delivery, "w").await.unwrap();
    clock.advance(LONG_MS);
    assert_eq!(audited(&app).await, [""; 0], "its lease is held, swept or not");
    let gone = Change::new().under(delivery.token, LeaseEnd::Finish);
    app.store.apply(gone).await.unwrap().unwrap();
    assert_eq!(audited(&app).await.len(), 1);
    let worker = app.start_worker();
    idle(&app).await;
    assert_eq!(job(&app, &id).await.state, JobState::Completed);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn what_waits_its_turn_or_its_time_is_left_alone() {
    let (app, clock) = world();
    submit(&app, false).await;
    submit(&app, true).await;
    let brief = NewWorkflow { job: "a brief".to_owned(), ..NewWorkflow::default() };
    app.services.workflows.start(brief).await.unwrap();
    clock.advance(LONG_MS);
    assert_eq!(audited(&app).await, [""; 0]);
    assert_eq!(app.store.depth().await.unwrap().open(), 3);
}

#[tokio::test]
async fn a_job_that_is_younger_than_what_waits_first_is_not_taken_for_lost() {
    let (app, clock) = world();
    let lost = submit(&app, false).await;
    lose_payloads(&app).await;
    clock.advance(1_000);
    let waits = submit(&app, false).await;
    clock.advance(LONG_MS);
    let mended = audited(&app).await;
    assert!(mended.len() == 1 && mended[0].contains(&lost), "{mended:?}");
    assert!(!mended[0].contains(&waits));
}

#[tokio::test]
async fn what_is_reserved_for_a_job_that_can_use_it_no_more_is_given_back() {
    let (app, clock) = world();
    let lives = submit(&app, true).await;
    for job_id in ["gone", lives.as_str()] {
        let held = Reservation {
            job_id: job_id.to_owned(),
            call: 1,
            tokens: 70,
            usd: Usd::from_nanos(5),
            tallies: vec!["budget:day:2025-11-22".to_owned()],
            at_ms: START_MS,
        };
        let add = |field: &str, by| Add {
            tally: held.tallies[0].clone(),
            field: field.to_owned(),
            by,
            below: None,
            keep_ms: None,
        };
        let mut change = Change::new().put(records::put_reservation(&held));
        change.add = ["used_tokens", "held_tokens"].map(|field| add(field, 70)).to_vec();
        app.store.apply(change).await.unwrap().unwrap();
    }
    let reserved = async || {
        let tally = app.store.tallies(&["budget:day:2025-11-22".to_owned()]).await.unwrap().pop().unwrap();
        (tally["used_tokens"], tally["held_tokens"])
    };
    let look = async || app.services.execution.audit_reservations(None).await.unwrap().mended;
    assert_eq!((look().await, reserved().await), (vec![], (140, 140)), "too early to be sure");
    clock.advance(LONG_MS);
    let mended = look().await;
    assert!(mended.len() == 1 && mended[0].contains("job gone"), "{mended:?}");
    assert_eq!((look().await, reserved().await), (vec![], (70, 70)), "once, and only what nobody can use");
}

/// A worker that runs nothing: its roles are turned by hand.
struct Idle;

#[async_trait]
impl Handler for Idle {
    async fn run(&self, _: &Shared, _: Delivery, _: CancellationToken) {}
}

fn roles_of(app: &App, clock: &Arc<ManualClock>) -> Shared {
    let order = QueueOrder::Strict;
    Shared {
        worker_id: "w".to_owned(),
        options: WorkerOptions { slots: 1, lease: Duration::from_secs(30), order },
        store: app.store.clone(),
        clock: clock.clone(),
        handler: Arc::new(Idle),
        held: Held::default(),
        asked_at: Mutex::new(clock.now()),
        scheduled: Notify::new(),
        draining: CancellationToken::new(),
        giving_back: CancellationToken::new(),
        ended: CancellationToken::new(),
        started_at: clock.now(),
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_audited_does_not_keep_the_others_from_it() {
    let (memory, clock) = memory_at(START_MS);
    let store = SleepyStore::over(memory);
    let app =
        App::assemble(config(&[]), store.clone(), TempBlobs::new(), chain(|_| "approve"), clock.clone());
    submit(&app, false).await;
    lose_payloads(&app).await;
    clock.advance(LONG_MS);
    // It comes long before the jobs.
    store.break_down("agents_index");
    let shared = roles_of(&app, &clock);
    let told = auditor::run_once(&shared, &app.services).await.unwrap_err();
    assert!(told.to_string().contains("agents_index"), "{told}");
    assert_eq!(app.store.depth().await.unwrap().open(), 1, "the job is queued again");
    store.go_away();
    assert!(auditor::run_once(&shared, &app.services).await.is_err());
}

#[tokio::test]
async fn a_role_that_goes_on_failing_says_so_once() {
    logs::keep_all();
    let (memory, clock) = memory_at(START_MS);
    let store = SleepyStore::over(memory);
    let app =
        App::assemble(config(&[]), store.clone(), TempBlobs::new(), chain(|_| "approve"), clock.clone());
    store.break_down("expire");
    let shared = Arc::new(roles_of(&app, &clock));
    let role = tokio::spawn(janitor::run(shared.clone()));
    let told = until("it has failed twice", || async {
        let all = logs::all().into_iter().filter(|r| r.text.contains("what has expired cannot be removed"));
        let levels: Vec<_> = all.map(|record| record.level).collect();
        (levels.len() == 2).then_some(levels)
    })
    .await;
    assert_eq!(told, [log::Level::Warn, log::Level::Debug]);
    shared.ended.cancel();
    role.await.unwrap();
}
