//! Completions as real servers write them, and what is none.

use serde_json::{Value, json};

use super::{Completion, LimitField, Origin, Question, body, read_body};
use crate::{
    config::ApiStyle,
    llm::{
        ChatRequest, ModelError, ModelErrorKind,
        openai::{
            quirks::{Form, Quirks},
            retry::Hints,
        },
    },
    model::{ChatMessage, ToolCall, ToolOutput, ToolSpec},
};

const QUIRKS: Quirks =
    Quirks { limit_field: LimitField::MaxTokens, form: Form::Schema, stream_options: true, stream: true };

fn read(body: &str) -> Result<Completion, ModelError> {
    read_as(ApiStyle::Chat, body)
}

fn read_as(api: ApiStyle, body: &str) -> Result<Completion, ModelError> {
    let messages = [ChatMessage::user("12345678")];
    let hints = Hints::default();
    let origin = Origin { api, status: 200, hints: &hints, asked_model: "asked", messages: &messages };
    read_body(&origin, body.as_bytes())
}

fn text_of(message: Value) -> Result<String, ModelError> {
    read(&json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string()).map(|c| c.text)
}

fn kind_of(body: &str) -> ModelErrorKind {
    read(body).expect_err(body).kind
}

fn written(
    api: ApiStyle,
    request: &ChatRequest,
    max_tokens: Option<u32>,
    stream: bool,
    quirks: Quirks,
) -> Value {
    let question = Question { model: "m", request, max_tokens, stream, quirks };
    serde_json::from_slice(&body(api, &question)).unwrap()
}

fn greeting() -> ChatRequest {
    ChatRequest {
        messages: vec![ChatMessage::system("be short"), ChatMessage::user("hi")],
        ..ChatRequest::default()
    }
}

#[test]
fn the_body_has_what_was_asked_for_and_no_more() {
    let body =
        |max, limit_field| written(ApiStyle::Chat, &greeting(), max, false, Quirks { limit_field, ..QUIRKS });
    let plain = json!({"model": "m", "messages": [
        {"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]});
    assert_eq!(body(None, LimitField::MaxTokens), plain);
    assert_eq!(body(Some(5), LimitField::MaxTokens)["max_tokens"], 5);
    let openai = body(Some(5), LimitField::MaxCompletionTokens);
    assert_eq!(openai["max_completion_tokens"], 5);
    assert!(openai.get("max_tokens").is_none());
    let streamed = written(ApiStyle::Chat, &greeting(), None, true, QUIRKS);
    assert_eq!(
        (&streamed["stream"], &streamed["stream_options"]),
        (&json!(true), &json!({"include_usage": true}))
    );
}

#[test]
fn tools_and_their_outputs_are_written_for_either_interface() {
    let call = ToolCall { id: "c1".into(), name: "calculator".into(), arguments: "{broken".into() };
    let output = ToolOutput {
        tool_call_id: "c1".into(),
        name: "calculator".into(),
        content: "4".into(),
        failed: false,
        duration_ms: 1,
    };
    let mut request = greeting();
    request.messages.push(ChatMessage::assistant("", vec![call]));
    request.messages.push(ChatMessage::tool(&output));
    request.tools = vec![ToolSpec {
        name: "calculator".into(),
        description: "Counts".into(),
        parameters: json!({"type": "object"}),
    }];
    let chat = written(ApiStyle::Chat, &request, None, false, QUIRKS);
    assert_eq!(chat["tools"][0]["function"]["name"], "calculator");
    assert_eq!(chat["messages"][2]["content"], Value::Null);
    // What is no JSON is not sent as if it were.
    let arguments = chat["messages"][2]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).is_ok(), "{arguments}");
    assert_eq!(chat["messages"][3], json!({"role": "tool", "content": "4", "tool_call_id": "c1"}));

    let responses = written(ApiStyle::Responses, &request, Some(100), true, QUIRKS);
    assert_eq!(responses["instructions"], "be short");
    assert_eq!(responses["store"], false);
    assert_eq!(responses["max_output_tokens"], 100);
    assert_eq!(responses["tools"][0]["name"], "calculator");
    let kinds: Vec<_> = responses["input"].as_array().unwrap().iter().map(|i| i["type"].as_str()).collect();
    assert_eq!(kinds, [None, Some("function_call"), Some("function_call_output")]);
}

#[test]
fn tools_that_are_asked_for_are_an_answer_without_a_text() {
    let done = read(
        r#"{"choices":[{"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"calculator","arguments":"{\"expression\":\"1\"}"}},
            {"type":"function","function":{"name":"now","arguments":{}}},
            {"id":"c","function":{}}]}}]}"#,
    )
    .unwrap();
    let calls: Vec<_> =
        done.tool_calls.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(calls, [("a", "calculator", r#"{"expression":"1"}"#), ("call_1", "now", "{}")]);
    assert!(done.text.is_empty());
}

#[test]
fn a_response_is_read_like_a_completion() {
    let body = json!({
        "id": "resp_1", "object": "response", "status": "completed", "model": "gpt-x", "error": null,
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "Hello ", "annotations": []}, {"type": "output_text", "text": "you"}]},
            {"type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}"}],
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 6,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 16},
    });
    let done = read_as(ApiStyle::Responses, &body.to_string()).unwrap();
    assert_eq!((done.text.as_str(), done.model.as_str()), ("Hello you", "gpt-x"));
    assert_eq!(done.tool_calls[0].id, "c1");
    assert_eq!((done.usage.cached_tokens, done.usage.reasoning_tokens, done.usage.total_tokens), (4, 2, 16));
    let cut = json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "He"}]}]});
    assert_eq!(
        read_as(ApiStyle::Responses, &cut.to_string()).unwrap().finish_reason.as_deref(),
        Some("length")
    );
    let refused = json!({"status": "completed", "output": [
        {"type": "message", "content": [{"type": "refusal", "refusal": "I will not."}]}]});
    let error = read_as(ApiStyle::Responses, &refused.to_string()).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Refused);
    let failed = json!({"status": "failed", "output": [],
        "error": {"code": "server_error", "message": "The server had an error"}});
    assert_eq!(
        read_as(ApiStyle::Responses, &failed.to_string()).unwrap_err().code.as_deref(),
        Some("server_error")
    );
}

#[test]
fn what_was_cached_thought_and_charged_is_read() {
    let done = read(
        r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":100,"completion_tokens":50,
            "prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":30},
            "cost":0.00042}}"#,
    )
    .unwrap();
    assert_eq!((done.usage.cached_tokens, done.usage.reasoning_tokens), (80, 30));
    assert_eq!(done.cost.unwrap().nanos(), 420_000);
}

#[test]
fn foreign_fields_do_no_harm() {
    let llama = json!({
        "choices": [{"finish_reason": "stop", "index": 0,
            "message": {"role": "assistant", "content": "Hi", "reasoning_content": "hm"}}],
        "created": 1, "model": "smol", "system_fingerprint": "b1", "object": "chat.completion",
        "usage": {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0}},
        "id": "x", "timings": {"prompt_n": 1, "predicted_per_second": 25.5}, "error": null,
    });
    let done = read(&format!("\u{feff}\n  {llama}\n")).unwrap();
    assert_eq!((done.text.as_str(), done.model.as_str()), ("Hi", "smol"));
    assert_eq!(done.finish_reason.as_deref(), Some("stop"));
    assert_eq!((done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens), (3, 2, 5));
    assert!(!done.usage.estimated);
}

#[test]
fn content_comes_as_text_or_in_parts() {
    assert_eq!(text_of(json!({"content": "a"})).unwrap(), "a");
    let parts = json!({"content": [{"type": "text", "text": "a"}, {"type": "image_url"}, "b"]});
    assert_eq!(text_of(parts).unwrap(), "ab");
    assert_eq!(read(r#"{"choices":[{"text":"old"}]}"#).unwrap().text, "old");
    assert_eq!(text_of(json!({"content": "yes", "refusal": null})).unwrap(), "yes");
}

#[test]
fn a_refusal_is_told_from_an_empty_answer() {
    let kind = |message| text_of(message).unwrap_err().kind;
    assert_eq!(kind(json!({"content": null, "refusal": "I can't."})), ModelErrorKind::Refused);
    let filtered = r#"{"choices":[{"message":{"content":"half an"},"finish_reason":"content_filter"}]}"#;
    assert_eq!(kind_of(filtered), ModelErrorKind::Refused);
    for message in [json!({"content": null}), json!({"content": " \n"}), json!({}), json!({"content": []})] {
        assert_eq!(kind(message), ModelErrorKind::BadAnswer);
    }
    let tool = text_of(json!({"content": null, "tool_calls": [{"id": "1"}]})).unwrap_err();
    assert!(tool.message.contains("tool"), "{}", tool.message);
    let cut = read(r#"{"choices":[{"message":{"content":""},"finish_reason":"length"}]}"#).unwrap_err();
    assert!(cut.message.contains("MODEL_MAX_TOKENS"), "{}", cut.message);
}

#[test]
fn what_is_no_completion_is_a_bad_answer() {
    for body in [
        "",
        "hello",
        "<html><title>Login</title></html>",
        r#"{"choices":[{"message":{"content":"trunca"#,
        "data: {\"choices\":[]}\n\ndata: [DONE]\n",
        "{}",
        "[]",
        "null",
        "7",
        r#"{"choices":[]}"#,
        r#"{"choices":null}"#,
        r#"{"choices":"x"}"#,
        r#"{"choices":[{"message":null}]}"#,
        "\u{0}\u{1}",
    ] {
        assert_eq!(kind_of(body), ModelErrorKind::BadAnswer, "{body}");
    }
    assert!(read("<html>").unwrap_err().message.contains("OPENAI_BASE_URL"));
    assert!(read(r#"{"a":"#).unwrap_err().message.contains("breaks off"));
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    for (body, kind) in [
        (r#"{"error":{"code":502,"message":"x"},"choices":[]}"#, ModelErrorKind::Unavailable),
        (
            r#"{"choices":[{"error":{"code":429,"message":"x"},"message":{"content":""}}]}"#,
            ModelErrorKind::RateLimited,
        ),
        (r#"{"error":"context length exceeded"}"#, ModelErrorKind::ContextTooLong),
        (r#"{"type":"error","message":"x"}"#, ModelErrorKind::BadAnswer),
    ] {
        assert_eq!(kind_of(body), kind, "{body}");
    }
    for none in [r#""""#, "null", "{}", "false"] {
        let body = format!(r#"{{"error":{none},"choices":[{{"message":{{"content":"ok"}}}}]}}"#);
        assert_eq!(read(&body).unwrap().text, "ok");
    }
}

#[test]
fn usage_is_checked_and_else_estimated() {
    let usage = |usage: Value| {
        let body = json!({"choices": [{"message": {"content": "abcde"}}], "usage": usage});
        read(&body.to_string()).unwrap().usage
    };
    for nonsense in [json!(null), json!({}), json!("x"), json!({"prompt_tokens": -5}), json!([1])] {
        let estimate = usage(nonsense);
        assert_eq!((estimate.prompt_tokens, estimate.completion_tokens, estimate.total_tokens), (6, 2, 8));
        assert!(estimate.estimated);
    }
    let half = usage(json!({"prompt_tokens": 3.0, "completion_tokens": 4}));
    assert_eq!((half.total_tokens, half.estimated), (7, false));
    let huge = usage(json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}));
    assert!(huge.total_tokens < 1 << 42);
}

#[test]
fn a_missing_model_is_the_one_asked_for() {
    assert_eq!(read(r#"{"choices":[{"message":{"content":"x"}}]}"#).unwrap().model, "asked");
}
