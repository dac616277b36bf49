//! `workflows`: watch and steer the workflows of a running server from the command line.

use serde_json::{Value, json};

use crate::support::{
    command::{Ended, Workspace},
    process::{Process, Server, free_port},
    wait::until,
};

async fn server() -> (Server, Workspace) {
    let workspace = Workspace::new();
    let server =
        Server::start(workspace.path(), &["--workers", "2"], &[("SIMULATED_LATENCY_MS", "50")]).await;
    (server, workspace)
}

fn run(server: &Server, workspace: &Workspace, args: &[&str]) -> Ended {
    let args: Vec<&str> = ["workflows"].iter().chain(args).copied().collect();
    workspace.run(&args, &[("PRODUCTFORGE_URL", &server.url)])
}

async fn start(server: &Server, body: Value) -> String {
    let (status, receipt) = server.post("/orchestrate", body).await;
    assert_eq!(status, 200, "{receipt}");
    receipt["workflow_id"].as_str().unwrap().to_owned()
}

async fn reaches(server: &Server, id: &str, status: &str) {
    until(&format!("the workflow is {status}"), || async {
        let (_, found) = server.get(&format!("/workflows/{id}")).await;
        (found["workflow"]["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_watched_approved_and_gone_on_from() {
    let (server, workspace) = server().await;
    let id =
        start(&server, json!({"job": "Say \u{1b}[31mhello", "requires_qa": true, "approval": true})).await;
    reaches(&server, &id, "paused").await;
    let shown = run(&server, &workspace, &["show", &id]).expect_code(0).stdout;
    assert!(shown.contains("waits      The work is done; it waits for somebody to approve it"), "{shown}");
    assert!(shown.contains("approval"), "{shown}");
    let bare = run(&server, &workspace, &["reject", &id, "--send-back"]).expect_code(2);
    assert!(bare.stderr.contains("comment: Say what is to be done differently"), "{bare:?}");
    let approved = run(&server, &workspace, &["approve", &id, "--comment", "Good"]).expect_code(0);
    assert_eq!(approved.stdout, format!("{id}  approved\n"));
    let watched = run(&server, &workspace, &["watch", &id]).expect_code(0).stdout;
    assert!(watched.contains("The brief was accepted"), "{watched}");
    assert!(watched.contains("approval: A person approved the work: Good"), "{watched}");
    assert!(watched.ends_with(&format!("{id}  completed\n")), "{watched}");
    let lines = run(&server, &workspace, &["watch", &id, "--json"]).expect_code(0).stdout;
    for line in lines.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["workflow_id"], id);
    }
    assert_eq!(lines.lines().count(), watched.lines().count() - 1);

    std::fs::write(workspace.path().join("draft.md"), "MY OWN DRAFT").unwrap();
    let args = ["fork", &id, "--from", "specialist_execution", "--output", "draft.md"];
    let fork = run(&server, &workspace, &args).expect_code(0).stdout.trim().to_owned();
    reaches(&server, &fork, "paused").await;
    let shown = run(&server, &workspace, &["show", &fork, "--json"]).expect_code(0).stdout;
    assert!(shown.contains("MY OWN DRAFT"), "{shown}");
    let list = run(&server, &workspace, &["list", "--status", "paused"]).expect_code(0).stdout;
    assert!(list.starts_with("WORKFLOW ") && list.contains(&fork) && !list.contains(&id), "{list}");
    assert!(!list.contains('\u{1b}'), "a terminal obeys no brief: {list:?}");
    let rejected = run(&server, &workspace, &["reject", &fork, "--comment", "No"]).expect_code(0);
    assert_eq!(rejected.stdout, format!("{fork}  rejected\n"));
    let watched = run(&server, &workspace, &["watch", &fork]).expect_code(1).stdout;
    assert!(watched.ends_with(&format!("{fork}  failed\n")), "{watched}");
    run(&server, &workspace, &["retry", &fork]).expect_code(0);
    run(&server, &workspace, &["cancel", &fork, "--reason", "enough"]).expect_code(0);
    let both = run(&server, &workspace, &["delete", &fork, &id]).expect_code(0);
    assert_eq!(both.stdout, format!("{fork}  deleted\n{id}  deleted\n"));
    let none = run(&server, &workspace, &["list"]).expect_code(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no workflow fits\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_with_its_exit_code() {
    let (server, workspace) = server().await;
    let gone = run(&server, &workspace, &["watch", "nothing"]).expect_code(1);
    assert!(gone.stderr.contains("Workflow not found"), "{gone:?}");
    let id = start(&server, json!({"job": "Wait", "delay_seconds": 3600})).await;
    run(&server, &workspace, &["pause", &id, "--reason", "later"]).expect_code(0);
    let show = run(&server, &workspace, &["show", &id]).expect_code(0).stdout;
    assert!(show.contains("waits      Somebody paused it: later"), "{show}");
    run(&server, &workspace, &["resume", &id]).expect_code(0);
    let refused = run(&server, &workspace, &["resume", &id]).expect_code(1);
    assert!(refused.stderr.contains("only paused workflows are resumed"), "{refused:?}");
    let wrong = run(&server, &workspace, &["list", "--status", "lost"]).expect_code(2);
    assert!(wrong.stderr.contains("status: Input should be 'running'"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_over_a_restart_and_ends_when_the_workflow_is_gone() {
    let workspace = Workspace::new();
    let port = free_port().to_string();
    let serve = || {
        let args = ["serve", "--port", port.as_str(), "--workers", "2"];
        Server::of(Process::start(workspace.path(), &args, &[("SIMULATED_LATENCY_MS", "400")]))
    };
    let mut first = serve().await;
    let url = first.url.clone();
    let id = start(&first, json!({"job": "Plan a move", "requires_qa": true})).await;
    let env = [("PRODUCTFORGE_URL", url.as_str())];
    let mut watch = workspace.start(&["workflows", "watch", &id], &env);
    watch.line_with("general_assistant has begun.");
    first.process.kill();
    let second = serve().await;
    let said = watch.ends_with_code(0);
    assert!(said.trim_end().ends_with("completed"), "{said}");
    let begun = said.lines().filter(|line| line.contains("The brief was accepted")).count();
    assert_eq!(begun, 1, "what was seen is not told again:\n{said}");

    // The end of a cancelled one is the end of its watch, and of one that is gone there is nothing to watch.
    let id = start(&second, json!({"job": "Wait", "delay_seconds": 3600})).await;
    let mut watch = workspace.start(&["workflows", "watch", &id], &env);
    watch.line_with("The brief was accepted");
    run(&second, &workspace, &["cancel", &id]).expect_code(0);
    let said = watch.ends_with_code(1);
    assert!(said.trim_end().ends_with("cancelled"), "{said}");
    run(&second, &workspace, &["delete", &id]).expect_code(0);
    let gone = run(&second, &workspace, &["watch", &id]).expect_code(1);
    assert!(gone.stderr.contains("Workflow not found"), "{gone:?}");
}
