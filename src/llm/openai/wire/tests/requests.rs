//! What is sent.

use serde_json::{Value, json};

use super::{USUAL, question};
use crate::{
    config::ApiStyle::{Chat, Responses},
    llm::{
        OutputSchema,
        openai::{
            manners::{LimitField, Manners, Rung},
            wire::{Question, body},
        },
    },
    model::{ChatMessage, ToolCall, ToolOutput, ToolSpec},
};

fn conversation() -> Vec<ChatMessage> {
    let call = |id: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: "calc".to_owned(),
        arguments: arguments.to_owned(),
    };
    let output = ToolOutput {
        tool_call_id: "c1".to_owned(),
        name: "calc".to_owned(),
        content: "2".to_owned(),
        failed: false,
        duration_ms: 1,
    };
    vec![
        ChatMessage::system("Be short."),
        ChatMessage::user("1 + 1?"),
        ChatMessage::assistant("", vec![call("c1", "{\"x\":1}"), call("c2", "")]),
        ChatMessage::tool(&output),
        ChatMessage::assistant("Two.", vec![]),
        ChatMessage::user("Thanks."),
    ]
}

#[test]
fn the_body_has_what_was_asked_for_and_no_more() {
    let messages = [ChatMessage::system("be short"), ChatMessage::user("hi")];
    let body = |max_tokens, limit| {
        body(Chat, &Question { max_tokens, ..question(&messages) }, &Manners { limit, ..USUAL })
    };
    let plain = json!({"model": "asked", "messages": [
        {"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]});
    assert_eq!(body(None, LimitField::MaxTokens), plain);
    assert_eq!(body(Some(5), LimitField::MaxTokens)["max_tokens"], 5);
    let openai = body(Some(5), LimitField::MaxCompletionTokens);
    assert_eq!(openai["max_completion_tokens"], 5);
    assert!(openai.get("max_tokens").is_none());
}

#[test]
fn a_conversation_with_tools_is_written_as_each_interface_wants_it() {
    let messages = conversation();
    let sent = body(Chat, &question(&messages), &USUAL);
    assert_eq!(
        sent["messages"][2],
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "calc", "arguments": "{\"x\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "calc", "arguments": "{}"}}]})
    );
    assert_eq!(sent["messages"][3], json!({"role": "tool", "content": "2", "tool_call_id": "c1"}));
    assert_eq!(sent["messages"][4], json!({"role": "assistant", "content": "Two."}));

    let sent = body(Responses, &Question { max_tokens: Some(5), ..question(&messages) }, &USUAL);
    assert_eq!(
        sent,
        json!({"model": "asked", "instructions": "Be short.", "store": false, "max_output_tokens": 16,
            "input": [
                {"type": "message", "role": "user", "content": "1 + 1?"},
                {"type": "function_call", "call_id": "c1", "name": "calc", "arguments": "{\"x\":1}"},
                {"type": "function_call", "call_id": "c2", "name": "calc", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "2"},
                {"type": "message", "role": "assistant", "content": "Two."},
                {"type": "message", "role": "user", "content": "Thanks."}]})
    );
    let alone = [ChatMessage::system("Say something.")];
    let sent = body(Responses, &question(&alone), &USUAL);
    assert_eq!(sent["input"], json!([{"type": "message", "role": "system", "content": "Say something."}]));
    assert!(sent.get("instructions").is_none());
}

#[test]
fn tools_are_described_as_each_interface_wants_it() {
    let parameters = json!({"type": "object", "properties": {}});
    let tool = |description: &str| ToolSpec {
        name: "calc".to_owned(),
        description: description.to_owned(),
        parameters: parameters.clone(),
    };
    let tools = [tool("Counts."), tool("")];
    let asked = Question { tools: &tools, ..question(&[]) };
    assert_eq!(
        body(Chat, &asked, &USUAL)["tools"],
        json!([
            {"type": "function", "function":
                {"name": "calc", "description": "Counts.", "parameters": parameters}},
            {"type": "function", "function": {"name": "calc", "parameters": parameters}}])
    );
    let sent = body(Responses, &asked, &USUAL);
    assert_eq!((&sent["tools"][0]["name"], &sent["tools"][0]["strict"]), (&json!("calc"), &json!(false)));
}

#[test]
fn every_rung_of_the_ladder_asks_for_less() {
    let schema = OutputSchema { name: "verdict".to_owned(), schema: json!({"type": "object"}) };
    let asked = |text: &str, api, rung, strict| -> Value {
        let messages = [ChatMessage::user(text)];
        let question = Question { schema: Some(&schema), ..question(&messages) };
        let sent = body(api, &question, &Manners { rung, strict, ..USUAL });
        match api {
            Chat => sent["response_format"].clone(),
            Responses => sent["text"]["format"].clone(),
        }
    };
    assert_eq!(
        asked("x", Chat, Rung::Schema, true),
        json!({"type": "json_schema",
            "json_schema": {"name": "verdict", "schema": {"type": "object"}, "strict": true}})
    );
    assert!(asked("x", Chat, Rung::Schema, false)["json_schema"].get("strict").is_none());
    assert_eq!(
        asked("x", Responses, Rung::Schema, true),
        json!({"type": "json_schema", "name": "verdict", "schema": {"type": "object"}, "strict": true})
    );
    for api in [Chat, Responses] {
        assert_eq!(asked("As JSON, please.", api, Rung::Object, true), json!({"type": "json_object"}));
        assert_eq!(asked("Please.", api, Rung::Object, true), Value::Null);
        assert_eq!(asked("As JSON, please.", api, Rung::Nothing, true), Value::Null);
    }
}

#[test]
fn a_stream_is_asked_for_with_its_usage() {
    let stream = Manners { stream: true, ..USUAL };
    let sent = body(Chat, &question(&[]), &stream);
    assert_eq!((&sent["stream"], &sent["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    let openai = body(Chat, &question(&[]), &Manners { obfuscation: true, ..stream });
    assert_eq!(openai["stream_options"], json!({"include_usage": true, "include_obfuscation": false}));
    let bare = body(Chat, &question(&[]), &Manners { stream_options: false, ..stream });
    assert!(bare.get("stream_options").is_none() && bare["stream"] == true);
    assert!(body(Responses, &question(&[]), &stream).get("stream_options").is_none());
    assert!(body(Responses, &question(&[]), &Manners { store: false, ..stream }).get("store").is_none());
}
