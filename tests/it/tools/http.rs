//! MCP servers over streamable HTTP.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use productforge::config::{McpConfig, McpTransport, Secret};
use serde_json::json;

use super::*;
use crate::support::{logs, process::free_port};

/// The script as a server, until its test ends.
struct Http {
    child: Child,
    url: String,
}

impl Http {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .args([&[SCRIPT, "--http"], arguments].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }

    fn port(&self) -> &str {
        self.url.trim_end_matches("/mcp").rsplit(':').next().unwrap()
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server `web` at an address, with a token.
fn web(url: &str, token: &str) -> McpConfig {
    McpConfig {
        name: "web".to_owned(),
        transport: McpTransport::Http {
            url: url.to_owned(),
            headers: vec![("X-Token".to_owned(), Secret::new(token))],
        },
        ..stdio(&[])
    }
}

#[tokio::test]
async fn tools_are_listed_and_called_with_answers_as_json_and_as_events() {
    for mode in [&[][..], &["--sse"]] {
        let arguments = [&["--token", TOKEN], mode].concat();
        let server = Http::start(&arguments);
        let registry = registry(web(&server.url, TOKEN));
        let toolbox = toolbox(&registry, &["mcp:web"]).await;
        assert_eq!(toolbox.unavailable(), [], "{mode:?}");
        assert_eq!(toolbox.specs().len(), 15, "{mode:?}");
        assert_eq!(said(&toolbox, "web__echo", json!({"text": "grüße"})).await, "grüße");
        // The header has arrived, and does not come back.
        let told = said(&toolbox, "web__tell", json!({})).await;
        assert!(told.contains(r#""x-token": "***""#), "{told}");
        assert!(told.contains("mcp-protocol-version"), "{told}");
        assert_eq!(failure(&toolbox, "web__refuse", json!({})).await, "web__refuse failed: not with ***");
        assert!(failure(&toolbox, "web__fail", json!({})).await.contains("no luck"));
        let flood = said(&toolbox, "web__flood", json!({"chars": 100_000})).await;
        assert!(flood.ends_with("84000 more characters are not shown]"));
        registry.stop().await;
    }
}

#[tokio::test]
async fn a_slow_tool_is_given_up() {
    let server = Http::start(&[]);
    let registry = registry(impatient(web(&server.url, TOKEN)));
    let toolbox = toolbox(&registry, &["mcp:web"]).await;
    let why = failure(&toolbox, "web__slow", json!({})).await;
    assert!(why.contains("took longer than 0.3 s"), "{why}");
    assert_eq!(said_at_last(&toolbox, "web__echo", json!({"text": "there"})).await, "there");
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_the_reason() {
    let registry = registry(web(&format!("http://127.0.0.1:{}/mcp", free_port()), TOKEN));
    let toolbox = toolbox(&registry, &["mcp:web", "current_time"]).await;
    assert_eq!(names(&toolbox), ["current_time"]);
    let reason = &toolbox.unavailable()[0].reason;
    assert!(reason.contains("Connection refused"), "{reason}");
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_is_restarted_is_found_again() {
    let mut server = Http::start(&[]);
    let registry = registry(web(&server.url, TOKEN));
    let toolbox = toolbox(&registry, &["mcp:web"]).await;
    let first = said(&toolbox, "web__pid", json!({})).await;
    server.stop();
    let why = failure(&toolbox, "web__pid", json!({})).await;
    assert!(why.contains("was lost during the call") && why.contains("Connection refused"), "{why}");
    let why = failure(&toolbox, "web__pid", json!({})).await;
    assert!(why.contains("cannot be reached"), "{why}");
    let port = server.port().to_owned();
    let _server = Http::start(&["--port", &port]);
    assert_ne!(said_at_last(&toolbox, "web__pid", json!({})).await, first);
    registry.stop().await;
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_session_gets_a_new_one() {
    let mut server = Http::start(&[]);
    let registry = registry(web(&server.url, TOKEN));
    let toolbox = toolbox(&registry, &["mcp:web"]).await;
    assert_eq!(said(&toolbox, "web__echo", json!({"text": "a"})).await, "a");
    server.stop();
    let port = server.port().to_owned();
    let _server = Http::start(&["--port", &port]);
    assert_eq!(said(&toolbox, "web__echo", json!({"text": "b"})).await, "b");
    registry.stop().await;
}

#[tokio::test]
async fn secrets_stay_out_of_logs_and_errors() {
    logs::keep_all();
    let server = Http::start(&["--token", "another"]);
    let registry = registry(web(&format!("{}?key=in-the-query", server.url), TOKEN));
    let toolbox = toolbox(&registry, &["mcp:web"]).await;
    let reason = &toolbox.unavailable()[0].reason;
    assert!(reason.contains("401"), "{reason}");
    assert!(!reason.contains(TOKEN) && !reason.contains("in-the-query"), "{reason}");
    registry.stop().await;
    let logged = logs::all();
    assert!(logged.iter().any(|record| record.text.contains("MCP server cannot be reached")), "{logged:?}");
    for record in logged.iter().filter(|record| record.target.starts_with("productforge")) {
        assert!(!record.text.contains(TOKEN) && !record.text.contains("in-the-query"), "{record:?}");
    }
}

#[tokio::test]
async fn headers_that_are_none_are_refused_without_their_value() {
    for (name, value, reason) in [
        ("no header", "tok-1234", "is no name of a header"),
        ("X-Token", "tok-1234\n", "the value of X-Token does not fit"),
        ("Accept", "tok-1234", "eserved"),
    ] {
        let config = McpConfig {
            transport: McpTransport::Http {
                url: "http://127.0.0.1:9/mcp".to_owned(),
                headers: vec![(name.to_owned(), Secret::new(value))],
            },
            ..web("", "")
        };
        let registry = registry(config);
        let toolbox = toolbox(&registry, &["mcp:web"]).await;
        let said = &toolbox.unavailable()[0].reason;
        assert!(said.contains(reason) && !said.contains("tok-1234"), "{said}");
    }
}
