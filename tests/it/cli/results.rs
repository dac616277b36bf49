//! `results`, `reports` and `usage`: what came of the work of a running server, from the command line.

use serde_json::{Value, json};

use crate::support::{
    command::{Ended, Workspace},
    process::Server,
    wait::until,
};

fn run(server: &Server, workspace: &Workspace, args: &[&str]) -> Ended {
    workspace.run(args, &[("PRODUCTFORGE_SERVER", &server.url)])
}

fn json_of(ended: Ended) -> Value {
    serde_json::from_str(&ended.expect_code(0).stdout).unwrap()
}

/// A server, a folder, and the jobs of two results.
async fn with_results() -> (Server, Workspace, Vec<String>) {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "2"], &[("SIMULATED_LATENCY_MS", "0")]).await;
    let mut ids = Vec::new();
    for agent in ["qa_bot", "debugger_bot"] {
        let (_, task) =
            server.post("/results/task", json!({"job": format!("For {agent}"), "agent_name": agent})).await;
        let id = task["job_id"].as_str().unwrap().to_owned();
        let path = format!("/results/{id}");
        until("it is done", || async { (server.get(&path).await.0 == 200).then_some(()) }).await;
        ids.push(id);
    }
    (server, workspace, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_listed_shown_pinned_and_deleted() {
    let (server, workspace, ids) = with_results().await;
    let list = run(&server, &workspace, &["results", "list", "--agent", "qa_bot"]).expect_code(0).stdout;
    assert!(list.starts_with("JOB ") && list.contains(&ids[0]) && !list.contains(&ids[1]), "{list}");
    assert!(list.contains(" in 59 min "), "it expires: {list}");
    let more = run(&server, &workspace, &["results", "list", "--limit", "1"]).expect_code(0);
    assert_eq!(more.stderr, "the newest 1 of 2; there are more\n");
    let all = json_of(run(&server, &workspace, &["results", "list", "--json"]));
    let (_, body) = server.get("/results/?limit=20").await;
    assert_eq!(all, body, "the body of the API, unchanged");

    let (_, result) = server.get(&format!("/results/{}", ids[0])).await;
    let shown = run(&server, &workspace, &["results", "show", &ids[0]]).expect_code(0).stdout;
    assert_eq!(shown.trim_end(), result["output"].as_str().unwrap().trim_end());
    assert_eq!(json_of(run(&server, &workspace, &["results", "show", &ids[0], "--json"])), result);

    let pinned = run(&server, &workspace, &["results", "pin", &ids[0], &ids[1]]).expect_code(0);
    assert_eq!(pinned.stdout, format!("{}  pinned\n{}  pinned\n", ids[0], ids[1]));
    let list = run(&server, &workspace, &["results", "list"]).expect_code(0).stdout;
    assert_eq!(list.matches(" pinned ").count(), 2, "{list}");
    run(&server, &workspace, &["results", "unpin", &ids[0]]).expect_code(0);
    let gone = run(&server, &workspace, &["results", "delete", &ids[0], "nothing"]).expect_code(1);
    assert_eq!(gone.stdout, format!("{}  deleted\n", ids[0]));
    assert!(gone.stderr.contains("nothing: Result for job 'nothing' not found"), "{gone:?}");
    let wrong = run(&server, &workspace, &["results", "list", "--status", "lost"]).expect_code(2);
    assert!(wrong.stderr.contains("status: Input should be 'completed'"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_made_and_read_and_usage_is_told() {
    let (server, workspace, _) = with_results().await;
    let none = run(&server, &workspace, &["reports", "list"]).expect_code(0);
    assert!(none.stderr.contains("`productforge reports generate` makes one"), "{none:?}");
    let name = run(&server, &workspace, &["reports", "generate"]).expect_code(0).stdout.trim().to_owned();
    let list = run(&server, &workspace, &["reports", "list"]).expect_code(0).stdout;
    assert!(list.starts_with("REPORT ") && list.contains(&name), "{list}");
    let shown = run(&server, &workspace, &["reports", "show", &name]).expect_code(0).stdout;
    assert!(shown.starts_with("# ProductForge weekly report"), "{shown}");
    run(&server, &workspace, &["reports", "show", "nothing.md"]).expect_code(1);

    let usage = run(&server, &workspace, &["usage", "--days", "1"]).expect_code(0).stdout;
    let row: Vec<_> = usage.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[1], row[2]), ("all", "2"), "{usage}");
    let by = run(&server, &workspace, &["usage", "--by", "agent"]).expect_code(0).stdout;
    assert!(by.contains("qa_bot") && by.contains("debugger_bot"), "{by}");
    let (_, body) = server.get("/usage?days=7").await;
    assert_eq!(json_of(run(&server, &workspace, &["usage", "--json"])), body);
    run(&server, &workspace, &["usage", "--days", "999"]).expect_code(2);
}
