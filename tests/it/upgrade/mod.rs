//! Data of an earlier version: what it left when it was killed in the middle of work is read, and gone on with, by
//! this one; and what this one writes has all that the earlier one reads.
//!
//! `fixtures/` was written by the commit that its `.json` files name, with `./dev upgrade-fixture COMMIT`. Both versions
//! on one store, one after the other, is what `./dev upgrade COMMIT` does.

mod fixture;
mod shapes;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    process::{Server, folder},
    redis_server::RedisServer,
    wait::until_within,
};

use fixture::About;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn an_embedded_store_of_an_earlier_version_is_gone_on_with() {
    let folder = folder();
    let about = fixture::sqlite(&folder.path().join("workspace/productforge.db"));
    let server = Server::start(folder.path(), &[], &[("SIMULATED_LATENCY_MS", "0")]).await;
    goes_on(server, about).await;
}

#[tokio::test]
async fn a_redis_of_an_earlier_version_is_gone_on_with() {
    let (redis, folder) = (RedisServer::start(), folder());
    let about = fixture::redis(&redis).await;
    let url = redis.url();
    let environment = [("SIMULATED_LATENCY_MS", "0"), ("REDIS_URL", url.as_str())];
    let server = Server::start(folder.path(), &[], &environment).await;
    goes_on(server, about).await;
}

async fn goes_on(server: Server, about: About) {
    for id in &about.workflows {
        let workflow = until_within(PATIENCE, "the workflow ends", || server.ended(id)).await;
        assert_eq!(workflow["status"], "completed", "{workflow:#}");
        whole(&server, &workflow).await;
    }
    let waits = server.get(&format!("/workflows/{}", about.waits)).await.1["workflow"].clone();
    assert_eq!((&waits["status"], &waits["pause"]["reason"]), (&json!("paused"), &json!("approval")));
    let (status, answer) = server.post(&format!("/workflows/{}/approve", about.waits), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let approved = until_within(PATIENCE, "it ends", || async {
        server.ended(&about.waits).await.filter(|workflow| workflow["status"] != "paused")
    })
    .await;
    assert_eq!(approved["status"], "completed", "{approved:#}");
    for (path, list, expected) in
        [("/upload/list", "uploads", 1), ("/reports", "reports", 1), ("/jobs?state=scheduled", "jobs", 1)]
    {
        let (status, answer) = server.get(path).await;
        assert_eq!(
            (status, answer[list].as_array().map(Vec::len)),
            (200, Some(expected)),
            "{path}: {answer}"
        );
    }
    let (_, listed) = server.get("/workflows?limit=100").await;
    assert_eq!(listed["total"], about.workflows.len() + 1);
    assert_eq!(server.get("/agents/critic_bot").await.0, 200);
    for path in ["/usage", "/analytics/summary", "/queues", "/providers", "/system/status"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let log = server.process.output();
    for complaint in ["cannot be read", "passed over", "a request failed", "panicked"] {
        assert!(!log.contains(complaint), "{log}");
    }
}

/// One result for every step, also for those that the earlier version ran.
async fn whole(server: &Server, workflow: &Value) {
    let steps = workflow["steps"].as_array().unwrap().iter();
    let mut expected: Vec<_> = steps.map(|step| step["job_id"].clone()).collect();
    let path = format!("/results/workflow/{}", workflow["workflow_id"].as_str().unwrap());
    let (_, results) = server.get(&path).await;
    let mut found: Vec<_> = results.as_array().unwrap().iter().map(|r| r["job_id"].clone()).collect();
    expected.sort_by_key(Value::to_string);
    found.sort_by_key(Value::to_string);
    assert_eq!(found, expected);
}
