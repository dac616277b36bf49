//! A whole store moves from the embedded file to Redis and back, by the real executable.

use std::{path::Path, sync::Arc};

use deadpool_redis::redis::AsyncCommands;
use productforge::{
    clock::SystemClock,
    store::{
        Add, Change, DocKey, Enqueue, IndexName, Item, Kind, Put, Queue, Store,
        sqlite::{Location, SqliteStore},
    },
};
use serde_json::{Value, json};

use crate::{
    store::dumps::dump,
    support::{
        command::{Ended, Workspace},
        process::{Process, Server, folder},
        redis_server::RedisServer,
        wait::{until, until_within},
    },
};

fn open(file: &Path) -> SqliteStore {
    SqliteStore::open(Location::File(file.to_owned()), Arc::new(SystemClock)).unwrap()
}

/// All that a file keeps, but for who lived.
async fn kept(file: &Path) -> Vec<Item> {
    let store = open(file);
    let mut all = dump(&store, 100).await;
    all.retain(|item| !matches!(item, Item::Document(put) if put.key.kind.0 == "worker"));
    store.close().await;
    all
}

fn copy(workspace: &Workspace, redis: &RedisServer, from: &str, to: &str, more: &[&str]) -> Ended {
    let arguments = [&["copy", "--from", from, "--to", to], more].concat();
    workspace.run(&arguments, &[("REDIS_URL", redis.url().as_str())])
}

#[track_caller]
fn report(ended: Ended) -> Value {
    let ended = ended.expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[tokio::test]
async fn a_used_store_is_equal_after_the_way_to_redis_and_back_and_its_work_goes_on() {
    let workspace = Workspace::new();
    let file = workspace.path().join("workspace/productforge.db");
    let server = Server::start(workspace.path(), &[], &[]).await;
    let done = server.orchestrate("Fix the login bug").await;
    until("the workflow ends", || server.ended(&done)).await;
    drop(server);
    let server = Server::start(workspace.path(), &["--workers", "0"], &[]).await;
    let mut waiting = Vec::new();
    for (n, priority) in ["low", "high", "normal", "high"].into_iter().enumerate() {
        let (status, task) =
            server.post("/results/task", json!({"job": format!("job {n}"), "priority": priority})).await;
        assert_eq!(status, 200, "{task}");
        waiting.push(task["job_id"].as_str().unwrap().to_owned());
    }
    let (_, later) = server.post("/results/task", json!({"job": "later", "delay_seconds": 3_600})).await;
    assert_eq!(server.post("/queues/queue_low/pause", json!({})).await.0, 200);
    let open_workflow = server.orchestrate("Analyze the logs").await;
    drop(server);

    let before = kept(&file).await;
    let redis = RedisServer::start();
    let there = report(copy(&workspace, &redis, "sqlite", "redis", &["--json"]));
    let groups = there["groups"].as_array().unwrap();
    assert!(groups.iter().all(|group| group["from"] == group["to"]), "{there:#}");
    assert!(groups.iter().any(|group| group["group"] == "jobs: queue_high" && group["to"] == 2), "{there:#}");
    let back = report(copy(&workspace, &redis, "redis", "sqlite:back.db", &["--json"]));
    assert_eq!(there["documents_digest"], back["documents_digest"]);
    let after = kept(&workspace.path().join("back.db")).await;
    assert_eq!(after.len(), before.len());
    let differing: Vec<_> = after.iter().zip(&before).filter(|(after, before)| after != before).collect();
    assert!(differing.is_empty(), "{:#?}", &differing[..differing.len().min(2)]);

    let folder = folder();
    let server =
        Server::start(folder.path(), &["--workers", "2"], &[("REDIS_URL", redis.url().as_str())]).await;
    let workflow = until("the open workflow ends", || server.ended(&open_workflow)).await;
    assert_eq!(workflow["status"], "completed");
    for id in &waiting[1..] {
        until("it has run", || async {
            (server.get(&format!("/results/{id}")).await.0 == 200).then_some(())
        })
        .await;
    }
    assert_eq!(server.get(&format!("/results/{}", waiting[0])).await.0, 404, "its queue is paused");
    let (_, job) = server.get(&format!("/jobs/{}", later["job_id"].as_str().unwrap())).await;
    assert_eq!(job["state"], "scheduled", "{job:#}");
    let (_, jobs) = server.get("/jobs?limit=100").await;
    assert!(jobs["total"].as_u64().unwrap_or(0) >= 9, "{jobs:#}");
}

/// Many things of all kinds.
async fn fill(file: &Path, documents: usize) {
    let store = open(file);
    let kind = Kind("note");
    for from in (0..documents).step_by(50) {
        let mut change = Change::new();
        for n in from..(from + 50).min(documents) {
            let put = Put::raw(
                DocKey::new(kind, format!("n{n}")),
                format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(500)),
            );
            let put =
                put.indexed(n as i64).index(IndexName::by(kind, "agent", &format!("a{}", n % 7)), n as i64);
            change = change.put(if n % 3 == 0 { put.ttl_ms(3_600_000) } else { put });
            let payload = format!("job {n}").into_bytes();
            change = change.enqueue(Enqueue { queue: Queue::ALL[n % 3], payload, due_at: None });
            change = change.event(format!("s{}", n % 5), format!("event {n}").into_bytes());
        }
        change = change.add(Add::new(format!("tally {from}"), "n", from as i64 + 1));
        store.apply(change).await.unwrap().unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn a_copy_that_is_killed_is_gone_on_with_and_nobody_works_on_a_half() {
    let workspace = Workspace::new();
    let file = workspace.path().join("workspace/productforge.db");
    fill(&file, 6_000).await;
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str())];
    let mut killed = 0;
    for least in [500_i64, 4_500] {
        let mut process =
            Process::start(workspace.path(), &["copy", "--from", "sqlite", "--to", "redis"], &environment);
        until_within(std::time::Duration::from_secs(60), "a part is there", || {
            let mut connection = connection.clone();
            let ended = process.ended().is_some();
            async move {
                let documents: i64 = connection.zcard("notes_index").await.unwrap();
                let jobs: i64 = connection.llen("queue").await.unwrap();
                (documents + jobs >= least || ended).then_some(())
            }
        })
        .await;
        killed += usize::from(process.ended().is_none());
        process.kill();
        let half: bool = connection.exists("copy:progress").await.unwrap();
        if half {
            let refused = workspace.run(&["worker"], &environment).expect_code(1);
            assert!(refused.stderr.contains("holds a part of a copy"), "{refused:?}");
            let other = copy(&workspace, &redis, "redis", "sqlite:other.db", &[]).expect_code(1);
            assert!(other.stderr.contains("holds a part of a copy"), "{other:?}");
        }
    }
    assert!(killed > 0, "no copy lasted long enough to be killed");
    let done = report(copy(&workspace, &redis, "sqlite", "redis", &["--json"]));
    assert_eq!(done["resumed"], true, "{done:#}");
    let half: bool = connection.exists("copy:progress").await.unwrap();
    assert!(!half);
    let back = report(copy(&workspace, &redis, "redis", "sqlite:back.db", &["--json"]));
    assert_eq!(done["documents_digest"], back["documents_digest"]);
    assert!(kept(&workspace.path().join("back.db")).await == kept(&file).await, "they differ");
}

#[tokio::test]
async fn a_store_in_use_and_a_target_with_something_in_it_are_refused() {
    let workspace = Workspace::new();
    let file = workspace.path().join("workspace/productforge.db");
    fill(&file, 60).await;
    let redis = RedisServer::start();
    let url = redis.url();

    let server = Server::start(workspace.path(), &["--workers", "0"], &[]).await;
    let refused = copy(&workspace, &redis, "sqlite", "redis", &[]).expect_code(1);
    assert!(refused.stderr.contains("in use by another process"), "{refused:?}");
    drop(server);

    let elsewhere = folder();
    let mut worker = Process::start(elsewhere.path(), &["worker"], &[("REDIS_URL", url.as_str())]);
    let mut connection = redis.connection().await;
    until("the worker is known", || {
        let mut connection = connection.clone();
        async move { (connection.zcard::<_, i64>("workers_index").await.unwrap() > 0).then_some(()) }
    })
    .await;
    for (from, to) in [("sqlite", "redis"), ("redis", "sqlite:other.db")] {
        let refused = copy(&workspace, &redis, from, to, &["--force"]).expect_code(1);
        assert!(refused.stderr.contains("workers are alive"), "{refused:?}");
    }
    worker.signal("TERM");
    until("the worker ends", || std::future::ready(worker.ended())).await;

    let _: () = connection.set("note:n1", "another one").await.unwrap();
    let _: i64 = connection.lpush("queue", "an earlier job").await.unwrap();
    let refused = copy(&workspace, &redis, "sqlite", "redis", &[]).expect_code(1);
    assert!(refused.stderr.contains("is not empty") && refused.stderr.contains("--force"), "{refused:?}");
    let forced = report(copy(&workspace, &redis, "sqlite", "redis", &["--force", "--json"]));
    assert_eq!(forced["resumed"], false);
    let replaced: String = connection.get("note:n1").await.unwrap();
    assert!(replaced.starts_with("{\"n\":1,"), "{replaced}");
    let first: Vec<String> = connection.lrange("queue", -2, -1).await.unwrap();
    assert_eq!(first, ["job 1", "an earlier job"], "it stays the first to be taken");

    let same = copy(&workspace, &redis, "redis", "redis", &["--force"]).expect_code(1);
    assert!(same.stderr.contains("the same"), "{same:?}");
    let missing = copy(&workspace, &redis, "sqlite:nowhere.db", "redis", &[]).expect_code(1);
    assert!(missing.stderr.contains("there is no nowhere.db"), "{missing:?}");
    assert!(!workspace.path().join("nowhere.db").exists());
    copy(&workspace, &redis, "mysql", "redis", &[]).expect_code(2);
}

#[tokio::test]
async fn what_is_no_document_is_named_and_left_and_a_database_of_an_earlier_version_is_migrated_first() {
    let workspace = Workspace::new();
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    let _: () = connection.hset_multiple("agent:hashy", &[("name", "hashy"), ("role", "QA")]).await.unwrap();
    let _: i64 = connection.rpush("note:list", "x").await.unwrap();
    let refused = copy(&workspace, &redis, "redis", "sqlite", &[]).expect_code(1);
    assert!(refused.stderr.contains("productforge migrate"), "{refused:?}");
    workspace.run(&["migrate"], &[("REDIS_URL", redis.url().as_str())]).expect_code(0);
    let copied = report(copy(&workspace, &redis, "redis", "sqlite", &["--json"]));
    let left: Vec<&str> =
        copied["left_behind"].as_array().unwrap().iter().map(|left| left[0].as_str().unwrap()).collect();
    assert_eq!(left, ["note:list", "pf:adopted:agent:hashy"]);
    assert_eq!(kept(&workspace.path().join("workspace/productforge.db")).await.len(), 1);
}
