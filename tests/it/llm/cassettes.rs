//! Conversations that are recorded once and played again without a network.

use std::{path::Path, sync::Arc};

use productforge::{
    config::LlmConfig,
    llm::{
        Deaf, ModelErrorKind, ModelProvider,
        openai::{Cassette, OpenAiProvider},
    },
};

use super::request;
use crate::support::{
    fake_model::{FAKE_KEY, FakeModel, Reply},
    small_model::SmallModel,
};

/// A conversation with a real model that was recorded once; `RECORD=1` records it anew.
const REAL: &str = "tests/it/llm/cassettes/smollm2.jsonl";

fn playing(config: &LlmConfig, file: &Path) -> OpenAiProvider {
    OpenAiProvider::new(config).unwrap().with_cassette(Arc::new(Cassette::replay(file).unwrap()))
}

#[tokio::test]
async fn what_was_recorded_is_played_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.jsonl");
    let fake = FakeModel::scripted([
        Reply::error(500, "oops", "server_error", "The server had an error"),
        Reply::answer("Grüße aus 東京, first."),
        Reply::answer("Second."),
    ]);
    let config = fake.config();
    let recording =
        OpenAiProvider::new(&config).unwrap().with_cassette(Arc::new(Cassette::record(&file).unwrap()));
    let mut said = Vec::new();
    for _ in 0..2 {
        said.push(recording.complete(&request("hi"), &Deaf).await.unwrap());
    }
    let calls = fake.calls();
    drop(fake);

    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 3, "the fault is part of it");
    assert!(!text.contains(FAKE_KEY) && !text.to_lowercase().contains("authorization"), "{text}");
    let player = playing(&LlmConfig { api_key: None, ..config }, &file);
    for said in &said {
        let again = player.complete(&request("hi"), &Deaf).await.unwrap();
        assert_eq!((&again.text, again.usage, again.requests), (&said.text, said.usage, said.requests));
    }
    // The last answer is played again and again; what was never asked has none.
    assert_eq!(player.complete(&request("hi"), &Deaf).await.unwrap().text, "Second.");
    let error = player.complete(&request("something else"), &Deaf).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::BadRequest);
    assert!(error.message.contains("talk.jsonl") && error.message.contains("something else"), "{error}");
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn a_real_conversation_is_run_again_offline() {
    let file = Path::new(REAL);
    if std::env::var_os("RECORD").is_some() {
        let model = SmallModel::start();
        std::fs::remove_file(file).ok();
        let cassette = Arc::new(Cassette::record(file).unwrap());
        let provider = OpenAiProvider::new(&model.config()).unwrap().with_cassette(cassette);
        provider.complete(&request("What is the capital of France?"), &Deaf).await.unwrap();
        let long = "word ".repeat(9_000);
        provider.complete(&request(&long), &Deaf).await.unwrap_err();
    }
    // What the recording model was asked with; no server is there.
    let config = LlmConfig {
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        api_key: None,
        model: "smollm2-135m-instruct".to_owned(),
        max_tokens: Some(48),
        ..FakeModel::start().config()
    };
    let provider = playing(&config, file);
    let answer = provider.complete(&request("What is the capital of France?"), &Deaf).await.unwrap();
    assert!(!answer.text.trim().is_empty());
    assert!(answer.usage.prompt_tokens > 5 && !answer.usage.estimated, "{answer:?}");
    assert_eq!(answer.model, "smollm2-135m-instruct");
    let error = provider.complete(&request(&"word ".repeat(9_000)), &Deaf).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::ContextTooLong);
    assert!(error.context_limit.is_some(), "{error:?}");
}

#[test]
fn a_file_that_is_no_cassette_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.jsonl");
    std::fs::write(&file, "\n{\"path\": 1}\n").unwrap();
    let error = format!("{:#}", Cassette::replay(&file).err().unwrap());
    assert!(error.contains("line 2") && error.contains("talk.jsonl"), "{error}");
    assert!(Cassette::replay(folder.path().join("nothing")).is_err());
}
