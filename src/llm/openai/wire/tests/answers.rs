//! Chat completions that come as a whole.

use serde_json::{Value, json};

use super::{Completion, whole};
use crate::{
    config::ApiStyle,
    llm::{ModelError, ModelErrorKind},
    model::Usd,
};

fn read(body: &str) -> Result<Completion, ModelError> {
    whole(ApiStyle::Chat, body)
}

fn message(message: Value) -> Result<Completion, ModelError> {
    read(&json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string())
}

fn text_of(content: Value) -> Result<String, ModelError> {
    message(content).map(|c| c.text)
}

fn kind_of(body: &str) -> ModelErrorKind {
    read(body).expect_err(body).kind
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
    let cut = read(r#"{"choices":[{"message":{"content":""},"finish_reason":"length"}]}"#).unwrap_err();
    assert!(cut.message.contains("MODEL_MAX_TOKENS"), "{}", cut.message);
}

#[test]
fn tools_that_are_asked_for_are_an_answer() {
    let call = |id: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": "calc", "arguments": arguments}});
    let calls = json!([
        call("a", json!("{\"x\": 1}")),
        // As JSON, without an id, and with one that was there before.
        call("", json!({"x": 2})),
        call("a", json!("")),
    ]);
    let done = message(json!({"content": null, "tool_calls": calls})).unwrap();
    assert_eq!(done.text, "");
    let seen: Vec<_> = done.tool_calls.iter().map(|c| (c.id.as_str(), c.arguments.as_str())).collect();
    assert_eq!(seen, [("a", "{\"x\": 1}"), ("call_2", "{\"x\":2}"), ("call_3_again", "")]);
    assert!(done.tool_calls.iter().all(|c| c.name == "calc"));
    assert!(done.usage.estimated && done.usage.completion_tokens > 3, "{:?}", done.usage);

    let both = message(json!({"content": "First I count.", "tool_calls": [call("1", json!("{}"))]})).unwrap();
    assert_eq!((both.text.as_str(), both.tool_calls.len()), ("First I count.", 1));
    let old = json!({"content": null, "function_call": {"name": "calc", "arguments": "{}"}});
    assert_eq!(message(old).unwrap().tool_calls[0].id, "call_1");

    let nameless = json!({"tool_calls": [{"id": "1", "function": {"arguments": "{}"}}]});
    assert_eq!(message(nameless).unwrap_err().kind, ModelErrorKind::BadAnswer);
    let many: Vec<Value> = (0..129).map(|n| call(&n.to_string(), json!("{}"))).collect();
    let error = message(json!({"tool_calls": many})).unwrap_err();
    assert!(error.message.contains("128 tools"), "{error}");
}

#[test]
fn what_is_no_completion_is_a_bad_answer() {
    for body in [
        "",
        "hello",
        "<html><title>Login</title></html>",
        r#"{"choices":[{"message":{"content":"trunca"#,
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
        assert!(whole(ApiStyle::Responses, body).is_err(), "{body}");
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

fn with_usage(usage: Value) -> Completion {
    let body = json!({"choices": [{"message": {"content": "abcde"}}], "usage": usage});
    read(&body.to_string()).unwrap()
}

#[test]
fn usage_is_checked_and_else_estimated() {
    for nonsense in [json!(null), json!({}), json!("x"), json!({"prompt_tokens": -5}), json!([1])] {
        let estimate = with_usage(nonsense).usage;
        assert_eq!((estimate.prompt_tokens, estimate.completion_tokens, estimate.total_tokens), (6, 2, 8));
        assert!(estimate.estimated);
    }
    let half = with_usage(json!({"prompt_tokens": 3.0, "completion_tokens": 4})).usage;
    assert_eq!((half.total_tokens, half.estimated), (7, false));
    let huge = with_usage(json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX})).usage;
    assert!(huge.total_tokens < 1 << 42);
}

#[test]
fn cached_tokens_thoughts_and_money_are_read() {
    let openai = with_usage(json!({
        "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 30, "accepted_prediction_tokens": 0},
    }));
    assert_eq!((openai.usage.cached_tokens, openai.usage.reasoning_tokens), (64, 30));
    assert_eq!(openai.cost, None);

    let deepseek = json!({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4});
    assert_eq!(with_usage(deepseek).usage.cached_tokens, 4);

    let tokens = |cost: Value| {
        let mut usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
        usage.as_object_mut().unwrap().extend(cost.as_object().unwrap().clone());
        with_usage(usage).cost
    };
    assert_eq!(tokens(json!({"cost": 0.00125})), Some(Usd::from_nanos(1_250_000)));
    assert_eq!(tokens(json!({"cost": 0})), Some(Usd::ZERO));
    let own_key = json!({"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.2}});
    assert_eq!(tokens(own_key), Usd::from_dollars(0.21));
    assert_eq!(tokens(json!({"cost": {"total_cost": 0.5}})), Usd::from_dollars(0.5));
    assert_eq!(tokens(json!({"cost": -1})), None);
    assert_eq!(tokens(json!({"cost": "much"})), None);
}

#[test]
fn unknown_reasons_to_stop_are_kept_and_a_missing_model_is_the_one_asked_for() {
    let body = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"model_length"}]}"#;
    let done = read(body).unwrap();
    assert_eq!((done.finish_reason.as_deref(), done.model.as_str()), (Some("model_length"), "asked"));
}
