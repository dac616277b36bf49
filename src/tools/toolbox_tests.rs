//! What a toolbox makes of good and bad calls, and of good and bad tools.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::*;

/// A tool that does as it is told.
struct Actor(ToolSpec);

impl Actor {
    fn arc(name: &str) -> Arc<dyn Tool> {
        let parameters = json!({
            "type": "object",
            "properties": {"play": {"type": "string"}, "times": {"type": "integer"}},
            "required": ["play"],
            "additionalProperties": false,
        });
        Arc::new(Self(ToolSpec { name: name.to_owned(), description: "Plays.".to_owned(), parameters }))
    }
}

#[async_trait]
impl Tool for Actor {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    fn time_limit(&self) -> Duration {
        Duration::from_millis(20)
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        match arguments["play"].as_str().unwrap() {
            "fail" => Err(ToolError::Failed("no luck".to_owned())),
            "panic" => panic!("a fault"),
            "hang" => std::future::pending().await,
            "flood" => Ok("é".repeat(MAX_OUTPUT_CHARS + 7)),
            line => Ok(line.repeat(usize::try_from(arguments["times"].as_u64().unwrap_or(1)).unwrap())),
        }
    }
}

async fn play(arguments: &str) -> ToolOutput {
    let toolbox = Toolbox::default().with(Actor::arc("actor"));
    toolbox.run(&call("actor", arguments)).await
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: "call-1".to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

#[tokio::test]
async fn a_call_is_answered_under_its_id() {
    let output = play(r#"{"play": "ha", "times": 3}"#).await;
    assert_eq!((output.tool_call_id.as_str(), output.name.as_str()), ("call-1", "actor"));
    assert_eq!((output.content.as_str(), output.failed), ("hahaha", false));
    // A string in a string.
    assert_eq!(play(r#""{\"play\": \"ha\"}""#).await.content, "ha");
}

#[tokio::test]
async fn arguments_have_to_fit() {
    for (arguments, reason) in [
        ("", "\"play\" is a required property"),
        ("{", "no valid JSON"),
        ("[1]", "must be a JSON object"),
        (r#"{"play": 1}"#, "at /play: value is not of type \"string\""),
        (r#"{"play": "a", "times": "many"}"#, "at /times"),
        (r#"{"play": "a", "loud": true}"#, "'loud' was unexpected"),
    ] {
        let output = play(arguments).await;
        assert!(output.failed, "{arguments}");
        assert!(output.content.contains(reason), "{arguments}: '{reason}' is not in '{}'", output.content);
        assert!(output.content.starts_with("actor failed: "), "{}", output.content);
    }
}

#[tokio::test]
async fn whatever_a_tool_does_there_is_an_answer() {
    for (line, expected) in [
        ("fail", "actor failed: no luck"),
        ("panic", "actor failed: it ended with an internal error"),
        ("hang", "actor failed: it was stopped because it took longer than 0.02 s"),
    ] {
        let output = play(&json!({"play": line}).to_string()).await;
        assert_eq!((output.content.as_str(), output.failed), (expected, true));
    }
    let output = play(r#"{"play": "flood"}"#).await;
    assert!(!output.failed);
    assert!(
        output.content.ends_with("é\n[… cut here, 7 more characters are not shown]"),
        "{}",
        output.content
    );
    assert!(output.content.chars().count() < MAX_OUTPUT_CHARS + 100);
}

#[tokio::test]
async fn an_unknown_tool_is_named_with_those_that_exist() {
    let toolbox = Toolbox::default().with(Actor::arc("one")).with(Actor::arc("two"));
    let output = toolbox.run(&call("three", "{}")).await;
    assert!(output.failed);
    assert_eq!(output.content, "three failed: there is no such tool; there are one, two");
    let empty = Toolbox::default();
    assert!(empty.is_empty());
    assert!(empty.run(&call("one", "{}")).await.content.contains("and no other"));
    let away = Unavailable { name: "mcp:files".to_owned(), reason: "it is away".to_owned() };
    let output = toolbox.without(away.clone()).run(&call("files__read", "{}")).await;
    assert!(
        output.content.ends_with("mcp:files cannot be had at this time: it is away"),
        "{}",
        output.content
    );
}

#[tokio::test]
async fn a_schema_that_is_none_stops_nobody() {
    struct Odd(ToolSpec);
    #[async_trait]
    impl Tool for Odd {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        async fn run(&self, _: &Value) -> Result<String, ToolError> {
            Ok("done".to_owned())
        }
    }
    for parameters in [
        json!({"type": "no such type"}),
        json!({"$ref": "http://127.0.0.1:1/schema.json"}),
        json!({"properties": {"a": {"pattern": "(?=x)y"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
        json!({}),
    ] {
        let spec = ToolSpec { name: "odd".to_owned(), description: String::new(), parameters };
        let toolbox = Toolbox::default().with(Arc::new(Odd(spec.clone())));
        let output = toolbox.run(&call("odd", r#"{"a": "b"}"#)).await;
        assert_eq!(output.content, "done", "{spec:?}");
    }
}

#[test]
fn the_later_tool_of_a_name_stands() {
    let toolbox = Toolbox::default().with(Actor::arc("one")).with(Actor::arc("two")).with(Actor::arc("one"));
    let names: Vec<String> = toolbox.specs().into_iter().map(|spec| spec.name).collect();
    assert_eq!(names, ["two", "one"]);
}
