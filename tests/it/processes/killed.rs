//! `kill -9` in the middle of steps.

use std::{path::Path, sync::Arc, time::Duration};

use productforge::store::{
    Store,
    redis::{RedisOptions, RedisStore},
};
use serde_json::Value;

use crate::support::{
    process::{Process, Server, folder},
    redis_server::RedisServer,
    wait::{until, until_within},
};

/// How often a worker is killed.
const KILLS: usize = 20;
/// Workflows that run while one is.
const WORKFLOWS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn workers_on_redis_are_killed_twenty_times_and_every_workflow_completes() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("LEASE_SECONDS", "1"),
        ("SIMULATED_LATENCY_MS", "120"),
        ("WORKERS", "3"),
    ];
    let server = Server::start(folder.path(), &["--workers", "0"], &environment).await;
    let store: Arc<dyn Store> =
        Arc::new(RedisStore::open(RedisOptions { url: url.clone(), prefix: String::new() }).unwrap());
    let start = |folder: &Path| Process::start(folder, &["worker"], &environment);
    let mut workers = vec![start(folder.path()), start(folder.path())];

    let mut all = Vec::new();
    for round in 0..KILLS {
        let mut ids = Vec::new();
        for n in 0..WORKFLOWS {
            ids.push(server.orchestrate(&format!("Brief {n} of round {round}")).await);
        }
        let victim = until("a worker is in the middle of a step", || victim(&store, &workers)).await;
        workers[victim].kill();
        workers[victim] = start(folder.path());
        for id in &ids {
            let workflow = until_within(PATIENCE, "the workflow ends", || server.ended(id)).await;
            assert_eq!(workflow["status"], "completed", "round {round}: {workflow:#}");
        }
        all.extend(ids);
    }

    until("nothing is in flight", || async { (store.depth().await.unwrap().open() == 0).then_some(()) })
        .await;
    assert!(store.leases(10).await.unwrap().is_empty());
    let mut crashed = 0;
    for id in &all {
        let (_, answer) = server.get(&format!("/workflows/{id}")).await;
        let steps = answer["workflow"]["steps"].as_array().unwrap().clone();
        assert_eq!(steps.len(), 6, "the four steps, and specialist and QA once more");
        let (_, results) = server.get(&format!("/results/workflow/{id}")).await;
        let mut jobs: Vec<&str> =
            results.as_array().unwrap().iter().map(|r| r["job_id"].as_str().unwrap()).collect();
        jobs.sort_unstable();
        let mut expected: Vec<&str> = steps.iter().map(|s| s["job_id"].as_str().unwrap()).collect();
        expected.sort_unstable();
        assert_eq!(jobs, expected, "exactly one result for every job");
        crashed += steps.iter().filter(|s| s["attempts"].as_u64() > Some(1)).count();
    }
    assert!(crashed >= KILLS, "only {crashed} steps were hit by {KILLS} kills");
    assert_eq!(server.get("/results/?limit=1000").await.1.as_array().map(Vec::len), Some(all.len() * 6));
}

/// A worker that holds a lease now.
async fn victim(store: &Arc<dyn Store>, workers: &[Process]) -> Option<usize> {
    let leases = store.leases(10).await.unwrap();
    workers.iter().position(|w| leases.iter().any(|l| l.worker.contains(&format!("-{}-", w.pid()))))
}

#[tokio::test]
async fn an_embedded_server_that_was_killed_goes_on_at_once() {
    let folder = folder();
    let environment = [("SIMULATED_LATENCY_MS", "150")];
    let mut server = Server::start(folder.path(), &[], &environment).await;
    let id = server.orchestrate("Survive").await;
    let running = |answer: &Value| {
        let steps = answer["workflow"]["steps"].as_array().unwrap();
        steps.iter().any(|s| s["step"] == "specialist_execution" && s["status"] == "processing")
    };
    until("the specialist works", || async {
        running(&server.get(&format!("/workflows/{id}")).await.1).then_some(())
    })
    .await;
    server.process.kill();
    // The lease would last for 30 s; nobody else can hold it, so nobody waits for it.
    let server = Server::start(folder.path(), &[], &environment).await;
    let workflow = until_within(Duration::from_secs(15), "the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed", "{workflow:#}");
    assert_eq!(server.get(&format!("/results/workflow/{id}")).await.1.as_array().map(Vec::len), Some(6));
}
