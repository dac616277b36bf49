//! MCP servers that are child processes.

use std::time::Duration;

use productforge::config::{McpConfig, McpTransport};
use serde_json::json;

use super::*;
use crate::support::{logs, process::folder};

#[tokio::test]
async fn tools_are_listed_over_all_pages_and_called() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    assert_eq!(toolbox.unavailable(), []);
    let specs = toolbox.specs();
    assert_eq!(specs.len(), 15, "{specs:?}");
    let echo = specs.iter().find(|spec| spec.name == "py__echo").unwrap();
    assert_eq!(echo.description, "Says it again.");
    assert_eq!(echo.parameters["required"], json!(["text"]));

    assert_eq!(said(&toolbox, "py__echo", json!({"text": "grüße\n\"x\""})).await, "grüße\n\"x\"");
    assert_eq!(
        said(&toolbox, "py__picture", json!({})).await,
        "[image, image/png, 6 bytes: not shown]\na picture"
    );
    // One that has lines of another kind between its messages.
    assert_eq!(said(&toolbox, "py__noise", json!({})).await, "quiet again");
    let odd = specs.iter().find(|spec| spec.name.starts_with("py__odd_name_of_tool_")).unwrap();
    assert_eq!(said(&toolbox, &odd.name, json!({})).await, "this is odd.name/of:tool");
    assert_eq!(toolbox.origin(&odd.name).as_deref(), Some("mcp:py/odd.name/of:tool"));

    // Wrong arguments do not get as far as the server.
    let why = failure(&toolbox, "py__echo", json!({})).await;
    assert!(why.contains("\"text\" is a required property"), "{why}");
    registry.stop().await;
}

#[tokio::test]
async fn failures_of_tools_are_texts() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    assert_eq!(failure(&toolbox, "py__fail", json!({})).await, "py__fail failed: no luck with ***");
    assert_eq!(failure(&toolbox, "py__refuse", json!({})).await, "py__refuse failed: not with ***");
    let flood = said(&toolbox, "py__flood", json!({"chars": 100_000})).await;
    assert!(flood.ends_with("[… cut here, 84000 more characters are not shown]"));
    registry.stop().await;
}

#[tokio::test]
async fn only_tools_on_the_list_can_be_had() {
    let allowed = Some(vec!["echo".to_owned(), "pid".to_owned()]);
    let registry = registry(McpConfig { tools: allowed, ..stdio(&[]) });
    assert_eq!(names(&toolbox(&registry, &["mcp:py"]).await), ["py__echo", "py__pid"]);
    assert_eq!(names(&toolbox(&registry, &["mcp:py/pid"]).await), ["py__pid"]);
    let error = registry.toolbox(&["mcp:py/die".to_owned()]).await.err().unwrap();
    assert_eq!(error.names, ["mcp:py/die"]);
    registry.stop().await;
}

#[tokio::test]
async fn a_tool_that_the_server_does_not_have_is_named() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py/echo", "mcp:py/wings"]).await;
    assert_eq!(names(&toolbox), ["py__echo"]);
    assert_eq!(toolbox.unavailable()[0].name, "mcp:py/wings");
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_was_killed_is_started_again_by_the_next_call() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    for _ in 0..3 {
        let first = said(&toolbox, "py__pid", json!({})).await;
        assert_eq!(said(&toolbox, "py__pid", json!({})).await, first, "the connection is kept");
        kill(&first).await;
        assert_ne!(said(&toolbox, "py__pid", json!({})).await, first);
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_dies_during_a_call_fails_that_call_alone() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let why = failure(&toolbox, "py__die", json!({})).await;
    assert!(why.contains("was lost during the call"), "{why}");
    assert_eq!(said(&toolbox, "py__echo", json!({"text": "back"})).await, "back");
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_dies_every_time_is_left_alone_for_a_while() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let why = failure(&toolbox, "py__die", json!({})).await;
    assert!(why.contains("was lost"), "{why}");
    let why = failure(&toolbox, "py__die", json!({})).await;
    assert!(why.contains("was lost"), "{why}");
    // The second loss without anything in between.
    let why = failure(&toolbox, "py__echo", json!({"text": "there?"})).await;
    assert!(why.contains("it ended with exit status: 3; it is tried again in 1 s"), "{why}");
    // The tools stay those that it had.
    assert_eq!(names(&super::toolbox(&registry, &["mcp:py/echo"]).await), ["py__echo"]);
    assert_eq!(said_at_last(&toolbox, "py__echo", json!({"text": "back"})).await, "back");
    registry.stop().await;
}

#[tokio::test]
async fn a_slow_tool_is_given_up_and_the_server_goes_on() {
    let registry = registry(impatient(stdio(&[])));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let pid = said_at_last(&toolbox, "py__pid", json!({})).await;
    let why = failure(&toolbox, "py__slow", json!({})).await;
    assert_eq!(why, "py__slow failed: it was stopped because it took longer than 0.3 s");
    // It lives, as it says when it is asked.
    assert_eq!(said_at_last(&toolbox, "py__pid", json!({})).await, pid);
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_replaced() {
    let patience = Patience { ping: Duration::from_millis(300), ..PATIENCE };
    let registry = patient_registry(impatient(stdio(&[])), patience);
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let pid = said_at_last(&toolbox, "py__pid", json!({})).await;
    let why = failure(&toolbox, "py__stuck", json!({})).await;
    assert!(why.contains("took longer"), "{why}");
    assert_ne!(said_at_last(&toolbox, "py__pid", json!({})).await, pid);
    ended(&pid).await;
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_start_is_named_with_the_reason() {
    let missing = McpConfig {
        transport: McpTransport::Stdio {
            command: "/nowhere/server".to_owned(),
            args: Vec::new(),
            env: Vec::new(),
        },
        ..stdio(&[])
    };
    for (config, reason) in [
        (missing, "/nowhere/server cannot be started: No such file"),
        (stdio(&["--dead"]), "it ended with exit status: 7, it said: cannot start with ***"),
    ] {
        let registry = registry(config);
        let toolbox = toolbox(&registry, &["calculator", "mcp:py"]).await;
        assert_eq!(names(&toolbox), ["calculator"], "the others are there");
        assert_eq!(toolbox.unavailable().len(), 1);
        let unavailable = &toolbox.unavailable()[0];
        assert_eq!(unavailable.name, "mcp:py");
        assert!(unavailable.reason.contains(reason), "{unavailable:?}");
        assert!(!unavailable.reason.contains(TOKEN));
        let why = failure(&toolbox, "py__echo", json!({"text": "there?"})).await;
        assert!(why.contains("mcp:py cannot be had at this time"), "{why}");
        registry.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let patience = Patience { start: Duration::from_millis(300), ..PATIENCE };
    let registry = patient_registry(stdio(&["--deaf"]), patience);
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let reason = &toolbox.unavailable()[0].reason;
    assert!(reason.contains("it did not come up within"), "{reason}");
    registry.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_does_not_come_up() {
    let folder = folder();
    let pids = folder.path().join("pids");
    let registry = registry(stdio(&["--deaf", "--pid-file", pids.to_str().unwrap()]));
    let asking = toolbox(&registry, &["mcp:py"]);
    let stopping = async {
        let pid = until("the server has started", || async {
            std::fs::read_to_string(&pids).ok().filter(|pids| pids.ends_with('\n'))
        });
        let pid = pid.await.trim().to_owned();
        registry.stop().await;
        pid
    };
    let (toolbox, pid) = tokio::join!(asking, stopping);
    assert!(toolbox.unavailable()[0].reason.contains("being stopped"), "{:?}", toolbox.unavailable());
    ended(&pid).await;
    let after = super::toolbox(&registry, &["mcp:py"]).await;
    assert!(after.unavailable()[0].reason.contains("being stopped"), "{:?}", after.unavailable());
}

#[tokio::test]
async fn stopping_leaves_no_process_behind() {
    for arguments in [&[][..], &["--stubborn"]] {
        let registry = registry(stdio(arguments));
        let toolbox = toolbox(&registry, &["mcp:py"]).await;
        let pid = said(&toolbox, "py__pid", json!({})).await;
        let offspring = said(&toolbox, "py__offspring", json!({})).await;
        assert!(!has_ended(&pid) && !has_ended(&offspring));
        registry.stop().await;
        assert!(has_ended(&pid), "{arguments:?}");
        ended(&offspring).await;
        let why = failure(&toolbox, "py__pid", json!({})).await;
        assert!(why.contains("is being stopped"), "{why}");
    }
}

#[tokio::test]
async fn a_registry_that_is_dropped_ends_its_servers() {
    let registry = registry(stdio(&["--stubborn"]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let pid = said(&toolbox, "py__pid", json!({})).await;
    let offspring = said(&toolbox, "py__offspring", json!({})).await;
    drop((registry, toolbox));
    ended(&pid).await;
    ended(&offspring).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_does_no_harm() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let pid = said(&toolbox, "py__pid", json!({})).await;
    let slow = call(&toolbox, "py__slow", json!({}));
    assert!(tokio::time::timeout(Duration::from_millis(50), slow).await.is_err());
    assert_eq!(said(&toolbox, "py__pid", json!({})).await, pid);
    registry.stop().await;
}

#[tokio::test]
async fn tools_that_come_later_are_found() {
    let registry = registry(stdio(&[]));
    let before = toolbox(&registry, &["mcp:py"]).await;
    assert_eq!(said(&before, "py__grow", json!({})).await, "done");
    let after = until("the new tool is listed", || async {
        let now = toolbox(&registry, &["mcp:py"]).await;
        names(&now).contains(&"py__grown".to_owned()).then_some(now)
    });
    assert_eq!(said(&after.await, "py__grown", json!({})).await, "this is grown");
    registry.stop().await;
}

#[tokio::test]
async fn a_server_gets_little_of_our_environment() {
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    let environment = said(&toolbox, "py__environment", json!({})).await;
    let has = |name: &str| environment.split(' ').any(|known| known == name);
    assert!(has("TOKEN") && has("PATH"), "{environment}");
    // Cargo sets this one for every test.
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok() && !has("CARGO_MANIFEST_DIR"), "{environment}");
    registry.stop().await;
}

#[tokio::test]
async fn secrets_stay_out_of_logs() {
    logs::keep_all();
    let registry = registry(stdio(&[]));
    let toolbox = toolbox(&registry, &["mcp:py"]).await;
    assert!(said(&toolbox, "py__tell", json!({})).await.starts_with("*** "));
    said(&toolbox, "py__noise", json!({})).await;
    failure(&toolbox, "py__refuse", json!({})).await;
    failure(&toolbox, "py__die", json!({})).await;
    let line = until("what the server writes to standard error is in the log", || async {
        logs::all().into_iter().find(|record| record.text.contains("MCP server says"))
    });
    let line = line.await;
    assert_eq!(line.level, log::Level::Debug);
    assert_eq!(line.text, "MCP server says: [31mred *** noise");
    registry.stop().await;
    // What the crate of the protocol logs is switched off; at this level it would repeat everything.
    for record in logs::all().iter().filter(|record| record.target.starts_with("productforge")) {
        assert!(!record.text.contains(TOKEN) && !record.text.contains('\u{1b}'), "{record:?}");
    }
}
