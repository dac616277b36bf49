//! Exchanges that are recorded and played back.

use std::{path::Path, sync::Arc};

use productforge::{
    config::LlmConfig,
    llm::{
        ChatRequest, ModelErrorKind, ModelProvider,
        openai::{Cassette, OpenAiProvider},
    },
    model::ChatMessage,
};
use serde_json::Value;

use super::{Notes, QUICK, calculator, provider, request};
use crate::support::fake_model::{FAKE_KEY, FakeModel, Piece, Reply};

/// Asks four things, one of them twice, and notes all that comes back.
async fn converse(provider: &OpenAiProvider) -> Vec<String> {
    let mut seen = Vec::new();
    let with_tools = ChatRequest { tools: vec![calculator()], ..request("1 + 1?") };
    let mut longer = request("hi");
    longer.messages.extend([ChatMessage::assistant("Grüße", vec![]), ChatMessage::user("bye")]);
    for question in [request("hi"), with_tools, longer, request("hi"), request("too much")] {
        let notes = Notes::default();
        let heard = provider.complete(&question, &notes).await;
        seen.push(match heard {
            Ok(answer) => format!(
                "{} {:?} {:?} {} {:?} {} {:?}",
                answer.text,
                answer.tool_calls,
                answer.usage,
                answer.model,
                answer.finish_reason,
                answer.requests,
                notes.taken()
            ),
            Err(error) => format!("{} {:?} {error} {}", error.kind.as_str(), error.status, error.requests),
        });
    }
    seen
}

#[tokio::test]
async fn what_was_recorded_is_played_back_without_network_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let fake = FakeModel::scripted([
        Reply::rate_limited().header("retry-after-ms", "5"),
        Reply::stream([Piece::text("Grü"), Piece::text("ße 👋")]).in_bits(1),
        Reply::stream([Piece::call("call_1", "calculator", "{}")]),
        Reply::answer("Bye.").whole(),
        Reply::answer("Hi again."),
        Reply::error(400, "invalid_api_key", "x", &format!("too much, {FAKE_KEY}")),
    ]);
    let config = LlmConfig { record: Some(path.clone()), ..fake.config() };
    let recorded = converse(&provider(&config)).await;
    assert_eq!(fake.calls(), 6);

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(FAKE_KEY) && !text.to_lowercase().contains("authorization"), "{text}");
    assert_eq!(text.lines().count(), 6);
    let first: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (&first["request"]["path"], &first["response"]["status"]),
        (&"/v1/chat/completions".into(), &200.into())
    );
    assert!(first["response"]["pieces"].as_array().unwrap().len() > 10);

    let base_url = fake.base_url();
    drop(fake);
    let replay = LlmConfig {
        api_key: None,
        base_url: Some(base_url.clone()),
        replay: Some(path.clone()),
        ..FakeModel::start().config()
    };
    assert_eq!(converse(&provider(&replay)).await, recorded);

    // The last answer to a question is given again and again, and a new question has none.
    let provider = provider(&replay);
    for text in ["Grüße 👋", "Hi again.", "Hi again.", "Hi again."] {
        let answer = provider.complete(&request("hi"), &Notes::default()).await.unwrap();
        assert_eq!(answer.text, text);
    }
    let error = provider.complete(&request("something new"), &Notes::default()).await.unwrap_err();
    assert_eq!((error.kind, error.requests), (ModelErrorKind::BadRequest, 0));
    assert!(error.message.contains("no answer to this request is recorded"), "{error}");
    assert!(error.message.contains("calls.jsonl") && error.message.contains("test-default"), "{error}");
}

#[tokio::test]
async fn a_broken_answer_is_recorded_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let pieces = [Piece::text("Al"), Piece::text("pha")];
    let broken =
        Reply::stream(pieces.clone()).delivered(crate::support::fake_model::Delivery::CutAfterPieces(1));
    let fake = FakeModel::scripted([broken, Reply::stream(pieces)]);
    let play = async |cassette: Cassette| {
        let provider = provider(&fake.config()).with_cassette(Arc::new(cassette));
        let notes = Notes::default();
        let answer = provider.complete(&request("hi"), &notes).await.unwrap();
        (answer.text, answer.requests, notes.taken())
    };
    let recorded = play(Cassette::record(&path).unwrap()).await;
    assert_eq!((recorded.0.as_str(), recorded.1), ("Alpha", 2));
    assert_eq!(play(Cassette::replay(&path).unwrap()).await, recorded);
    assert_eq!(fake.calls(), 2);
}

#[test]
fn what_is_no_recording_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.jsonl");
    let refused = |path: &Path| format!("{:#}", Cassette::replay(path).unwrap_err());
    assert!(refused(&path).contains("cannot read the recorded answers in"));
    std::fs::write(&path, "\n{\"request\": 1}\n").unwrap();
    assert!(refused(&path).contains("line 2 is no recorded exchange"), "{}", refused(&path));
    assert!(Cassette::record(folder.path().join("no/such/folder")).is_err());
}

/// Recorded from the small model: `RECORD_CASSETTE=1 ./dev test small_model` makes it anew.
#[tokio::test]
async fn a_conversation_with_a_real_model_is_played_back() {
    let path = super::small_model::committed();
    let config = super::small_model::of_the_cassette("http://127.0.0.1:9/v1");
    let provider = OpenAiProvider::new(&config).unwrap().with_retry(QUICK);
    let provider = provider.with_cassette(Arc::new(Cassette::replay(path).unwrap()));
    let told = super::small_model::tell(&provider).await;
    assert!(told.iter().all(|answer| !answer.text.trim().is_empty()), "{told:?}");
    assert!(told.iter().all(|answer| answer.model == "smollm2-135m-instruct" && !answer.usage.estimated));
    assert!(told[0].text.contains("Paris"), "{}", told[0].text);
}
