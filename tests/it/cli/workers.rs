//! `workers drain`: a worker takes nothing new while its server goes on.

use serde_json::{Value, json};

use crate::support::{command::Workspace, process::Server, wait::until};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_drained_and_its_server_goes_on() {
    let workspace = Workspace::new();
    let latency = [("SIMULATED_LATENCY_MS", "0")];
    let server = Server::start(workspace.path(), &["--workers", "1"], &latency).await;
    let run = |args: &[&str]| workspace.run(args, &[("PRODUCTFORGE_URL", &server.url)]);
    let workers = || async { server.get("/workers").await.1["workers"].clone() };
    let id =
        until("a worker", || async { workers().await[0]["worker_id"].as_str().map(str::to_owned) }).await;

    let drained = run(&["workers", "drain", &id]).expect_code(0).stdout;
    assert!(drained.contains(&id) && drained.contains("draining"), "{drained}");
    assert!(run(&["workers", "list"]).expect_code(0).stdout.contains("draining"));
    let again = run(&["workers", "drain", &id]).expect_code(1);
    assert!(again.stderr.contains("is draining already"), "{again:?}");
    let nobody = run(&["workers", "drain", "nobody"]).expect_code(1);
    assert!(nobody.stderr.contains("Worker 'nobody' not found"), "{nobody:?}");

    let worker_says_so = || async {
        let worker = workers().await[0].clone();
        let is_later = worker["seen_at"].as_str() > worker["started_at"].as_str();
        (worker["draining"] == Value::Bool(true) && is_later).then_some(())
    };
    until("the worker drains", worker_says_so).await;
    let (status, receipt) = server.post("/results/task", json!({"job": "x"})).await;
    assert_eq!(status, 200, "the server goes on: {receipt}");
    let queues: Value = server.get("/queues").await.1;
    assert_eq!((&queues["ready"], &queues["leased"]), (&json!(1), &json!(0)));
}
