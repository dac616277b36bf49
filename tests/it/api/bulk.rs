//! Many jobs at once: `POST /jobs/bulk`.

use productforge::llm::ModelErrorKind;
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    scripted::{Line, Scripted},
    wait::until,
};

/// So many tasks that wait; their ids.
async fn waiting(app: &TestApp, number: usize, agent: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..number {
        let body = json!({"job": format!("task {n}"), "agent_name": agent});
        ids.push(app.post("/results/task", &body).await.ok()["job_id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn all_that_fit_are_cancelled_portion_by_portion() {
    let app = TestApp::start().await;
    waiting(&app, 7, "qa_bot").await;
    let others = waiting(&app, 2, "debugger_bot").await;
    let mut body = json!({"action": "cancel", "filter": {"agent": "qa_bot", "state": "queued"}, "limit": 3, "reason": "enough"});
    let (mut done, mut calls) = (0, 0);
    loop {
        let report = app.post("/jobs/bulk", &body).await.ok();
        assert_eq!(keys(&report), ["looked_at", "done", "skipped", "skipped_in_all", "next_cursor"]);
        assert!(report["looked_at"].as_u64().unwrap() <= 3, "{report}");
        done += report["done"].as_u64().unwrap();
        calls += 1;
        match &report["next_cursor"] {
            Value::Null => break,
            next => body["cursor"] = next.clone(),
        }
    }
    assert_eq!(done, 7);
    assert!((3..=4).contains(&calls), "nine jobs are queued, three a call: {calls}");
    let cancelled = app.get("/jobs?state=cancelled").await.ok();
    assert_eq!((&cancelled["total"], &cancelled["jobs"][0]["error"]), (&json!(7), &json!("enough")));
    assert_eq!(app.get("/jobs?state=queued").await.ok()["total"], others.len());
}

#[tokio::test]
async fn named_jobs_are_deleted_and_each_one_that_cannot_be_says_why() {
    let app = TestApp::start().await;
    let ids = waiting(&app, 3, "qa_bot").await;
    app.post("/jobs/bulk", &json!({"action": "cancel", "ids": [ids[0], ids[1]]})).await.ok();
    let body = json!({"action": "delete", "ids": [ids[0], ids[1], ids[2], "nothing"]});
    let report = app.post("/jobs/bulk", &body).await.ok();
    assert_eq!(
        (&report["looked_at"], &report["done"], &report["skipped_in_all"]),
        (&json!(4), &json!(2), &json!(2))
    );
    assert_eq!(report["skipped"][0]["id"], ids[2].as_str());
    assert!(report["skipped"][0]["why"].as_str().unwrap().contains("cancel it first"), "{report}");
    assert_eq!(report["skipped"][1], json!({"id": "nothing", "why": "Job 'nothing' not found"}));
    assert_eq!(app.get("/jobs").await.ok()["total"], 1);
}

#[tokio::test]
async fn all_dead_jobs_are_retried_in_one_go() {
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rule = mended.clone();
    let provider = Scripted::new(move |_, _| match rule.load(std::sync::atomic::Ordering::SeqCst) {
        true => Line::Say("done".into()),
        false => Line::Fail(ModelErrorKind::Billing),
    });
    let app = TestApp::builder().provider(provider).worker().start().await;
    waiting(&app, 12, "qa_bot").await;
    let total = async |state: &str| app.get(&format!("/jobs?state={state}")).await.ok()["total"].clone();
    until("all are dead", || async { (total("dead").await == 12).then_some(()) }).await;
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    // Those that died just now are not older than an hour.
    let old = json!({"action": "retry", "filter": {"older_than_seconds": 3600}});
    assert_eq!(app.post("/jobs/bulk", &old).await.ok()["done"], 0);
    let all = json!({"action": "retry", "filter": {"agent": "qa_bot"}, "limit": 1000});
    assert_eq!(app.post("/jobs/bulk", &all).await.ok()["done"], 12);
    until("all are done", || async { (total("completed").await == 12).then_some(()) }).await;
    assert_eq!((total("dead").await, total("failed").await), (json!(0), json!(0)));
}

#[tokio::test]
async fn a_bad_order_is_named_and_does_nothing() {
    let app = TestApp::start().await;
    waiting(&app, 1, "qa_bot").await;
    let many: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
    for (body, kind, field) in [
        (json!({"action": "cancel"}), "missing", "ids"),
        (json!({"action": "cancel", "ids": [], "filter": {"state": "dead"}}), "not_both", "filter"),
        (json!({"action": "cancel", "filter": {}}), "missing", "filter"),
        (json!({"action": "cancel", "filter": {"state": "asleep"}}), "literal_error", "filter.state"),
        (json!({"action": "cancel", "filter": {"agent": 1}}), "string_type", "filter.agent"),
        (
            json!({"action": "cancel", "filter": {"older_than_seconds": -1}}),
            "greater_than_equal",
            "filter.older_than_seconds",
        ),
        (json!({"action": "dance", "ids": []}), "literal_error", "action"),
        (json!({"action": "cancel", "ids": many}), "too_long", "ids"),
        (json!({"action": "cancel", "ids": [1]}), "string_type", "ids.0"),
        (
            json!({"action": "cancel", "filter": {"agent": "qa_bot"}, "limit": 0}),
            "greater_than_equal",
            "limit",
        ),
        (
            json!({"action": "cancel", "filter": {"agent": "qa_bot"}, "limit": 1001}),
            "less_than_equal",
            "limit",
        ),
        (
            json!({"action": "cancel", "filter": {"agent": "qa_bot"}, "cursor": "?"}),
            "cursor_invalid",
            "cursor",
        ),
    ] {
        let answer = app.post("/jobs/bulk", &body).await;
        assert_eq!(answer.bad_fields(), [(kind.to_owned(), format!("body.{field}"))], "{body}");
    }
    assert_eq!(app.get("/jobs?state=queued").await.ok()["total"], 1);
}
