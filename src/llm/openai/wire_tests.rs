//! Completions as real servers write them, and what is none.

use serde_json::{Value, json};

use super::{
    retry::Hints,
    wire::{Completion, LimitField, read_answer, rejects_field, request_body},
};
use crate::{
    llm::{ModelError, ModelErrorKind},
    model::ChatMessage,
};

fn read(body: &str) -> Result<Completion, ModelError> {
    read_answer(200, &Hints::default(), body.as_bytes(), "asked", &[ChatMessage::user("12345678")])
}

fn text_of(message: Value) -> Result<String, ModelError> {
    read(&json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string()).map(|c| c.text)
}

fn kind_of(body: &str) -> ModelErrorKind {
    read(body).expect_err(body).kind
}

#[test]
fn the_body_has_what_was_asked_for_and_no_more() {
    let messages = [ChatMessage::system("be short"), ChatMessage::user("hi")];
    let body =
        |max, field| serde_json::from_slice::<Value>(&request_body("m", &messages, max, field)).unwrap();
    let plain = json!({"model": "m", "messages": [
        {"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]});
    assert_eq!(body(None, LimitField::MaxTokens), plain);
    assert_eq!(body(Some(5), LimitField::MaxTokens)["max_tokens"], 5);
    let openai = body(Some(5), LimitField::MaxCompletionTokens);
    assert_eq!(openai["max_completion_tokens"], 5);
    assert!(openai.get("max_tokens").is_none());
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

#[test]
fn a_complaint_about_the_limit_field_is_recognised() {
    let error = |message: &str| ModelError {
        kind: ModelErrorKind::BadRequest,
        message: message.to_owned(),
        status: Some(400),
        code: None,
        retry_after: None,
        requests: 1,
    };
    let old = LimitField::MaxTokens;
    assert!(rejects_field(&error("Unsupported parameter: 'max_tokens' is not supported"), old));
    assert!(!rejects_field(&error("max_tokens is too large: this model supports at most 9"), old));
    let new = LimitField::MaxCompletionTokens;
    assert!(rejects_field(&error("Unrecognized request argument supplied: max_completion_tokens"), new));
    assert!(!rejects_field(&error("Unrecognized request argument supplied: max_completion_tokens"), old));
}
