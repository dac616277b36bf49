//! Chat completions that come in pieces.

use serde_json::{Value, json};

use super::{events, pieces};
use crate::{config::ApiStyle, llm::ModelErrorKind};

fn chunk(delta: Value) -> Value {
    json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn read(text: &str) -> (super::Completion, Vec<String>, bool) {
    pieces(ApiStyle::Chat, text).unwrap()
}

#[test]
fn pieces_become_one_text_with_its_usage() {
    let text = events(&[
        chunk(json!({"role": "assistant", "content": "", "refusal": null})),
        chunk(json!({"reasoning_content": "let me think"})),
        chunk(json!({"content": "Hel"})),
        json!({"choices": [{"index": 1, "delta": {"content": "another answer"}}], "obfuscation": "xyz"}),
        chunk(json!({"content": "lo"})),
        end("stop"),
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}),
    ]) + "data: [DONE]\n\n";
    let (done, heard, whole) = read(&text);
    assert_eq!((done.text.as_str(), done.model.as_str()), ("Hello", "m-1"));
    assert_eq!(heard, ["Hel", "lo"]);
    assert_eq!((done.usage.total_tokens, done.usage.estimated, whole), (7, false, true));
    assert_eq!(done.finish_reason.as_deref(), Some("stop"));
}

#[test]
fn comments_and_other_line_ends_do_no_harm() {
    for text in [
        ": OPENROUTER PROCESSING\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n",
        "data:{\"choices\":[{\"delta\":\ndata:{\"content\":\"a\"}}]}\n\ndata:[DONE]",
        // Nobody has put an empty line between the events.
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: {\"choices\":[]}\ndata: [DONE]\n",
    ] {
        let (done, _, whole) = read(text);
        assert_eq!((done.text.as_str(), whole), ("a", true), "{text:?}");
        assert!(done.usage.estimated);
    }
}

#[test]
fn a_stream_is_whole_by_its_reason_to_stop_its_usage_or_its_mark() {
    let text = chunk(json!({"content": "a"}));
    assert!(read(&events(&[text.clone(), end("stop")])).2);
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    assert!(read(&events(&[text.clone(), usage])).2);
    assert!(read(&(events(std::slice::from_ref(&text)) + "data: [DONE]\n\n")).2);
    assert!(!read(&events(std::slice::from_ref(&text))).2);
    // Azure begins so, some servers count in every piece.
    let filter = json!({"choices": [], "prompt_filter_results": []});
    let counting = json!({"choices": [{"delta": {"content": "b"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    assert!(!read(&events(&[filter, text, counting])).2);
}

#[test]
fn tool_calls_are_put_together_by_their_places() {
    let call = |index: u64, id: &str, name: &str, arguments: &str| {
        chunk(json!({"tool_calls": [{"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": arguments}}]}))
    };
    let more = |index: u64, arguments: &str| {
        chunk(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
    };
    let text = events(&[
        call(0, "c1", "calc", ""),
        more(0, "{\"x\""),
        call(1, "c2", "clock", ""),
        more(0, ": 1}"),
        more(1, "{}"),
        end("tool_calls"),
    ]);
    let (done, heard, _) = read(&text);
    let seen: Vec<_> =
        done.tool_calls.iter().map(|c| (c.id.as_str(), c.name.as_str(), c.arguments.as_str())).collect();
    assert_eq!(seen, [("c1", "calc", "{\"x\": 1}"), ("c2", "clock", "{}")]);
    assert_eq!((done.text.as_str(), heard.len()), ("", 0));

    // All at the first place, with the id repeated; and without places.
    let bare = |id: &str, arguments: &str| {
        chunk(json!({"tool_calls": [{"id": id, "function": {"name": "calc", "arguments": arguments}}]}))
    };
    for text in [
        events(&[call(0, "a", "calc", "{\"x\""), call(0, "a", "calc", ":1}"), call(0, "b", "calc", "{}")]),
        events(&[bare("a", "{\"x\":1}"), bare("b", "{}")]),
    ] {
        let (done, ..) = read(&(text + "data: [DONE]"));
        let seen: Vec<_> = done.tool_calls.iter().map(|c| (c.id.as_str(), c.arguments.as_str())).collect();
        assert_eq!(seen, [("a", "{\"x\":1}"), ("b", "{}")]);
        assert!(done.tool_calls.iter().all(|c| c.name == "calc"));
    }
    let many: Vec<Value> = (0..129).map(|n| call(n, "", "calc", "{}")).collect();
    let error = pieces(ApiStyle::Chat, &events(&many)).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::BadAnswer);
}

#[test]
fn an_error_counts_wherever_it_stands() {
    let good = chunk(json!({"content": "half"}));
    for (event, kind) in [
        (
            r#"data: {"error":{"code":502,"message":"gone"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            ModelErrorKind::Unavailable,
        ),
        (
            r#"data: {"error":{"message":"slow down","code":"rate_limit_exceeded"},"choices":[]}"#,
            ModelErrorKind::RateLimited,
        ),
        (r#"data: {"error":"context length exceeded"}"#, ModelErrorKind::ContextTooLong),
        (
            r#"data: {"choices":[{"delta":{"content":"x"},"error":{"code":503,"message":"x"}}]}"#,
            ModelErrorKind::Unavailable,
        ),
        ("event: error\ndata: {\"message\":\"it broke\"}", ModelErrorKind::BadAnswer),
        ("event: error\ndata: it broke", ModelErrorKind::BadAnswer),
        ("data: not json", ModelErrorKind::BadAnswer),
    ] {
        let text = events(std::slice::from_ref(&good)) + event + "\n\n";
        assert_eq!(pieces(ApiStyle::Chat, &text).unwrap_err().kind, kind, "{event}");
    }
}

#[test]
fn refusals_and_limits_are_told_as_in_a_whole_answer() {
    let kind = |values: &[Value]| pieces(ApiStyle::Chat, &events(values)).unwrap_err();
    let refused = kind(&[chunk(json!({"refusal": "I "})), chunk(json!({"refusal": "can't."})), end("stop")]);
    assert_eq!(refused.kind, ModelErrorKind::Refused);
    assert!(refused.message.contains("I can't."), "{refused}");
    let filtered = kind(&[chunk(json!({"content": "half"})), end("content_filter")]);
    assert_eq!(filtered.kind, ModelErrorKind::Refused);
    let cut = kind(&[chunk(json!({"reasoning_content": "hm"})), end("length")]);
    assert!(cut.kind == ModelErrorKind::BadAnswer && cut.message.contains("MODEL_MAX_TOKENS"), "{cut}");
}

proptest::proptest! {
    #[test]
    fn any_events_are_borne(values in proptest::collection::vec(
        "\\{\"(choices|error|usage|type)\":(null|\\[\\]|\"x\"|\\[\\{\"delta\":(null|\\{\"content\":\"ä\"\\}|\\{\"tool_calls\":\\[(1|\\{\\})\\]\\})\\}\\])\\}|\\[DONE\\]|.{0,9}", 0..8)) {
        let text: String = values.iter().map(|value| format!("data: {value}\n\n")).collect();
        let _ = pieces(ApiStyle::Chat, &text);
        let _ = pieces(ApiStyle::Responses, &text);
    }
}
