//! The responses interface, over real HTTP.

use productforge::{
    config::{ApiStyle, ProviderConfig},
    llm::{ChatRequest, Deaf, ModelErrorKind, ModelProvider},
    model::{ChatMessage, ToolOutput},
};
use serde_json::json;

use super::{Notes, calculator, configured, request};
use crate::support::fake_model::{Delivery, FakeModel, Piece, Reply};

fn config(fake: &FakeModel, stream: bool) -> ProviderConfig {
    ProviderConfig { api: ApiStyle::Responses, stream, ..fake.provider("openai") }
}

#[tokio::test]
async fn a_question_and_its_answer() {
    for stream in [true, false] {
        let fake = FakeModel::scripted([Reply::stream([Piece::text("Fi"), Piece::text("ne.")])]);
        let notes = Notes::default();
        let client = configured(config(&fake, stream));
        let answer = client.complete(&request("How are you?"), &notes).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.model.as_str()), ("Fine.", "fake-model-1"));
        assert_eq!((answer.finish_reason.as_deref(), answer.usage.total_tokens), (Some("stop"), 18));
        assert_eq!(answer.first_token_ms.is_some(), stream);
        let heard: String = notes.taken().into_iter().flatten().collect();
        assert_eq!((heard.as_str(), notes.taken().len()), ("Fine.", if stream { 2 } else { 1 }));

        let [sent] = fake.requests().try_into().unwrap();
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/v1/responses"));
        assert_eq!((&sent.json["instructions"], &sent.json["store"]), (&json!("Be short."), &json!(false)));
        assert_eq!(sent.prompt(), "Be short.\n\nHow are you?");
    }
}

#[tokio::test]
async fn a_conversation_with_a_tool() {
    let fake = FakeModel::by(|ask, _| match ask.messages().last().unwrap()["type"].as_str() {
        Some("function_call_output") => Reply::answer("It is 2."),
        _ => Reply::stream([Piece::call("call_1", "calculator", r#"{"sum": "1 + 1"}"#)]),
    });
    let client = configured(config(&fake, true));
    let mut question = ChatRequest { tools: vec![calculator()], ..request("1 + 1?") };
    let first = client.complete(&question, &Deaf).await.unwrap();
    assert_eq!((first.text.as_str(), first.finish_reason.as_deref()), ("", Some("tool_calls")));
    let [call] = first.tool_calls.clone().try_into().unwrap();
    assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_1", r#"{"sum": "1 + 1"}"#));

    question.messages.push(ChatMessage::assistant(first.text, first.tool_calls));
    let content = "2".to_owned();
    let (tool_call_id, name) = (call.id, call.name);
    let output = ToolOutput { tool_call_id, name, content, failed: false, duration_ms: 1 };
    question.messages.push(ChatMessage::tool(&output));
    assert_eq!(client.complete(&question, &Deaf).await.unwrap().text, "It is 2.");
}

#[tokio::test]
async fn what_breaks_is_asked_for_again_and_what_is_refused_is_not() {
    use ModelErrorKind::*;
    let failed = |code: &str| {
        let error = json!({"code": code, "message": "sorry"});
        let response = json!({"status": "failed", "error": error, "output": []});
        Reply::stream([
            Piece::text("half"),
            Piece::event(&json!({"type": "response.failed", "response": response})),
        ])
    };
    let good = || Reply::stream([Piece::text("a"), Piece::text("b")]);
    for (reply, kind, requests) in [
        (good().delivered(Delivery::EndAfterPieces(1)), Connection, 4),
        (good().without_done(), Connection, 4),
        (good().delivered(Delivery::ResetAfterPieces(1)), Connection, 4),
        (failed("server_error"), Unavailable, 4),
        (failed("rate_limit_exceeded"), RateLimited, 4),
        (failed("invalid_prompt"), Refused, 1),
        (good().finish("content_filter"), Refused, 1),
        (Reply::completion(json!({"refusal": "I can't."}), "stop"), Refused, 1),
        (Reply::stream([]).finish("length"), BadAnswer, 2),
        (Reply::rate_limited(), RateLimited, 4),
    ] {
        let shown = format!("{reply:?}");
        let fake = FakeModel::by(move |_, _| reply.clone());
        let error = configured(config(&fake, true)).complete(&request("hi"), &Deaf).await.unwrap_err();
        assert_eq!((error.kind, error.requests), (kind, requests), "{error} {shown}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_says_so() {
    let fake = FakeModel::scripted([Reply::answer("half an").finish("length")]);
    let answer = configured(config(&fake, true)).complete(&request("hi"), &Deaf).await.unwrap();
    assert!(answer.is_cut(), "{:?}", answer.finish_reason);
}
