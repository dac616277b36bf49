//! The clock of Redis jumps, an hour forward and an hour back: leases run out too soon or last too long, and
//! no work is lost nor done twice to the end.

use std::{path::PathBuf, process::Command, time::Duration};

use serde_json::Value;

use crate::support::{
    process::{Server, folder},
    redis_server::{Options, RedisServer},
    wait::{until, until_within},
};

/// The library that shifts the clock of a process, made for this test.
fn library(folder: &std::path::Path) -> PathBuf {
    let library = folder.join("shifted-clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/shifted-clock.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O1", source, "-o"]).arg(&library).status();
    assert!(made.expect("cc is missing: ./dev setup installs it").success());
    library
}

#[tokio::test]
async fn a_clock_that_jumps_loses_and_repeats_nothing() {
    let folder = folder();
    let shift = folder.path().join("shift");
    std::fs::write(&shift, "0").unwrap();
    let environment = vec![
        ("LD_PRELOAD", library(folder.path()).display().to_string()),
        ("CLOCK_SHIFT_FILE", shift.display().to_string()),
    ];
    let redis = RedisServer::start_with(Options { environment, ..Options::default() });
    let mut foreign = redis.connection().await;
    let url = redis.url();
    let environment = [
        ("REDIS_URL", url.as_str()),
        ("LEASE_SECONDS", "5"),
        ("SIMULATED_LATENCY_MS", "300"),
        ("RESULT_TTL", "86400"),
    ];
    let server = Server::start(folder.path(), &["--workers", "3"], &environment).await;
    let mut before: i64 = time(&mut foreign).await;
    for jump in ["3600", "0", "-3600", "0"] {
        let ids = [server.orchestrate("Over the jump").await, server.orchestrate("And another").await];
        until("work has begun", || async {
            let (_, answer) = server.get(&format!("/workflows/{}", ids[0])).await;
            (answer["workflow"]["steps"][0]["status"] != "queued").then_some(())
        })
        .await;
        std::fs::write(&shift, jump).unwrap();
        let now = time(&mut foreign).await;
        assert!((now - before).abs() > 3_000, "the clock did not jump: {before} {now}");
        for id in ids {
            let longest = Duration::from_secs(60);
            let workflow = until_within(longest, "the workflow ends", || server.ended(&id)).await;
            assert_eq!(workflow["status"], "completed", "after {jump}: {workflow:#}");
            let (_, told) = server.get(&format!("/workflows/{id}")).await;
            let (_, results) = server.get(&format!("/results/workflow/{id}")).await;
            let steps = jobs(&told["workflow"]["steps"]);
            assert_eq!(steps.len(), 6, "the four steps, and specialist and QA once more");
            assert_eq!(jobs(&results), steps, "after {jump}: exactly one result for every job");
        }
        before = time(&mut foreign).await;
    }
    assert!(!server.process.output().contains("panicked"), "{}", server.process.output());
}

/// The jobs that these belong to.
fn jobs(list: &Value) -> Vec<&str> {
    let mut jobs: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["job_id"].as_str().unwrap()).collect();
    jobs.sort_unstable();
    jobs
}

async fn time(foreign: &mut deadpool_redis::redis::aio::MultiplexedConnection) -> i64 {
    super::redis_troubles::run::<(i64, i64)>(foreign, "TIME").await.0
}
