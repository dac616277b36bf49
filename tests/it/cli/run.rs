//! `run "brief"`: one workflow from the command line.

use std::{io::Write, process::Stdio};

use crate::support::command::Workspace;

#[test]
fn the_report_is_on_stdout_and_the_progress_on_stderr() {
    let ended = Workspace::new().run(&["run", "Fix the login bug"], &[]).expect_code(0);
    assert!(ended.stdout.contains("Fix the login bug"), "{ended:?}");
    assert!(ended.stdout.contains("Simulated by ProductForge"), "a simulated report says so: {ended:?}");
    assert!(ended.stderr.contains("No model is configured: answers are simulated"), "{ended:?}");
    for step in ["admin_analysis", "specialist_execution", "qa_validation", "admin_feedback"] {
        assert!(ended.stderr.contains(&format!("{step} (")), "{step} is not in {ended:?}");
    }
    assert!(ended.stderr.contains(": done in "), "{ended:?}");
}

#[test]
fn as_json_it_is_one_object_and_nothing_else() {
    let args = ["run", "Compare two queues", "--json", "--no-qa", "--agent", "analyzer_bot"];
    let answer: serde_json::Value =
        serde_json::from_str(&Workspace::new().run(&args, &[]).expect_code(0).stdout).unwrap();
    let workflow = &answer["workflow"];
    assert_eq!(workflow["status"], "completed");
    assert_eq!(workflow["simulated"], true);
    let agents: Vec<_> = workflow["steps"].as_array().unwrap().iter().map(|s| s["agent"].clone()).collect();
    assert_eq!(agents, ["general_assistant", "analyzer_bot"], "two steps without QA");
    assert!(answer["report"].as_str().unwrap().contains("Compare two queues"));
}

#[test]
fn a_brief_can_come_from_standard_input() {
    let workspace = Workspace::new();
    let mut command = workspace.command(&["run", "-", "--no-qa"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("A brief that was piped".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("A brief that was piped"));
}

#[test]
fn a_bad_request_exits_with_2_and_says_why() {
    let workspace = Workspace::new();
    assert!(workspace.run(&["run", "  "], &[]).expect_code(2).stderr.contains("the text is empty"));
    let nobody = workspace.run(&["run", "x", "--agent", "nobody"], &[]).expect_code(2);
    assert!(nobody.stderr.contains("No agent 'nobody'"), "{nobody:?}");
    workspace.run(&["run", "x", "--max-revisions", "99"], &[]).expect_code(2);
}

#[test]
fn interrupted_it_says_where_to_find_the_work() {
    let workspace = Workspace::new();
    let mut run = workspace.start(&["run", "Take your time"], &[("SIMULATED_LATENCY_MS", "600000")]);
    run.line_with("admin_analysis (general_assistant): working");
    run.signal("INT");
    let ended = run.wait().expect_code(130);
    assert!(ended.stderr.contains("Nothing is lost: `productforge serve` goes on with it"), "{ended:?}");
    assert_eq!(ended.stdout, "", "no report, nothing on stdout");
}

#[test]
fn a_workspace_in_use_is_refused_with_what_to_do() {
    let workspace = Workspace::new();
    let mut first = workspace.start(&["run", "Take your time"], &[("SIMULATED_LATENCY_MS", "600000")]);
    first.line_with("admin_analysis (general_assistant): working");
    let second = workspace.run(&["run", "Me too"], &[]).expect_code(1);
    assert!(second.stderr.contains("is using this workspace"), "{second:?}");
    assert!(second.stderr.contains("WORKSPACE_DIR=elsewhere"), "{second:?}");
}

#[test]
fn a_model_that_refuses_makes_the_run_fail() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = format!("http://{nobody}/v1");
    let env = [("OPENAI_BASE_URL", base.as_str()), ("JOB_MAX_ATTEMPTS", "1"), ("RETRY_BASE_SECONDS", "0")];
    let ended = Workspace::new().run(&["run", "x"], &env).expect_code(1);
    assert!(ended.stderr.contains("error: the workflow failed: "), "{ended:?}");
    assert!(ended.stderr.contains("admin_analysis (general_assistant): failed"), "{ended:?}");
}
