//! Streams as real servers write them, and how they break.

use serde_json::{Value, json};

use super::{Completion, Origin, Stream};
use crate::{
    config::ApiStyle,
    llm::{ModelError, ModelErrorKind, openai::retry::Hints},
    model::ChatMessage,
};

/// Reads a stream that comes in these pieces; the deltas, and what came of it.
fn read(api: ApiStyle, pieces: &[&str]) -> (Vec<String>, Result<Completion, ModelError>) {
    let messages = [ChatMessage::user("12345678")];
    let hints = Hints::default();
    let origin = Origin { api, status: 200, hints: &hints, asked_model: "asked", messages: &messages };
    let mut stream = Stream::default();
    let mut deltas = Vec::new();
    for piece in pieces {
        match stream.push(&origin, piece.as_bytes()) {
            Ok(delta) if delta.is_empty() => {}
            Ok(delta) => deltas.push(delta),
            Err(error) => return (deltas, Err(error)),
        }
    }
    (deltas, stream.finish(&origin))
}

fn chat(frames: &[Value]) -> (Vec<String>, Result<Completion, ModelError>) {
    let pieces: Vec<String> = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    read(ApiStyle::Chat, &pieces.iter().map(String::as_str).collect::<Vec<_>>())
}

fn delta(text: &str) -> Value {
    json!({"model": "m-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}], "usage": null})
}

fn stop(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

#[test]
fn a_stream_with_usage_in_its_last_chunk_is_put_together() {
    let usage =
        json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}});
    let (deltas, done) = chat(&[delta("Hel"), delta("lo"), stop("stop"), usage]);
    let done = done.unwrap();
    assert_eq!(deltas, ["Hel", "lo"]);
    assert_eq!((done.text.as_str(), done.model.as_str()), ("Hello", "m-1"));
    assert_eq!((done.usage.total_tokens, done.usage.estimated), (9, false));
    assert_eq!(done.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn a_stream_without_usage_is_counted_from_its_text() {
    let done = chat(&[delta("12345678"), stop("stop")]).1.unwrap();
    assert!(done.usage.estimated && done.usage.completion_tokens == 2, "{:?}", done.usage);
}

#[test]
fn the_end_may_lack_its_mark_or_its_reason_but_not_both() {
    assert!(chat(&[delta("x"), stop("stop")]).1.is_ok(), "[DONE] is missing");
    let (_, done) = read(ApiStyle::Chat, &[&format!("data: {}\n\ndata: [DONE]\n\n", delta("x"))]);
    assert!(done.is_ok(), "the reason is missing");
    let error = chat(&[delta("half an ans")]).1.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Connection);
    assert!(error.message.contains("broke off"), "{error}");
    let error = read(ApiStyle::Chat, &[": OPENROUTER PROCESSING\n\n"]).1.unwrap_err();
    assert!(error.kind == ModelErrorKind::Connection && error.message.contains("before it began"), "{error}");
}

#[test]
fn an_error_in_the_middle_is_an_error_whatever_came_before() {
    for (frame, kind) in [
        (
            json!({"error": {"code": 502, "message": "Provider returned error"}, "choices": []}),
            ModelErrorKind::Unavailable,
        ),
        (json!({"error": "model runner has unexpectedly stopped"}), ModelErrorKind::BadAnswer),
        (json!({"error": {"message": "Rate limit exceeded", "code": 429}}), ModelErrorKind::RateLimited),
        (
            json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error",
                "error": {"code": 502, "message": "upstream"}}]}),
            ModelErrorKind::Unavailable,
        ),
    ] {
        let (deltas, done) = chat(&[delta("Hel"), frame.clone(), delta("lo"), stop("stop")]);
        assert_eq!(deltas, ["Hel"]);
        assert_eq!(done.unwrap_err().kind, kind, "{frame}");
    }
    // An empty one is none.
    assert!(chat(&[json!({"error": "", "choices": [{"delta": {"content": "x"}}]}), stop("stop")]).1.is_ok());
}

#[test]
fn tools_come_in_parts() {
    let part = |calls: Value| json!({"choices": [{"delta": {"tool_calls": calls}}]});
    let done = chat(&[
        part(json!([{"index": 0, "id": "a", "function": {"name": "calculator", "arguments": ""}}])),
        part(json!([{"index": 0, "function": {"arguments": "{\"expression\""}}])),
        part(json!([{"index": 1, "id": "b", "function": {"name": "now", "arguments": "{}"}}])),
        part(json!([{"index": 0, "function": {"arguments": ":\"1\"}"}}])),
        stop("tool_calls"),
    ])
    .1
    .unwrap();
    let calls: Vec<_> =
        done.tool_calls.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(calls, [("a", "calculator", r#"{"expression":"1"}"#), ("b", "now", "{}")]);
    // Without an index, a new id begins a new one.
    let done = chat(&[
        part(json!([{"id": "a", "function": {"name": "x", "arguments": "{}"}}])),
        part(json!([{"id": "b", "function": {"name": "y", "arguments": {"z": 1}}}])),
        stop("tool_calls"),
    ]);
    let names: Vec<_> = done.1.unwrap().tool_calls.into_iter().map(|c| (c.name, c.arguments)).collect();
    assert_eq!(names, [("x".to_owned(), "{}".to_owned()), ("y".to_owned(), r#"{"z":1}"#.to_owned())]);
}

#[test]
fn thoughts_padding_and_unknown_frames_do_not_show() {
    let done = chat(&[
        json!({"choices": [{"delta": {"reasoning_content": "hm", "content": ""}}], "obfuscation": "xyz"}),
        json!({"type": "ping"}),
        json!([1, 2]),
        delta("x"),
        stop("stop"),
    ]);
    assert_eq!(done.1.unwrap().text, "x");
}

#[test]
fn refusals_and_filters_are_what_they_are() {
    let refusal = json!({"choices": [{"delta": {"refusal": "I cannot"}}]});
    assert_eq!(chat(&[refusal, stop("stop")]).1.unwrap_err().kind, ModelErrorKind::Refused);
    assert_eq!(chat(&[delta("x"), stop("content_filter")]).1.unwrap_err().kind, ModelErrorKind::Refused);
    assert_eq!(
        chat(&[delta("x"), stop("model_length")]).1.unwrap().finish_reason.as_deref(),
        Some("model_length")
    );
}

#[test]
fn the_newer_interface_ends_with_the_whole_answer() {
    let event = |kind: &str, more: Value| {
        let mut frame = more;
        frame["type"] = kind.into();
        format!("event: {kind}\ndata: {frame}\n\n")
    };
    let whole = json!({"status": "completed", "model": "m", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}});
    let begun = event("response.created", json!({"response": {"status": "in_progress", "output": []}}));
    let first = event("response.output_text.delta", json!({"delta": "Hel", "sequence_number": 4}));
    let second = event("response.output_text.delta", json!({"delta": "lo"}));
    let end = event("response.completed", json!({"response": whole}));
    let (deltas, done) = read(ApiStyle::Responses, &[&begun, &first, &second, &end]);
    assert_eq!(deltas, ["Hel", "lo"]);
    assert_eq!(done.unwrap().usage.total_tokens, 4);
    let (_, broken) = read(ApiStyle::Responses, &[&begun, &first]);
    assert_eq!(broken.unwrap_err().kind, ModelErrorKind::Connection);
    let failed = event(
        "response.failed",
        json!({"response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down"}}}),
    );
    assert_eq!(
        read(ApiStyle::Responses, &[&begun, &failed]).1.unwrap_err().kind,
        ModelErrorKind::RateLimited
    );
    let error = event("error", json!({"code": "server_error", "message": "Oops"}));
    assert!(read(ApiStyle::Responses, &[&begun, &error]).1.is_err());
}
