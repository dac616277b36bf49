//! A database of the earlier system, taken over by the real executable.

use std::collections::BTreeMap;

use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection, cmd};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    command::{Ended, Workspace},
    legacy_database::{self as legacy, fill},
    process::{Process, Server, folder},
    redis_server::{Options, RedisServer},
    wait::{until, until_within},
};

/// Everything in the database as Redis itself would write it down, and which of it has an end.
async fn whole(redis: &mut MultiplexedConnection) -> BTreeMap<Vec<u8>, (Vec<u8>, bool)> {
    let keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query_async(redis).await.unwrap();
    let mut whole = BTreeMap::new();
    for key in keys {
        let dump: Vec<u8> = cmd("DUMP").arg(&key).query_async(redis).await.unwrap();
        let life: i64 = redis.pttl(&key).await.unwrap();
        whole.insert(key, (dump, life >= 0));
    }
    whole
}

fn migrate(workspace: &Workspace, redis: &RedisServer, arguments: &[&str]) -> Ended {
    workspace.run(&[&["migrate"], arguments].concat(), &[("REDIS_URL", redis.url().as_str())])
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// The work of the only migration.
fn work(ended: &Ended) -> Value {
    report(ended)["migrations"][0]["work"].clone()
}

#[tokio::test]
async fn a_check_changes_nothing_and_says_exactly_what_is_then_changed() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    fill(&mut connection).await;
    let workspace = Workspace::new();
    let before = whole(&mut connection).await;
    let checked = migrate(&workspace, &redis, &["--check", "--json"]).expect_code(3);
    assert!(whole(&mut connection).await == before, "the check has changed something");
    let planned = work(&checked);
    assert_eq!(planned["changes"], legacy::changes(), "{planned:#}");
    let left: Vec<&str> =
        planned["left"].as_array().unwrap().iter().map(|left| left["key"].as_str().unwrap()).collect();
    for key in legacy::NOT_UNDERSTOOD {
        assert!(left.contains(&key), "{key} is not in {left:?}");
    }

    // Behind a prefix is another database.
    let environment = [("REDIS_URL", &*redis.url()), ("REDIS_PREFIX", "[other]*:")];
    let elsewhere = workspace.run(&["migrate", "--check", "--json"], &environment).expect_code(3);
    assert_eq!(work(&elsewhere)["looked_at"], 0, "{elsewhere:?}");

    let applied = migrate(&workspace, &redis, &["--json"]).expect_code(0);
    let done = work(&applied);
    let sorted = |work: &Value, field: &str| {
        let mut told: Vec<String> = work[field].as_array().unwrap().iter().map(ToString::to_string).collect();
        told.sort();
        told
    };
    for field in ["told", "left"] {
        assert_eq!(sorted(&planned, field), sorted(&done, field));
    }
    assert_eq!((&planned["changes"], &planned["zone"]), (&done["changes"], &done["zone"]));
    assert_eq!(done["zone"], "+02:00");
    let after = whole(&mut connection).await;
    for key in legacy::NOT_UNDERSTOOD.iter().chain(&legacy::STRANGERS) {
        assert!(before[key.as_bytes()] == after[key.as_bytes()], "{key} has changed");
    }

    // Once more, also without the note that it was done.
    let again = migrate(&workspace, &redis, &["--json"]).expect_code(0);
    assert_eq!(report(&again)["migrations"][0]["state"], "earlier");
    assert!(whole(&mut connection).await == after, "a second run has changed something");
    migrate(&workspace, &redis, &["--check"]).expect_code(0);
    let _: () = connection.del("pf:schema").await.unwrap();
    let anew = migrate(&workspace, &redis, &["--json"]).expect_code(0);
    assert_eq!(work(&anew)["changes"], json!({}), "{anew:?}");
    let mut anew = whole(&mut connection).await;
    let mut expected = after;
    for all in [&mut anew, &mut expected] {
        all.remove(b"pf:schema".as_slice());
    }
    assert!(anew == expected, "a run on what was adopted has changed something");
}

#[tokio::test]
async fn every_document_is_readable_through_the_api_and_all_waiting_jobs_run() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    fill(&mut connection).await;
    let folder = folder();
    let url = redis.url();
    let server = Server::start(folder.path(), &["--workers", "4"], &[("REDIS_URL", url.as_str())]).await;

    let names = |list: &Value, field: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let (_, agents) = server.get("/agents/").await;
    let mut agents = names(&agents, "name");
    agents.sort();
    assert_eq!(agents, ["a1", "hashy", "unlisted"]);
    let (_, hashy) = server.get("/agents/hashy").await;
    assert_eq!((&hashy["role"], &hashy["model"]), (&json!("Research"), &json!("gpt-4o")));
    let kept: BTreeMap<String, String> = connection.hgetall("pf:adopted:agent:hashy").await.unwrap();
    assert_eq!(kept["mood"], "curious", "what nobody understands is kept: {kept:?}");

    for id in legacy::RESULTS {
        let (status, result) = server.get(&format!("/results/{id}")).await;
        assert_eq!((status, &result["job_id"]), (200, &json!(id)), "{result}");
        let life: i64 = connection.ttl(format!("result:{id}")).await.unwrap();
        assert!((3_000..=3_600).contains(&life), "{id}: {life}");
    }
    let (_, results) = server.get("/results/?limit=100").await;
    let listed = names(&results, "job_id");
    assert!(legacy::RESULTS.iter().all(|id| listed.contains(&(*id).to_owned())), "{listed:?}");
    let (_, by_agent) = server.get("/results/agent/default_agent?limit=100").await;
    assert_eq!(by_agent.as_array().unwrap().len(), legacy::RESULTS.len());

    for id in legacy::JOBS {
        until_within(std::time::Duration::from_secs(60), &format!("{id} has run"), || async {
            let (status, result) = server.get(&format!("/results/{id}")).await;
            (status == 200 && result["status"] == "completed").then_some(())
        })
        .await;
    }
    for list in ["queue", "queue_high", "queue_low", "queue_wild", "queue_None", "queue_normal"] {
        let left: i64 = connection.llen(list).await.unwrap();
        assert_eq!(left, 0, "{list}");
    }
    let left: i64 = connection.llen("queue_emails").await.unwrap();
    assert_eq!(left, 2, "somebody else's list stays");

    let workflow = |id: &'static str| server.get(id);
    let (_, waits) = workflow("/workflows/76660f75-5a72-41a3-b5ca-ff78d91023ea").await;
    assert_eq!(waits["workflow"]["original_task"], "Fix the login bug");
    let ended = until("the workflow whose jobs waited has ended", || {
        server.ended("76660f75-5a72-41a3-b5ca-ff78d91023ea")
    })
    .await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let (_, done) = workflow("/workflows/2859d6e4-0000-4000-8000-000000000001").await;
    assert_eq!(done["workflow"]["status"], "completed", "{done:#}");
    assert_eq!(
        done["workflow"]["completed_at"], "2026-11-22T08:18:29.058549+00:00",
        "of its last result, in UTC"
    );
    let (_, lost) = workflow("/workflows/2859d6e4-0000-4000-8000-000000000002").await;
    assert_eq!(lost["workflow"]["status"], "failed");
    assert!(lost["workflow"]["error"].as_str().unwrap().contains("adopted: "), "{lost:#}");
    let revived = until("the workflow that had lost a job has ended", || {
        server.ended("2859d6e4-0000-4000-8000-000000000003")
    })
    .await;
    assert_eq!(revived["status"], "completed", "{revived:#}");
    let (_, workflows) = server.get("/workflows?limit=100").await;
    assert_eq!(workflows["total_workflows"], 5, "{workflows:#}");
    let (_, listed) = server.get("/upload/list").await;
    assert_eq!(listed["uploads"][0]["original_filename"], "ok.zip", "{listed:#}");
    let uploads: Vec<String> = connection.zrange("uploads_index", 0, -1).await.unwrap();
    assert_eq!(uploads, ["plans.zip", "1b60f9b1-0000-4000-8000-000000000001"], "by their times");
    let life: i64 = connection.ttl("upload:1b60f9b1-0000-4000-8000-000000000001").await.unwrap();
    assert!(life > 6 * 24 * 3_600, "{life}");
}

#[tokio::test]
async fn of_several_that_start_at_once_one_migrates_and_all_go_on() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    fill(&mut connection).await;
    legacy::fill_many(&mut connection, 20_000).await;
    let workspace = Workspace::new();
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str())];
    let mut starters: Vec<_> =
        (0..3).map(|_| workspace.start(&["worker", "--workers", "1"], &environment)).collect();
    let mut migrated = 0;
    for mut starter in starters.drain(..) {
        starter.line_with("ready for jobs");
        starter.signal("TERM");
        migrated += starter.ends_with_code(0).matches("migrating the database").count();
    }
    assert_eq!(migrated, 1);
    let indexed: i64 = connection.zcard("results_index").await.unwrap();
    assert!(indexed >= 20_000, "{indexed}");
    let lease: bool = connection.exists("pf:schema:lease").await.unwrap();
    assert!(!lease);
}

#[tokio::test]
async fn a_migrator_that_is_killed_is_taken_over_and_the_outcome_is_the_same() {
    let many = 5_000;
    let workspace = Workspace::new();
    let undisturbed = RedisServer::start();
    let mut expected = undisturbed.connection().await;
    fill(&mut expected).await;
    legacy::fill_many(&mut expected, many).await;
    migrate(&workspace, &undisturbed, &[]).expect_code(0);

    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    fill(&mut connection).await;
    legacy::fill_many(&mut connection, many).await;
    let url = redis.url();
    for kill_at in [100, 2_000, 4_000] {
        let mut process = Process::start(workspace.path(), &["migrate"], &[("REDIS_URL", url.as_str())]);
        until("a part is done", || {
            let mut connection = connection.clone();
            let ended = process.ended().is_some();
            async move {
                let done: i64 = connection.zcard("results_index").await.unwrap();
                (done >= kill_at || ended).then_some(())
            }
        })
        .await;
        process.kill();
        // The next one need not wait for a lease that nobody renews.
        let _: () = connection.del("pf:schema:lease").await.unwrap();
    }
    migrate(&workspace, &redis, &[]).expect_code(0);
    let (mut found, mut wanted) = (whole(&mut connection).await, whole(&mut expected).await);
    for all in [&mut found, &mut wanted] {
        // When it was done and by whom, when lives end, and what has the order of a walk differ.
        all.retain(|key, _| {
            let key = String::from_utf8_lossy(key);
            !["pf:schema", "pf:expiring", "pf:indexed", "pf:event_id", "pf:token"].contains(&key.as_ref())
                && !key.starts_with("pf:events:")
                && !key.ends_with("_index")
                && !key.contains("s_by_")
                && !legacy::HAS_TIMES.contains(&key.as_ref())
        });
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let differing: Vec<_> = found.iter().filter(|(key, value)| wanted.get(*key) != Some(value)).collect();
    let differing: Vec<_> = differing.iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    for index in ["agents_index", "workflows_index", "results_index", "uploads_index"] {
        let entries = |mut redis: MultiplexedConnection| async move {
            redis.zrange_withscores::<_, Vec<(String, f64)>>(index, 0, -1).await.unwrap()
        };
        assert_eq!(entries(connection.clone()).await, entries(expected.clone()).await, "{index}");
    }
}

#[tokio::test]
async fn a_lease_that_nobody_renews_runs_out() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    let _: () = connection.pset_ex("pf:schema:lease", "somebody who died", 1_500).await.unwrap();
    let ended = migrate(&Workspace::new(), &redis, &[]).expect_code(0);
    assert!(ended.stderr.contains("somebody who died migrates the database"), "{ended:?}");
}

#[tokio::test]
async fn who_waits_for_a_migration_can_be_stopped() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    let _: () = connection.set("pf:schema:lease", "somebody who takes for ever").await.unwrap();
    let workspace = Workspace::new();
    for command in [&["worker"][..], &["serve", "--port", "0"]] {
        let mut waiting = workspace.start(command, &[("REDIS_URL", redis.url().as_str())]);
        waiting.line_with("somebody who takes for ever migrates the database");
        waiting.signal("TERM");
        let output = waiting.ends_with_code(0);
        assert!(output.contains("stopped before the start was complete"), "{output}");
    }
}

#[tokio::test]
async fn a_newer_version_is_refused_unless_it_says_that_it_can_be_read() {
    let redis = RedisServer::start();
    let mut connection = redis.connection().await;
    let workspace = Workspace::new();
    let set = |version: u32, min_reader: u32| {
        let mut connection = connection.clone();
        async move {
            let fields = [("version", version), ("min_reader", min_reader)];
            let _: () = connection.hset_multiple("pf:schema", &fields).await.unwrap();
        }
    };
    set(99, 98).await;
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str())];
    for command in
        [&["migrate"][..], &["migrate", "--check"], &["worker"], &["serve", "--port", "0"], &["run", "x"]]
    {
        let ended = workspace.run(command, &environment).expect_code(1);
        assert!(ended.stderr.contains("schema version 99"), "{ended:?}");
    }
    set(99, 1).await;
    migrate(&workspace, &redis, &[]).expect_code(0);
    let mut worker = workspace.start(&["worker"], &environment);
    worker.line_with("it can be used, as version 1 is enough");
    worker.line_with("ready for jobs");
    let version: u32 = connection.hget("pf:schema", "version").await.unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_redis_that_is_away_at_the_start_is_migrated_when_it_comes() {
    let mut redis = RedisServer::start_durable();
    fill(&mut redis.connection().await).await;
    let url = redis.url();
    redis.stop();
    let folder = folder();
    let server = Server::start(folder.path(), &["--workers", "0"], &[("REDIS_URL", url.as_str())]).await;
    redis.start_again();
    until("the agents are there", || async {
        let (status, agent) = server.get("/agents/hashy").await;
        (status == 200).then_some(agent)
    })
    .await;
}

#[tokio::test]
async fn others_are_answered_while_a_large_database_is_adopted() {
    let redis = RedisServer::start_with(Options::default());
    let mut connection = redis.connection().await;
    legacy::fill_many(&mut connection, 30_000).await;
    let workspace = Workspace::new();
    let url = redis.url();
    let mut process = Process::start(workspace.path(), &["migrate"], &[("REDIS_URL", url.as_str())]);
    let mut slowest = std::time::Duration::ZERO;
    while process.ended().is_none() {
        let asked = std::time::Instant::now();
        let pings = (0..4).map(|_| {
            let mut connection = connection.clone();
            async move { cmd("PING").query_async::<String>(&mut connection).await.unwrap() }
        });
        join_all(pings).await;
        slowest = slowest.max(asked.elapsed());
    }
    let indexed: i64 = connection.zcard("results_index").await.unwrap();
    assert_eq!(indexed, 30_000);
    assert!(slowest < std::time::Duration::from_millis(500), "an answer took {slowest:?}");
}
