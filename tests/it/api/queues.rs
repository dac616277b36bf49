//! Queues and workers: `/queues`, `/workers`.

use productforge::store::Queue;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, TestApp, keys, memory_at},
    scripted::{Line, Scripted},
    wait::until,
    world::push,
};

#[tokio::test]
async fn every_queue_tells_its_depth_and_how_long_its_oldest_job_waits() {
    let (store, clock) = memory_at(1_790_000_000_000);
    let app = TestApp::builder().store(store).start().await;
    let first = app.post("/results/task", &json!({"job": "x", "priority": "high"})).await.ok();
    app.post("/results/task", &json!({"job": "y", "priority": "high"})).await.ok();
    app.post("/results/task", &json!({"job": "z", "delay_seconds": 60})).await.ok();
    push(&app.app, Queue::Low, "no job at all").await;
    clock.advance(90_000);
    let all = app.get("/queues").await.ok();
    assert_eq!(keys(&all), ["queues", "ready", "due", "parked", "leased"]);
    assert_eq!((&all["ready"], &all["due"], &all["leased"]), (&json!(3), &json!(1), &json!(0)));
    let names: Vec<_> =
        all["queues"].as_array().unwrap().iter().map(|q| (&q["name"], &q["list"], &q["depth"])).collect();
    assert_eq!(
        names,
        [
            (&json!("high"), &json!("queue_high"), &json!(2)),
            (&json!("normal"), &json!("queue"), &json!(0)),
            (&json!("low"), &json!("queue_low"), &json!(1)),
        ]
    );
    assert_eq!(all["queues"][0]["oldest_job_id"], first["job_id"]);
    assert!(all["queues"][0]["oldest_age_seconds"].is_number());
    for queue in [1, 2] {
        assert_eq!(
            (&all["queues"][queue]["oldest_job_id"], &all["queues"][queue]["oldest_age_seconds"]),
            (&json!(null), &json!(null))
        );
    }
}

#[tokio::test]
async fn nothing_is_taken_from_a_paused_queue_until_it_goes_on() {
    let app = TestApp::builder().worker().start().await;
    // By its priority or by the name of its list, with a body or without.
    let paused = app.post("/queues/queue/pause", &json!({})).await.ok();
    assert_eq!((&paused["name"], &paused["paused"]), (&json!("normal"), &json!(true)));
    let empty = Answer::of(app.request(Method::POST, "/queues/normal/pause").send().await.unwrap()).await;
    assert_eq!(empty.ok()["paused"], true, "pausing twice is as good as once");
    let waits = app.post("/results/task", &json!({"job": "x"})).await.ok();
    let passes = app.post("/results/task", &json!({"job": "y", "priority": "low"})).await.ok();
    app.get_once_there(&format!("/results/{}", passes["job_id"].as_str().unwrap())).await;
    let story = app.get(&format!("/jobs/{}", waits["job_id"].as_str().unwrap())).await.ok();
    assert_eq!(
        (&story["state"], &story["waits_because"]),
        (&json!("queued"), &json!("Its queue (queue) is paused."))
    );
    assert_eq!(app.get("/queues").await.ok()["queues"][1]["depth"], 1);
    assert_eq!(app.post("/queues/normal/resume", &json!({})).await.ok()["paused"], false);
    app.get_once_there(&format!("/results/{}", waits["job_id"].as_str().unwrap())).await;
}

#[tokio::test]
async fn a_queue_that_is_none_is_not_found() {
    let app = TestApp::start().await;
    for path in ["/queues/urgent/pause", "/queues/queue_/resume", "/queues/HIGH/pause"] {
        let why = app.post(path, &json!({})).await.problem(404);
        assert!(why.as_str().unwrap().contains("there are high, normal and low"), "{why}");
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_pause_or_cancel_with_an_empty_body() {
    let app = TestApp::start().await;
    let id = app.post("/results/task", &json!({"job": "x"})).await.ok()["job_id"].clone();
    for path in ["/queues/high/pause".to_owned(), format!("/jobs/{}/cancel", id.as_str().unwrap())] {
        let sent = app.request(Method::POST, &path).header("origin", "https://evil.example").send().await;
        assert_eq!(Answer::of(sent.unwrap()).await.status, 403, "{path}");
    }
    assert_eq!(app.get("/queues").await.ok()["queues"][0]["paused"], false);
    assert_eq!(app.get("/jobs?state=queued").await.ok()["total"], 1);
}

#[tokio::test]
async fn workers_say_what_they_run_and_how_much_more_they_take() {
    let provider = Scripted::held(|_, _| Line::Say("done".into()));
    let app = TestApp::builder().provider(provider.clone()).worker().start().await;
    for agent in ["qa_bot", "debugger_bot"] {
        app.post("/results/task", &json!({"job": "x", "agent_name": agent})).await.ok();
    }
    let worker = until("both run", || async {
        let all = app.get("/workers").await.ok();
        Some(all["workers"][0].clone())
            .filter(|worker| worker["jobs"].as_array().is_some_and(|j| j.len() == 2))
    });
    let worker = worker.await;
    assert_eq!((&worker["slots"], &worker["free_slots"]), (&json!(4), &json!(2)));
    let jobs = worker["jobs"].as_array().unwrap();
    let agents: std::collections::BTreeSet<_> = jobs.iter().map(|j| j["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["debugger_bot", "qa_bot"].into());
    assert!(jobs.iter().all(|j| j["since"].is_string() && j["attempt"] == 1), "{worker}");
    assert_eq!(worker["running"].as_array().unwrap().len(), 2);
    provider.release();
}
