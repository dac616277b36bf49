//! Orderly stops, lost leases and long jobs.

use std::time::Duration;

use productforge::{model::AttemptOutcome, service::tasks::NewTask};

use crate::support::{
    scripted::{Line, Scripted},
    wait::until,
    world::{idle, job, world},
};

fn task() -> NewTask {
    NewTask { job: "x".to_owned(), ..NewTask::default() }
}

#[tokio::test]
async fn a_stopped_worker_gives_jobs_back_with_no_attempt_charged() {
    let held = Scripted::held(|_, _| Line::Say("done".into()));
    let app = world(&[], held.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task()).await.unwrap().job_id;
    until("the call", || async { (held.calls() == 1).then_some(()) }).await;
    worker.stop(Duration::ZERO, std::future::pending()).await;
    let stored = job(&app, &id).await;
    assert_eq!(stored.attempts[0].outcome, Some(AttemptOutcome::Released));
    assert_eq!(stored.failures(), 0);
    let depth = app.store.depth().await.unwrap();
    assert_eq!((depth.ready(), depth.leased), (1, 0));
    held.release();
    let worker = app.start_worker();
    until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_stopping_worker_finishes_what_ends_within_the_grace() {
    let held = Scripted::held(|_, _| Line::Say("done".into()));
    let app = world(&[], held.clone());
    let worker = app.start_worker();
    let id = app.services.tasks.submit(task()).await.unwrap().job_id;
    until("the call", || async { (held.calls() == 1).then_some(()) }).await;
    let stop = worker.stop(Duration::from_secs(20), std::future::pending());
    let (_, ()) = tokio::join!(stop, async { held.release() });
    assert!(app.services.results.find(&id).await.unwrap().is_some());
    idle(&app).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_at_once() {
    let held = Scripted::held(|_, _| Line::Say("done".into()));
    let app = world(&[], held.clone());
    let worker = app.start_worker();
    app.services.tasks.submit(task()).await.unwrap();
    until("the call", || async { (held.calls() == 1).then_some(()) }).await;
    worker.stop(Duration::from_secs(3600), std::future::ready(())).await;
    assert_eq!(app.store.depth().await.unwrap().ready(), 1);
}

#[tokio::test]
async fn a_job_longer_than_its_lease_is_run_once() {
    let held = Scripted::held(|_, _| Line::Say("done".into()));
    let app = world(&[("LEASE_SECONDS", "1")], held.clone());
    let worker = app.start_worker();
    let other = app.start_worker();
    let id = app.services.tasks.submit(task()).await.unwrap().job_id;
    let expiry = || async { app.store.leases(10).await.unwrap().first().map(|l| l.expires_at) };
    let first = until("the lease", expiry).await;
    // Three whole leases later it is still the same one.
    until("three renewals", || async { expiry().await.filter(|at| *at > first + 3_000) }).await;
    held.release();
    let result = until("a result", || async { app.services.results.find(&id).await.unwrap() }).await;
    assert_eq!((result.attempts, held.calls()), (1, 1));
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
    other.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn workers_show_themselves_and_leave() {
    let app = world(&[], Scripted::new(|_, _| Line::Say("x".into())));
    let worker = app.start_worker();
    let info = until("a worker", || async { app.services.system.workers().await.unwrap().pop() }).await;
    assert_eq!((info.worker_id.as_str(), info.slots), (worker.worker_id(), 4));
    assert!(app.services.system.status().await.unwrap().worker_alive);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
    assert!(app.services.system.workers().await.unwrap().is_empty());
}
