//! Redis goes away and comes back; processes are told to stop.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    process::{Process, Server, folder},
    redis_server::RedisServer,
    wait::{until, until_within},
};

#[tokio::test]
async fn work_goes_on_when_redis_is_killed_and_returns() {
    let mut redis = RedisServer::start_durable();
    let folder = folder();
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str()), ("LEASE_SECONDS", "2"), ("SIMULATED_LATENCY_MS", "100")];
    let server = Server::start(folder.path(), &["--workers", "0"], &environment).await;
    let worker = Process::start(folder.path(), &["worker"], &environment);
    for round in 0..3 {
        let id = server.orchestrate(&format!("Outlive an outage, round {round}")).await;
        until("work has begun", || async {
            let (_, answer) = server.get(&format!("/workflows/{id}")).await;
            (answer["workflow"]["steps"][0]["status"] != "queued").then_some(())
        })
        .await;
        redis.kill();
        let (status, answer) = server.post("/orchestrate", json!({"job": "too early"})).await;
        assert_eq!(status, 503, "{answer}");
        assert_eq!(server.get("/system/health").await.0, 503);
        assert_eq!(server.get("/system/ping").await.0, 200);
        redis.start_again();
        let workflow = until_within(Duration::from_secs(40), "the workflow ends", || server.ended(&id)).await;
        assert_eq!(workflow["status"], "completed", "{workflow:#}");
        let results = server.get(&format!("/results/workflow/{id}")).await.1;
        assert_eq!(results.as_array().map(Vec::len), Some(6));
    }
    assert!(!worker.output().contains("panicked"), "{}", worker.output());
}

#[tokio::test]
async fn a_stopped_process_hands_its_jobs_to_another_one() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    // A lease far longer than the test: only a job that was given back can go on in time.
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("LEASE_SECONDS", "600"),
        ("SIMULATED_LATENCY_MS", "700"),
        ("DRAIN_SECONDS", "0"),
    ];
    let server = Server::start(folder.path(), &["--workers", "0"], &environment).await;
    let mut first = Process::start(folder.path(), &["worker"], &environment);
    let id = server.orchestrate("Change hands").await;
    until("work has begun", || async {
        let (_, answer) = server.get(&format!("/workflows/{id}")).await;
        (answer["workflow"]["steps"][0]["status"] == "processing").then_some(())
    })
    .await;
    first.signal("TERM");
    let status = until("the worker ends", || {
        let ended = first.ended();
        async move { ended }
    })
    .await;
    assert!(status.success(), "{status}\n{}", first.output());
    let _second = Process::start(folder.path(), &["worker"], &environment);
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed");
}

#[tokio::test]
async fn a_server_that_starts_before_its_redis_works_when_it_comes() {
    let mut redis = RedisServer::start_durable();
    redis.kill();
    let folder = folder();
    let url = redis.url();
    let server = Server::start(folder.path(), &[], &[("REDIS_URL", url.as_str())]).await;
    assert_eq!(server.get("/system/health").await.0, 503);
    redis.start_again();
    until("it answers", || async { (server.get("/system/health").await.0 == 200).then_some(()) }).await;
    let id = server.orchestrate("Begin late").await;
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed");
}
