//! Draining a worker from outside: `POST /workers/{id}/drain`.

use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    engines::Engine,
    scripted::{Line, Scripted},
    wait::until,
    world,
};

on_both_engines!(
    a_drained_worker_finishes_what_it_has_and_takes_nothing_new,
    who_is_no_worker_or_drains_already_is_not_drained,
    a_drained_worker_without_jobs_is_no_fault_of_the_health,
);

async fn worker(app: &TestApp, fits: impl Fn(&Value) -> bool) -> Value {
    until("a worker that fits", || async {
        let all = app.get("/workers").await.ok();
        all["workers"].as_array().unwrap().iter().find(|worker| fits(worker)).cloned()
    })
    .await
}

async fn submit(app: &TestApp) -> String {
    app.post("/results/task", &json!({"job": "x"})).await.ok()["job_id"].as_str().unwrap().to_owned()
}

async fn a_drained_worker_finishes_what_it_has_and_takes_nothing_new(engine: Engine) {
    let provider = Scripted::held(|_, _| Line::Say("done".into()));
    let app = engine.app().provider(provider.clone()).worker().start().await;
    let first = submit(&app).await;
    until("it runs", || async { (provider.calls() == 1).then_some(()) }).await;
    let id = worker(&app, |_| true).await["worker_id"].as_str().unwrap().to_owned();

    let answer = app.post(&format!("/workers/{id}/drain"), &json!({})).await.ok();
    assert_eq!((&answer["draining"], &answer["free_slots"]), (&json!(true), &json!(0)));
    assert_eq!(answer["running"], json!([first]));
    // The worker says so itself.
    worker(&app, |w| w["draining"] == true && w["seen_at"].as_str() > answer["seen_at"].as_str()).await;

    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(submit(&app).await);
    }
    provider.release();
    app.get_once_there(&format!("/results/{first}")).await;
    assert_eq!(provider.calls(), 1, "the free slots of a draining worker take nothing");
    assert_eq!(app.get("/queues").await.ok()["ready"], 5);

    let second = app.app.start_worker();
    for job in &others {
        app.get_once_there(&format!("/results/{job}")).await;
        let attempts = world::job(&app.app, job).await.attempts;
        assert_eq!(attempts.iter().map(|a| a.worker.as_str()).collect::<Vec<_>>(), [second.worker_id()]);
    }
    let first = world::job(&app.app, &first).await;
    assert_eq!((first.attempts.len(), first.attempts[0].worker.as_str()), (1, id.as_str()));
    // Both are there: one that drains, one that works.
    worker(&app, |w| w["worker_id"] == second.worker_id() && w["draining"] == false).await;
    worker(&app, |w| w["worker_id"] == id.as_str() && w["draining"] == true).await;
}

async fn who_is_no_worker_or_drains_already_is_not_drained(engine: Engine) {
    let app = engine.app().worker().start().await;
    let id = worker(&app, |_| true).await["worker_id"].as_str().unwrap().to_owned();
    for nobody in ["nobody", "heartbeat", &"x".repeat(2_000)] {
        let why = app.post(&format!("/workers/{nobody}/drain"), &json!({})).await.problem(404);
        assert!(why.as_str().unwrap().ends_with("not found"), "{why}");
    }
    app.post(&format!("/workers/{id}/drain"), &json!({})).await.ok();
    let again = app.post(&format!("/workers/{id}/drain"), &json!({})).await.problem(409);
    assert_eq!(again, format!("worker {id} is draining already"));
}

async fn a_drained_worker_without_jobs_is_no_fault_of_the_health(engine: Engine) {
    let app = engine.app().worker().start().await;
    let id = worker(&app, |_| true).await["worker_id"].as_str().unwrap().to_owned();
    app.post(&format!("/workers/{id}/drain"), &json!({})).await.ok();
    assert_eq!(app.get("/system/health").await.ok()["status"], "ok");
    let warnings = app.get("/system/verify").await.ok()["warnings"].clone();
    let warnings = warnings.as_array().unwrap();
    assert!(warnings.iter().any(|w| w.as_str().unwrap().starts_with("Every worker drains")), "{warnings:?}");
}
