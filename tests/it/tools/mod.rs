//! Tools with real parts: MCP servers over stdio and HTTP, and what a toolbox makes of them.

mod http;
mod stdio;
mod toolboxes;

use std::{path::Path, sync::Arc, time::Duration};

use productforge::{
    clock::SystemClock,
    config::{McpConfig, McpTransport, Secret},
    model::{ToolCall, ToolOutput},
    tools::{Patience, Registry, Toolbox},
};
use serde_json::Value;

use crate::support::wait::until;

/// What no log and no text may ever hold.
const TOKEN: &str = "tok-5ecret-0f-the-server";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tools/mcp_server.py");

/// The server `py` as a child process.
fn stdio(arguments: &[&str]) -> McpConfig {
    let args = [&[SCRIPT], arguments].concat().into_iter().map(str::to_owned).collect();
    McpConfig {
        name: "py".to_owned(),
        transport: McpTransport::Stdio {
            command: "python3".to_owned(),
            args,
            env: vec![("TOKEN".to_owned(), Secret::new(TOKEN))],
        },
        tools: None,
        timeout: Duration::from_secs(20),
    }
}

/// The same with less patience.
fn impatient(config: McpConfig) -> McpConfig {
    McpConfig { timeout: Duration::from_millis(300), ..config }
}

/// A machine that has much else to do is no server that hangs.
const PATIENCE: Patience = Patience { start: Duration::from_secs(60), ping: Duration::from_secs(60) };

fn registry(config: McpConfig) -> Registry {
    patient_registry(config, PATIENCE)
}

fn patient_registry(config: McpConfig, patience: Patience) -> Registry {
    Registry::with_patience(Arc::new(SystemClock), vec![config], patience)
}

async fn toolbox(registry: &Registry, names: &[&str]) -> Toolbox {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    registry.toolbox(&names).await.unwrap()
}

fn names(toolbox: &Toolbox) -> Vec<String> {
    toolbox.specs().into_iter().map(|spec| spec.name).collect()
}

/// Calls a tool as a model would; whatever it says, the token is not in it.
async fn call(toolbox: &Toolbox, name: &str, arguments: Value) -> ToolOutput {
    let call = ToolCall { id: "call-1".to_owned(), name: name.to_owned(), arguments: arguments.to_string() };
    let output = toolbox.run(&call).await;
    assert!(!output.content.contains(TOKEN), "{output:?}");
    output
}

/// Calls a tool that has to succeed.
async fn said(toolbox: &Toolbox, name: &str, arguments: Value) -> String {
    let output = call(toolbox, name, arguments).await;
    assert!(!output.failed, "{output:?}");
    output.content
}

/// Calls a tool until it succeeds, of a server that needs time for that.
async fn said_at_last(toolbox: &Toolbox, name: &str, arguments: Value) -> String {
    until(&format!("{name} succeeds"), || async {
        let output = call(toolbox, name, arguments.clone()).await;
        (!output.failed).then_some(output.content)
    })
    .await
}

/// Calls a tool that has to fail.
async fn failure(toolbox: &Toolbox, name: &str, arguments: Value) -> String {
    let output = call(toolbox, name, arguments).await;
    assert!(output.failed, "{output:?}");
    output.content
}

/// Whether a process has ended; one that nobody has asked for its end yet counts.
fn has_ended(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    // Its name in parentheses may have anything in it, the state stands behind.
    stat.map_or(true, |stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

async fn ended(pid: &str) {
    until(&format!("the end of process {pid}"), || std::future::ready(has_ended(pid).then_some(()))).await;
}

/// `kill -9`, and it is dead.
async fn kill(pid: &str) {
    assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    ended(pid).await;
}
