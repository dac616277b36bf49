//! `run --server`: a brief that a running server works on, watched from the command line.

use serde_json::Value;

use crate::{
    support::{
        command::Workspace,
        process::{Process, Server, free_port},
        wait::until,
    },
    surface::uploads::shop,
};

use super::canned::{Canned, answer};

const KEY: (&str, &str) = ("API_KEY", "a-key-of-the-cli-tests");

async fn server(workspace: &Workspace, latency: &str, keyed: bool) -> Server {
    let env = [("SIMULATED_LATENCY_MS", latency), KEY];
    Server::start(workspace.path(), &["--workers", "2"], if keyed { &env } else { &env[..1] }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_on_stdout_and_the_progress_on_stderr_with_a_key_and_without() {
    for keyed in [false, true] {
        let workspace = Workspace::new();
        let server = server(&workspace, "0", keyed).await;
        let args = ["run", "Fix the login bug", "--server", &server.url, "--watch"];
        let ended = workspace.run(&args, if keyed { &[KEY] } else { &[] }).expect_code(0);
        assert!(ended.stdout.contains("Fix the login bug"), "{ended:?}");
        assert!(ended.stderr.contains("The server has no model: answers are simulated."), "{ended:?}");
        for step in ["admin_analysis", "specialist_execution", "qa_validation", "admin_feedback"] {
            assert!(ended.stderr.contains(&format!("{step} (")), "{step} is not in {ended:?}");
        }
        if keyed {
            let refused = workspace.run(&args, &[]).expect_code(2);
            assert!(refused.stderr.contains("the server wants a key"), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flags_of_a_run_here_mean_the_same_there_and_an_archive_comes_along() {
    let workspace = Workspace::new();
    let server = server(&workspace, "0", false).await;
    std::fs::write(workspace.path().join("shop.zip"), shop()).unwrap();
    let args = [
        "run",
        "Compare two queues",
        "--json",
        "--no-qa",
        "--agent",
        "analyzer_bot",
        "--server",
        &server.url,
        "--upload",
        "shop.zip",
    ];
    let answer: Value = serde_json::from_str(&workspace.run(&args, &[]).expect_code(0).stdout).unwrap();
    let workflow = &answer["workflow"];
    assert_eq!((&workflow["status"], &workflow["simulated"]), (&"completed".into(), &true.into()));
    let agents: Vec<_> = workflow["steps"].as_array().unwrap().iter().map(|s| s["agent"].clone()).collect();
    assert_eq!(agents, ["general_assistant", "analyzer_bot"], "two steps without QA");
    assert!(answer["report"].as_str().unwrap().contains("Compare two queues"));
    let (_, uploads) = server.get("/upload/list").await;
    assert_eq!(workflow["upload_id"], uploads["uploads"][0]["upload_id"]);

    let bad = |args: &[&str]| workspace.run(&[&["run"], args].concat(), &[]).expect_code(2).stderr;
    assert!(bad(&["x", "--server", &server.url, "--agent", "nobody"]).contains("No agent 'nobody'"));
    assert!(bad(&["x", "--server", &server.url, "--workers", "2"]).contains("cannot be used with"));
    assert!(
        bad(&["x", "--server", &server.url, "--config", "f.toml"]).contains("--config is for a run here")
    );
    assert!(bad(&["x", "--detach"]).contains("--server"), "it is a flag of a run elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_detaches_or_cancels_and_says_how_to_come_back() {
    let workspace = Workspace::new();
    let server = server(&workspace, "600000", false).await;
    let mut run = workspace.start(&["run", "Take your time", "--server", &server.url], &[]);
    let id = run.line_with(" at http").split(' ').next().unwrap().to_owned();
    run.line_with("admin_analysis (general_assistant): working");
    run.signal("INT");
    let said = run.ends_with_code(130);
    let again = format!("productforge workflows watch {id} --server {}", server.url);
    assert!(said.contains("The server goes on with it.") && said.contains(&again), "{said}");
    assert_eq!(server.get(&format!("/workflows/{id}")).await.1["workflow"]["status"], "running");

    let args = ["run", "Never mind", "--server", &server.url, "--cancel-on-interrupt"];
    let mut run = workspace.start(&args, &[]);
    let id = run.line_with(" at http").split(' ').next().unwrap().to_owned();
    run.line_with("admin_analysis (");
    run.signal("INT");
    assert!(run.ends_with_code(130).contains(&format!("Cancelled {id}.")));
    assert_eq!(server.get(&format!("/workflows/{id}")).await.1["workflow"]["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_the_terminal_is_asked_and_elsewhere_the_commands_are_said() {
    let workspace = Workspace::new();
    let server = server(&workspace, "0", false).await;
    let command = format!(
        "'{}' run 'Say hello' --approval --server {}",
        env!("CARGO_BIN_EXE_productforge"),
        server.url
    );
    let (shown, code) = workspace.on_a_terminal(&command, &[("TERM", "xterm")], &[("[l]ater?", "a\n")]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("waits for somebody to approve it") && shown.contains("Say hello"), "{shown}");
    let (shown, code) = workspace.on_a_terminal(
        &command,
        &[("TERM", "xterm")],
        &[("[l]ater?", "r\n"), ("Why?", "no good\n")],
    );
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("no good"), "{shown}");

    let mut run = workspace.start(&["run", "Say hello", "--approval", "--server", &server.url], &[]);
    let line = run.line_with("productforge workflows approve");
    let id = line.split_whitespace().nth(3).unwrap().to_owned();
    assert!(line.ends_with(&format!("--server {}", server.url)), "{line}");
    workspace.run(&["workflows", "approve", &id, "--server", &server.url], &[]).expect_code(0);
    assert!(run.ends_with_code(0).contains("Say hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn detached_it_prints_the_id_and_a_restart_of_the_server_is_survived() {
    let workspace = Workspace::new();
    let port = free_port().to_string();
    let serve = || {
        let args = ["serve", "--port", port.as_str(), "--workers", "2"];
        Server::of(Process::start(workspace.path(), &args, &[("SIMULATED_LATENCY_MS", "400")]))
    };
    let mut first = serve().await;
    let url = first.url.clone();
    let id = workspace.run(&["run", "Plan a move", "--server", &url, "--detach"], &[]).expect_code(0).stdout;
    let path = format!("/workflows/{}", id.trim());
    assert_eq!(first.get(&path).await.0, 200, "{id}");
    let mut run = workspace.start(&["run", "Plan a move", "--server", &url], &[]);
    run.line_with("admin_analysis (general_assistant): working");
    first.process.kill();
    let second = serve().await;
    assert!(run.ends_with_code(0).contains("Plan a move"));
    until("the detached one has ended", || second.ended(id.trim())).await;
}

#[test]
fn a_brief_that_may_have_arrived_is_sent_again_under_the_same_key() {
    let busy = answer("503 Service Unavailable", "Retry-After: 1\r\n", "{\"detail\":\"Not now\"}");
    let receipt = answer("200 OK", "", "{\"workflow_id\":\"w-1\",\"steps\":[]}");
    let server = Canned::start(&[&busy, &receipt]);
    let ended = Workspace::new().run(&["run", "x", "--server", &server.url, "--detach"], &[]).expect_code(0);
    assert_eq!(ended.stdout, "w-1\n");
    let keys: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            request.lines().find(|line| line.starts_with("idempotency-key: run-")).unwrap().to_owned()
        })
        .collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}
