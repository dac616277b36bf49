//! The store is away: 503 with `Retry-After`, nothing half-done, and all is well when it is back.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, TestApp, memory},
    logs,
    sleepy_store::SleepyStore,
};

#[tokio::test]
async fn while_the_store_is_away_everything_that_needs_it_says_so() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    app.get("/agents/").await.ok();
    store.go_away();
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let agent = json!({"name": "a", "role": "b"});
    for (method, path, body) in [
        (&get, "/system/status", None),
        (&get, "/workers", None),
        (&get, "/agents/", None),
        (&get, "/agents/qa_bot", None),
        (&post, "/agents/", Some(agent)),
        (&delete, "/agents/qa_bot", None),
        (&post, "/orchestrate", Some(json!({"job": "x"}))),
        (&post, "/results/task", Some(json!({"job": "x"}))),
        (&post, "/admin_review", Some(json!({"job_id": "x"}))),
        (&get, "/workflows", None),
        (&get, "/workflows/x", None),
        (&get, "/workflows/x/calls", None),
        (&get, "/workflows/x/events", None),
        (&get, "/events", None),
        (&post, "/workflows/x/pause", Some(json!({}))),
        (&post, "/workflows/x/resume", Some(json!({}))),
        (&post, "/workflows/x/cancel", Some(json!({}))),
        (&post, "/workflows/x/retry", Some(json!({}))),
        (&post, "/workflows/x/approve", Some(json!({}))),
        (&post, "/workflows/x/reject", Some(json!({}))),
        (&post, "/workflows/x/fork", Some(json!({"from": "x"}))),
        (&post, "/workflows/bulk", Some(json!({"action": "cancel", "ids": ["x"]}))),
        (&delete, "/workflows/x", None),
        (&post, "/workers/x/drain", Some(json!({}))),
        (&get, "/analytics/agents", None),
        (&get, "/results/", None),
        (&get, "/results/x", None),
        (&get, "/results/task/x", None),
        (&get, "/results/workflow/x", None),
        (&get, "/results/agent/x", None),
    ] {
        let request = app.request(method.clone(), path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = Answer::of(request.send().await.unwrap()).await;
        let detail = answer.problem(503);
        assert!(detail.as_str().unwrap().contains("not available"), "{path} {detail}");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(!answer.text.contains("redis://"), "{}", answer.text);
    }
    store.come_back();
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0, "nothing was queued");
    assert_eq!(app.get("/workflows").await.ok()["total"], 0, "nothing was started");
    assert_eq!(app.get("/agents/").await.ok().as_array().unwrap().len(), 4);
    assert_eq!(app.get("/agents/a").await.status, 404);
}

#[tokio::test]
async fn a_page_says_so_and_so_does_the_log_once() {
    logs::keep_all();
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    store.go_away();
    let path = "/dashboard/results/asked-by-this-test-alone";
    let page = app.get(path).await;
    assert_eq!(page.status, 503);
    assert!(page.text.contains("The store is away"), "{}", page.text);
    assert!(!page.text.contains("redis://"), "{}", page.text);
    let of_this = logs::all().into_iter().filter(|record| record.text.contains("asked-by-this-test-alone"));
    let told: Vec<_> = of_this.filter(|record| record.level <= log::Level::Warn).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    store.come_back();
    assert_eq!(app.get("/dashboard/").await.status, 200);
}

#[tokio::test]
async fn what_needs_no_store_still_answers() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).start().await;
    store.go_away();
    for path in ["/", "/system/ping", "/docs", "/openapi.json", "/agents/ping", "/results/ping"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let report = app.get("/system/verify").await.ok();
    assert_eq!(report["status"], "unhealthy");
    assert_eq!(report["checks"]["store"]["status"], "error");
    assert_eq!(app.post("/orchestrate", &json!({})).await.status, 422, "a bad request is bad anyway");
}
