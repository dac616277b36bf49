//! Real processes on sentinels and on a cluster: a primary dies in the middle of a workflow, and the workflow
//! comes to its end without a restart of anything of ours.

use std::time::Duration;

use crate::support::{
    command::Workspace,
    process::{Process, Server, folder},
    redis_cluster::RedisCluster,
    redis_sentinels::{RedisSentinels, SENTINEL_PASSWORD},
    redis_server::{Options, RedisServer},
    wait::{until, until_within},
};

/// A workflow that runs while `kill` takes a primary away.
async fn outlives(environment: &[(&str, &str)], kill: impl FnOnce()) {
    let folder = folder();
    let server = Server::start(folder.path(), &["--workers", "0"], environment).await;
    let worker = Process::start(folder.path(), &["worker"], environment);
    let before = server.orchestrate("Before").await;
    until_within(Duration::from_secs(60), "the first workflow ends", || server.ended(&before)).await;
    let id = server.orchestrate("Outlive the primary").await;
    until("a step is done", || async {
        let (_, answer) = server.get(&format!("/workflows/{id}")).await;
        (answer["workflow"]["steps"][0]["status"] == "completed").then_some(())
    })
    .await;
    kill();
    let workflow = until_within(Duration::from_secs(90), "the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed", "{workflow:#}");
    let results = server.get(&format!("/results/workflow/{id}")).await.1;
    assert_eq!(results.as_array().map(Vec::len), Some(6));
    let (status, health) = server.get("/system/health").await;
    assert_eq!(status, 200, "{health}");
    for process in [&server.process, &worker] {
        assert!(process.output().contains(": connecting to "), "{}", process.output());
        assert!(!process.output().contains("panicked"), "{}", process.output());
    }
}

#[tokio::test]
async fn a_workflow_outlives_the_primary_behind_sentinels() {
    let mut redis = RedisSentinels::start("").await;
    let url = redis.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("REDIS_SENTINEL_PASSWORD", SENTINEL_PASSWORD),
        ("LEASE_SECONDS", "2"),
        ("SIMULATED_LATENCY_MS", "400"),
    ];
    outlives(&environment, || redis.servers[0].kill()).await;
}

#[tokio::test]
async fn a_workflow_outlives_the_owner_of_the_slot_in_a_cluster() {
    let mut cluster = RedisCluster::start_with(2).await;
    let owner = RedisCluster::first_owner(cluster.slot_of("{pf}:").await);
    let url = cluster.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("REDIS_PREFIX", "{pf}:"),
        ("LEASE_SECONDS", "2"),
        ("SIMULATED_LATENCY_MS", "400"),
    ];
    outlives(&environment, || cluster.nodes[owner].kill()).await;
}

/// Whichever way the address is given: the sentence says what to set.
#[tokio::test]
async fn a_cluster_without_a_hash_tag_ends_the_start() {
    let port = crate::support::process::free_port().to_string();
    let arguments = ["--cluster-enabled", "yes", "--cluster-port", &port].map(str::to_owned).to_vec();
    let node = RedisServer::start_with(Options { arguments, ..Options::default() });
    let folder = folder();
    let url = node.url();
    for (url, words) in [
        (url.clone(), "set REDIS_PREFIX to a hash tag such as {pf}:"),
        (url.replace("redis://", "redis-cluster://"), "REDIS_PREFIX must hold a hash tag, such as {pf}:"),
    ] {
        let mut process = Process::start(folder.path(), &["serve", "--port", "0"], &[("REDIS_URL", &url)]);
        let status = until("serve ends", || std::future::ready(process.ended())).await;
        assert!(!status.success());
        assert!(process.output().contains(words), "{}", process.output());
    }
    let ended = Workspace::new().run(&["config"], &[("REDIS_URL", &url), ("REDIS_CA_FILE", "/no/such/file")]);
    assert!(ended.stderr.contains("REDIS_CA_FILE must be a file that can be read"), "{}", ended.stderr);
}
