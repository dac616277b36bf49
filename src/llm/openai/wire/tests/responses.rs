//! The answers of the responses interface.

use serde_json::{Value, json};

use super::{events, pieces, whole};
use crate::{
    config::ApiStyle::Responses,
    llm::{ModelError, ModelErrorKind},
};

fn response(status: &str, output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "status": status, "error": null,
        "incomplete_details": null, "model": "m-1", "output": output,
        "usage": {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123,
            "input_tokens_details": {"cached_tokens": 12}, "output_tokens_details": {"reasoning_tokens": 40}}})
}

fn text(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn call() -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "calc", "arguments": "{}"})
}

#[test]
fn a_response_is_read_like_a_completion() {
    let output = json!([{"type": "reasoning", "summary": []}, text("Hel"), text("lo")]);
    let done = whole(Responses, &response("completed", output).to_string()).unwrap();
    assert_eq!((done.text.as_str(), done.model.as_str()), ("Hello", "m-1"));
    assert_eq!(done.finish_reason.as_deref(), Some("stop"));
    let usage = done.usage;
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (36, 87, 123));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens, usage.estimated), (12, 40, false));

    let done = whole(Responses, &response("completed", json!([call()])).to_string()).unwrap();
    assert_eq!((done.tool_calls[0].id.as_str(), done.text.as_str()), ("call_9", ""));
    assert_eq!(done.finish_reason.as_deref(), Some("tool_calls"));
}

#[test]
fn what_ends_early_or_badly_says_why() {
    let incomplete = |reason: &str, output: Value| -> Result<_, ModelError> {
        let mut value = response("incomplete", output);
        value["incomplete_details"] = json!({"reason": reason});
        whole(Responses, &value.to_string())
    };
    let cut = incomplete("max_output_tokens", json!([text("half")])).unwrap();
    assert_eq!(cut.finish_reason.as_deref(), Some("max_output_tokens"));
    let empty = incomplete("max_output_tokens", json!([])).unwrap_err();
    assert!(empty.kind == ModelErrorKind::BadAnswer && empty.message.contains("MODEL_MAX_TOKENS"), "{empty}");
    let filtered = incomplete("content_filter", json!([text("half")])).unwrap_err();
    assert_eq!(filtered.kind, ModelErrorKind::Refused);
    let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "I can't."}]}]);
    let refused = whole(Responses, &response("completed", refusal).to_string()).unwrap_err();
    assert_eq!(refused.kind, ModelErrorKind::Refused);
    let mut failed = response("failed", json!([]));
    failed["error"] = json!({"code": "rate_limit_exceeded", "message": "later"});
    assert_eq!(whole(Responses, &failed.to_string()).unwrap_err().kind, ModelErrorKind::RateLimited);
}

#[test]
fn typed_events_become_one_answer() {
    let delta = |text: &str| json!({"type": "response.output_text.delta", "delta": text, "item_id": "m"});
    let text = events(&[
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"}),
        delta("Hel"),
        delta("lo"),
        json!({"type": "response.output_text.done", "text": "Hello"}),
        json!({"type": "response.completed", "response": response("completed", json!([text("Hello")]))}),
    ]);
    let (done, heard, whole) = pieces(Responses, &text).unwrap();
    assert_eq!((done.text.as_str(), whole), ("Hello", true));
    assert_eq!(heard, ["Hel", "lo"]);
    assert_eq!(done.usage.total_tokens, 123);
}

#[test]
fn servers_that_repeat_nothing_or_stream_nothing_are_understood() {
    let delta = json!({"type": "response.output_text.delta", "delta": "Hi"});
    let item = json!({"type": "response.output_item.done", "output_index": 0, "item": call()});
    let bare = json!({"type": "response.completed", "response": response("completed", json!([]))});
    let (done, _, whole) = pieces(Responses, &events(&[delta.clone(), item, bare])).unwrap();
    assert_eq!((done.text.as_str(), done.tool_calls.len(), whole), ("Hi", 1, true));
    assert_eq!(done.finish_reason.as_deref(), Some("tool_calls"));

    let all = json!({"type": "response.completed", "response": response("completed", json!([text("Hi")]))});
    let (done, heard, _) = pieces(Responses, &events(&[all])).unwrap();
    assert_eq!((done.text.as_str(), heard), ("Hi", vec!["Hi".to_owned()]));

    // The name stands beside the data only.
    let named = "event: response.output_text.delta\ndata: {\"delta\":\"Hi\"}\n\ndata: [DONE]\n\n";
    assert_eq!(pieces(Responses, named).unwrap().0.text, "Hi");
    assert!(!pieces(Responses, &events(&[delta])).unwrap().2);
}

#[test]
fn failures_in_a_stream_get_their_class() {
    let delta = json!({"type": "response.output_text.delta", "delta": "half"});
    let mut failed = response("failed", json!([]));
    failed["error"] = json!({"code": "server_error", "message": "sorry"});
    for (event, kind) in [
        (json!({"type": "response.failed", "response": failed}), ModelErrorKind::Unavailable),
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "later", "sequence_number": 3}),
            ModelErrorKind::RateLimited,
        ),
        (
            json!({"type": "error", "error": {"code": "context_length_exceeded", "message": "long"}}),
            ModelErrorKind::ContextTooLong,
        ),
    ] {
        let error = pieces(Responses, &events(&[delta.clone(), event.clone()])).unwrap_err();
        assert_eq!(error.kind, kind, "{event}");
    }
    let mut value = response("incomplete", json!([]));
    value["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let cut = json!({"type": "response.incomplete", "response": value});
    let (done, ..) = pieces(Responses, &events(&[delta, cut])).unwrap();
    assert_eq!((done.text.as_str(), done.finish_reason.as_deref()), ("half", Some("max_output_tokens")));
}
