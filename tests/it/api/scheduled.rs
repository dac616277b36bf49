//! Jobs that begin later, and how long an attempt may take: `run_at`, `delay_seconds`, `timeout_seconds`.

use std::time::Duration;

use productforge::{
    llm::simulated::SimulatedProvider,
    model::{AttemptOutcome, FailureClass, JobState},
};
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys, memory_at},
    scripted::{Line, Scripted},
    wait::until,
    world::job,
};

#[tokio::test]
async fn a_delayed_task_waits_for_its_time_and_then_runs_once() {
    let (store, clock) = memory_at(1_790_000_000_000);
    let app = TestApp::builder().store(store).worker().start().await;
    let receipt = app.post("/results/task", &json!({"job": "later", "delay_seconds": 3600})).await.ok();
    assert_eq!(keys(&receipt), ["status", "job_id", "agent", "queue", "run_at"]);
    assert_eq!(receipt["status"], "scheduled");
    assert_eq!(receipt["run_at"], "2026-09-21T15:13:20.000000+00:00");
    let path = format!("/jobs/{}", receipt["job_id"].as_str().unwrap());
    let story = app.get(&path).await.ok();
    assert_eq!((&story["state"], &story["due_at"]), (&json!("scheduled"), &receipt["run_at"]));
    assert!(story["waits_because"].as_str().unwrap().starts_with("Begins at 2026-09-21T15:13:20"), "{story}");
    let queues = app.get("/queues").await.ok();
    assert_eq!((&queues["due"], &queues["ready"]), (&json!(1), &json!(0)));
    clock.advance(3_599_000);
    assert_eq!(app.app.store.promote(100).await.unwrap().moved, 0, "it is not due yet");
    clock.advance(1_000);
    let done = until("it ran", || async {
        Some(app.get(&path).await.ok()).filter(|story| story["state"] == "completed")
    });
    let done = done.await;
    assert_eq!(done["attempts"].as_array().unwrap().len(), 1);
    assert_eq!((&done["due_at"], &done["waits_because"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn a_time_that_has_passed_is_at_once() {
    let app = TestApp::start().await;
    for body in [
        json!({"job": "x", "run_at": "2001-01-01T00:00:00Z"}),
        json!({"job": "x", "run_at": "2001-01-01T00:00:00"}),
        json!({"job": "x", "delay_seconds": 0}),
    ] {
        let receipt = app.post("/results/task", &body).await.ok();
        assert_eq!(keys(&receipt), ["status", "job_id", "agent", "queue"]);
        assert_eq!(receipt["status"], "queued");
    }
    assert_eq!(app.app.store.depth().await.unwrap().normal, 3);
}

#[tokio::test]
async fn a_time_is_refused_with_what_would_be_right() {
    let app = TestApp::start().await;
    for path in ["/results/task", "/orchestrate"] {
        for (fields, kind, field) in [
            (json!({"run_at": "tomorrow"}), "datetime_parsing", "run_at"),
            (json!({"run_at": "2126-01-01T00:00:00Z"}), "less_than_equal", "run_at"),
            (json!({"run_at": 17}), "string_type", "run_at"),
            (json!({"delay_seconds": -1}), "greater_than_equal", "delay_seconds"),
            (json!({"delay_seconds": 31_536_001}), "less_than_equal", "delay_seconds"),
            (json!({"delay_seconds": "60"}), "float_type", "delay_seconds"),
            (json!({"delay_seconds": 1, "run_at": "2026-12-01T00:00:00Z"}), "not_both", "delay_seconds"),
        ] {
            let mut body = fields;
            body["job"] = json!("x");
            let answer = app.post(path, &body).await;
            assert_eq!(answer.bad_fields(), [(kind.to_owned(), format!("body.{field}"))], "{path} {body}");
        }
    }
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_workflow_begins_at_its_time() {
    let (store, clock) = memory_at(1_790_000_000_000);
    let app = TestApp::builder().store(store).worker().start().await;
    let body = json!({"job": "later", "run_at": "2026-09-21T15:13:20"});
    let receipt = app.post("/orchestrate", &body).await.ok();
    assert_eq!(receipt["run_at"], "2026-09-21T15:13:20.000000+00:00");
    let path = format!("/workflows/{}", receipt["workflow_id"].as_str().unwrap());
    let first = app.get(&path).await.ok()["workflow"]["steps"][0].clone();
    assert_eq!(first["status"], "queued");
    assert_eq!(first["reason"], "Begins at 2026-09-21T15:13:20.000000+00:00, as asked for.");
    assert_eq!(app.app.store.depth().await.unwrap().due, 1);
    clock.advance(3_600_000);
    let ended = until("it ran", || async {
        Some(app.get(&path).await.ok()["workflow"].clone()).filter(|w| w["status"] == "completed")
    });
    // The steps after the first one begin when their inputs are there.
    let ended = ended.await;
    assert!(ended["steps"].as_array().unwrap().iter().all(|s| s["status"] == "completed"), "{ended}");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_stopped_and_tried_again() {
    let provider = Scripted::held(|_, _| Line::Say("too late".into()));
    let app = TestApp::builder()
        .provider(provider.clone())
        .variables(&[("RETRY_BASE_SECONDS", "0"), ("JOB_MAX_ATTEMPTS", "2")])
        .worker()
        .start()
        .await;
    let receipt = app.post("/results/task", &json!({"job": "x", "timeout_seconds": 1})).await.ok();
    let id = receipt["job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{id}")).await.ok();
    assert_eq!((&result["status"], &result["attempts"]), (&json!("failed"), &json!(2)));
    assert_eq!(result["error"], "the attempt took longer than 1 s (its time-out)");
    assert_eq!(provider.calls(), 2, "both calls were begun, and dropped");
    let job = job(&app.app, id).await;
    let ends: Vec<_> = job.attempts.iter().map(|a| (a.outcome.unwrap(), a.class.unwrap())).collect();
    assert_eq!(ends, [(AttemptOutcome::TimedOut, FailureClass::Timeout); 2]);
    assert_eq!((job.state, job.failures()), (JobState::Failed, 2));
}

#[tokio::test]
async fn the_time_out_of_a_step_is_that_of_its_request_or_of_the_settings() {
    let provider = || std::sync::Arc::new(SimulatedProvider::new(Duration::from_secs(600)));
    let own = TestApp::builder().provider(provider()).variables(&[("JOB_MAX_ATTEMPTS", "1")]).worker();
    let own = own.start().await;
    let body = json!({"job": "x", "step_timeout_seconds": 1});
    let set = TestApp::builder()
        .provider(provider())
        .variables(&[("JOB_MAX_ATTEMPTS", "1"), ("JOB_TIMEOUT", "1")])
        .worker();
    let set = set.start().await;
    for (app, body) in [(own, body), (set, json!({"job": "x"}))] {
        let id = app.post("/orchestrate", &body).await.ok()["workflow_id"].clone();
        let path = format!("/workflows/{}", id.as_str().unwrap());
        let failed = until("it failed", || async {
            Some(app.get(&path).await.ok()["workflow"].clone()).filter(|w| w["status"] == "failed")
        });
        let error = failed.await["error"].as_str().unwrap().to_owned();
        assert_eq!(error, "admin_analysis failed: the attempt took longer than 1 s (its time-out)");
    }
}

#[tokio::test]
async fn a_time_out_has_bounds() {
    let app = TestApp::start().await;
    for (path, field) in [("/results/task", "timeout_seconds"), ("/orchestrate", "step_timeout_seconds")] {
        for (value, kind) in [
            (json!(0), "greater_than_equal"),
            (json!(86_401), "less_than_equal"),
            (json!(-5), "greater_than_equal"),
            (json!(1.5), "int_type"),
        ] {
            let mut body = json!({"job": "x"});
            body[field] = value;
            let answer = app.post(path, &body).await;
            assert_eq!(answer.bad_fields(), [(kind.to_owned(), format!("body.{field}"))], "{body}");
        }
        let mut body = json!({"job": "x"});
        body[field] = Value::Null;
        app.post(path, &body).await.ok();
    }
}
