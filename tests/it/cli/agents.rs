//! `agents`: the agents of a running server from the command line.

use std::{io::Write, process::Stdio};

use serde_json::Value;

use crate::support::{
    command::{Ended, Workspace},
    process::Server,
};

async fn server() -> (Server, Workspace) {
    let workspace = Workspace::new();
    let server = Server::start(workspace.path(), &["--workers", "0"], &[]).await;
    (server, workspace)
}

fn run(server: &Server, workspace: &Workspace, args: &[&str]) -> Ended {
    workspace.run(&[&["agents"], args].concat(), &[("PRODUCTFORGE_SERVER", &server.url)])
}

fn show(server: &Server, workspace: &Workspace, name: &str) -> Value {
    serde_json::from_str(&run(server, workspace, &["show", name, "--json"]).expect_code(0).stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_listed_made_shown_and_deleted() {
    let (server, workspace) = server().await;
    let list = run(&server, &workspace, &["list"]).expect_code(0).stdout;
    assert!(list.starts_with("AGENT ") && list.lines().count() == 5 && list.contains("qa_bot"), "{list}");
    std::fs::write(workspace.path().join("prompt.md"), "You design.\nWell.").unwrap();
    let args = [
        "create",
        "api designer",
        "--role",
        "Design",
        "--skill",
        "openapi",
        "--skill",
        "http",
        "--tool",
        "calculator",
        "--prompt",
        "@prompt.md",
        "--max-concurrency",
        "2",
        "--usd-per-day",
        "1.5",
    ];
    let made = run(&server, &workspace, &args).expect_code(0);
    assert_eq!((made.stdout.as_str(), made.stderr.as_str()), ("api designer  registered\n", ""));
    let odd = [
        "create",
        "foo",
        "--role",
        "R",
        "--tool",
        "nosuch",
        "--tool",
        "mcp:files",
        "--tool",
        "earlier_results",
    ];
    let odd = run(&server, &workspace, &odd).expect_code(0);
    assert!(odd.stderr.starts_with("'nosuch' is no built-in tool (calculator, current_time, "), "{odd:?}");
    assert_eq!(odd.stderr.lines().count(), 1, "{odd:?}");
    let agent = show(&server, &workspace, "api designer");
    assert_eq!(agent["skills"], serde_json::json!(["openapi", "http"]));
    assert_eq!(
        (&agent["prompt"], &agent["budget"]["usd_per_day"]),
        (&"You design.\nWell.".into(), &1.5.into())
    );
    let told = run(&server, &workspace, &["show", "api designer"]).expect_code(0).stdout;
    assert!(
        told.contains("skills     openapi, http\n") && told.contains("tools      calculator\n"),
        "{told}"
    );
    let gone = run(&server, &workspace, &["delete", "api designer"]).expect_code(0);
    assert_eq!(gone.stdout, "api designer  deleted\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_comes_from_a_file_and_flags_win_over_it() {
    let (server, workspace) = server().await;
    let write = |name: &str, text: &str| std::fs::write(workspace.path().join(name), text).unwrap();
    write("agent.toml", "name = 'auditor'\nrole = 'QA'\nskills = ['law']\n[budget]\ntokens_per_day = 1000\n");
    run(&server, &workspace, &["create", "--file", "agent.toml", "--role", "Audit"]).expect_code(0);
    let agent = show(&server, &workspace, "auditor");
    assert_eq!((&agent["role"], &agent["budget"]["tokens_per_day"]), (&"Audit".into(), &1000.into()));

    // What `show --json` says makes an agent again, under another name.
    let mut command =
        workspace.command(&["agents", "create", "second", "--file", "-", "--server", &server.url]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(agent.to_string().as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    let second = show(&server, &workspace, "second");
    assert_eq!((&second["skills"], &second["role"]), (&agent["skills"], &agent["role"]));

    write("broken.json", "{");
    let broken = run(&server, &workspace, &["create", "--file", "broken.json"]).expect_code(2);
    assert!(broken.stderr.contains("broken.json holds no agent: EOF"), "{broken:?}");
    run(&server, &workspace, &["create", "--role", "QA"]).expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_by_field_and_a_wrong_name_is_met_with_the_nearest() {
    let (server, workspace) = server().await;
    let wrong = run(&server, &workspace, &["create", "a/b", "--role", "x", "--max-concurrency", "2000"]);
    let wrong = wrong.expect_code(2);
    assert!(wrong.stderr.contains("max_concurrency: Input should be"), "{wrong:?}");
    for verb in ["show", "delete"] {
        let unknown = run(&server, &workspace, &[verb, "qa-bot"]).expect_code(1);
        assert!(unknown.stderr.contains("Agent 'qa-bot' not found\nDid you mean 'qa_bot'?"), "{unknown:?}");
        let far = run(&server, &workspace, &[verb, "admin_bot"]).expect_code(1);
        assert_eq!(far.stderr, "error: Agent 'admin_bot' not found\n");
    }
}
