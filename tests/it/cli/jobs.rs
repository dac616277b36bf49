//! `jobs`, `queues` and `workers`: a running server from the command line.

use serde_json::{Value, json};

use crate::support::{
    command::{Ended, Workspace},
    process::{Server, free_port},
    wait::until,
};

/// A server that runs nothing unless `workers` says so, and a folder to run commands in.
async fn server(workers: &str) -> (Server, Workspace) {
    let workspace = Workspace::new();
    let server =
        Server::start(workspace.path(), &["--workers", workers], &[("SIMULATED_LATENCY_MS", "0")]).await;
    (server, workspace)
}

fn run(server: &Server, workspace: &Workspace, args: &[&str]) -> Ended {
    workspace.run(args, &[("PRODUCTFORGE_URL", &server.url)])
}

fn json_of(ended: Ended) -> Value {
    serde_json::from_str(&ended.expect_code(0).stdout).unwrap()
}

async fn submit(server: &Server, body: Value) -> String {
    let (status, receipt) = server.post("/results/task", body).await;
    assert_eq!(status, 200, "{receipt}");
    receipt["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_shown_cancelled_and_deleted() {
    let (server, workspace) = server("0").await;
    let id = submit(&server, json!({"job": "Say \u{1b}[31mhello", "agent_name": "qa_bot"})).await;
    let list = run(&server, &workspace, &["jobs", "list"]).expect_code(0).stdout;
    assert!(list.starts_with("JOB ") && list.contains("STATE"), "{list}");
    assert!(list.contains(&id) && list.contains("queued") && list.contains("qa_bot"), "{list}");
    assert!(!list.contains('\u{1b}'), "a terminal obeys no job: {list:?}");
    let columns: Vec<_> =
        list.lines().map(|line| line.find("queued").or_else(|| line.find("STATE"))).collect();
    assert!(columns[0] == columns[1], "aligned: {list}");
    assert_eq!(
        json_of(run(&server, &workspace, &["jobs", "list", "--json", "--state", "queued"]))["total"],
        1
    );
    let none = run(&server, &workspace, &["jobs", "list", "--state", "dead"]).expect_code(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no job fits\n"));

    let story = run(&server, &workspace, &["jobs", "show", &id]).expect_code(0).stdout;
    assert!(story.contains("waits      Waits in its queue for a free slot of a worker."), "{story}");
    let refused = run(&server, &workspace, &["jobs", "delete", &id]).expect_code(1);
    assert!(refused.stderr.contains("cancel it first"), "{refused:?}");
    let cancelled = run(&server, &workspace, &["jobs", "cancel", &id, "--reason", "enough"]).expect_code(0);
    assert_eq!(cancelled.stdout, format!("{id}  cancelled\n"));
    assert!(run(&server, &workspace, &["jobs", "show", &id]).stdout.contains("error      enough"));
    run(&server, &workspace, &["jobs", "delete", &id, "--result"]).expect_code(0);
    let gone = run(&server, &workspace, &["jobs", "show", &id]).expect_code(1);
    assert!(gone.stderr.contains(&format!("Job '{id}' not found")), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_shows_its_attempts() {
    let (server, workspace) = server("1").await;
    let id = submit(&server, json!({"job": "x"})).await;
    until("it is done", || async { (server.get(&format!("/results/{id}")).await.0 == 200).then_some(()) })
        .await;
    let story = run(&server, &workspace, &["jobs", "show", &id]).expect_code(0).stdout;
    assert!(story.contains("ATTEMPT") && story.contains("completed"), "{story}");
    let retry = run(&server, &workspace, &["jobs", "retry", &id]).expect_code(1);
    assert!(retry.stderr.contains("only failed jobs are retried"), "{retry:?}");
    let workers = run(&server, &workspace, &["workers", "list"]).expect_code(0).stdout;
    assert!(workers.starts_with("WORKER") && workers.contains("working"), "{workers}");
    assert_eq!(
        json_of(run(&server, &workspace, &["workers", "list", "--json"]))["workers"][0]["free_slots"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_order_goes_on_until_nothing_is_left() {
    let (server, workspace) = server("0").await;
    for n in 0..230 {
        submit(&server, json!({"job": format!("task {n}"), "agent_name": "qa_bot"})).await;
    }
    let done =
        run(&server, &workspace, &["jobs", "bulk", "cancel", "--agent", "qa_bot", "--state", "queued"]);
    assert_eq!(done.expect_code(0).stdout, "230 looked at, 230 done, 0 skipped\n");
    let report =
        json_of(run(&server, &workspace, &["jobs", "bulk", "delete", "--state", "cancelled", "--json"]));
    assert_eq!((&report["looked_at"], &report["done"]), (&json!(230), &json!(230)));
    let all = run(&server, &workspace, &["jobs", "bulk", "cancel"]).expect_code(2);
    assert!(all.stderr.contains("by --state, --agent, --workflow or --older-than"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_shown_paused_and_resumed() {
    let (server, workspace) = server("1").await;
    let paused = run(&server, &workspace, &["queues", "pause", "high"]).expect_code(0).stdout;
    assert!(paused.contains("paused"), "{paused}");
    let id = submit(&server, json!({"job": "x", "priority": "high"})).await;
    let list = run(&server, &workspace, &["queues", "list"]).expect_code(0).stdout;
    assert!(
        list.contains(&id) && list.contains("1 ready, 0 due later, 0 parked at a limit, 0 running"),
        "{list}"
    );
    run(&server, &workspace, &["queues", "resume", "high"]).expect_code(0);
    until("it is done", || async { (server.get(&format!("/results/{id}")).await.0 == 200).then_some(()) })
        .await;
    let unknown = run(&server, &workspace, &["queues", "pause", "urgent"]).expect_code(1);
    assert!(unknown.stderr.contains("there are high, normal and low"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_key_gets_it_from_the_environment() {
    let workspace = Workspace::new();
    let key = "a-key-of-the-cli-tests";
    let server = Server::start(workspace.path(), &["--workers", "0"], &[("API_KEY", key)]).await;
    let without = run(&server, &workspace, &["jobs", "list"]).expect_code(2);
    assert!(without.stderr.contains("set API_KEY"), "{without:?}");
    let with = workspace.run(&["jobs", "list", "--url", &server.url], &[("API_KEY", key)]).expect_code(0);
    assert_eq!(with.stderr, "no job fits\n");
}

#[test]
fn where_no_server_is_the_commands_say_what_to_do() {
    let workspace = Workspace::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    for command in [&["jobs", "list"][..], &["queues", "list"], &["workers", "list"]] {
        let ended = workspace.run(&[command, &["--url", &url]].concat(), &[]).expect_code(3);
        assert!(ended.stderr.contains(&format!("no server answers at {url}: ")), "{ended:?}");
        assert!(ended.stderr.contains("Start one with `productforge serve`"), "{ended:?}");
    }
    let bad = workspace.run(&["jobs", "list", "--url", "not an address"], &[]).expect_code(2);
    assert!(bad.stderr.contains("must be an address such as"), "{bad:?}");
    workspace.run(&["jobs", "bulk", "dance"], &[]).expect_code(2);
    workspace.run(&["jobs", "cancel"], &[]).expect_code(2);
}
