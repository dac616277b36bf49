//! Against a real model, if a small one: llama.cpp's own server, its own fields and its own errors.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use productforge::{
    config::{ApiStyle, LlmConfig, ModelTimeouts, ProviderConfig},
    llm::{
        ChatAnswer, ChatRequest, ModelErrorKind, ModelProvider,
        openai::{Cassette, OpenAiProvider},
    },
    model::ChatMessage,
};
use serde_json::Value;

use super::{Notes, calculator, color, configured, provider, request};
use crate::support::small_model::SmallModel;

fn config(model: &SmallModel) -> ProviderConfig {
    ProviderConfig {
        base_url: model.base_url(),
        key: None,
        model: "smollm2-135m-instruct".to_owned(),
        max_tokens: Some(48),
        timeouts: ModelTimeouts { total: Duration::from_secs(120), ..ModelTimeouts::default() },
        ..crate::support::fake_model::FakeModel::start().provider("openai")
    }
}

fn check(answer: &ChatAnswer) {
    assert!(!answer.text.trim().is_empty());
    assert_eq!((answer.model.as_str(), answer.requests), ("smollm2-135m-instruct", 1));
    assert!(matches!(answer.finish_reason.as_deref(), Some("stop" | "length")), "{answer:?}");
    let usage = answer.usage;
    assert!(usage.prompt_tokens > 5 && (1..=48).contains(&usage.completion_tokens), "{usage:?}");
    assert_eq!(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert!(!usage.estimated);
}

#[tokio::test]
async fn a_real_model_answers_and_refuses() {
    let model = SmallModel::start();
    let question = request("What is the capital of France?");
    for stream in [true, false] {
        let provider = configured(ProviderConfig { stream, ..config(&model) });
        let notes = Notes::default();
        let answer = provider.complete(&question, &notes).await.unwrap();
        check(&answer);
        let heard: Vec<String> = notes.taken().into_iter().flatten().collect();
        assert_eq!(heard.concat(), answer.text);
        assert_eq!((heard.len() > 1, answer.first_token_ms.is_some()), (stream, stream), "{heard:?}");

        // By a client of its own: the server may close a connection that was kept, and a request that meets this
        // end is rightly sent a second time.
        let provider = configured(ProviderConfig { stream, ..config(&model) });
        let error = provider.complete(&request(&"word ".repeat(9_000)), &notes).await.unwrap_err();
        assert_eq!(
            (error.kind, error.status, error.requests),
            (ModelErrorKind::ContextTooLong, Some(400), 1)
        );
        assert!(error.context_limit.is_some_and(|limit| limit >= 1_024), "{error:?}");
    }

    let astray = LlmConfig { base_url: Some(model.base_url().replace("/v1", "/v9")), ..model.config() };
    let error = super::provider(&astray).complete(&request("hi"), &Notes::default()).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::BadRequest);
    assert!(error.message.contains("OPENAI_BASE_URL"), "{error}");
}

#[tokio::test]
async fn a_real_model_answers_in_a_given_form() {
    let model = SmallModel::start();
    for stream in [true, false] {
        let provider = configured(ProviderConfig { stream, ..config(&model) });
        let question = ChatRequest { schema: Some(color()), ..request("The color of the sky, as JSON?") };
        let answer = provider.complete(&question, &Notes::default()).await.unwrap();
        let form: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(form["color"].is_string(), "{form}");
        // It takes tools too, and is too small to use them.
        let question = ChatRequest { tools: vec![calculator()], ..request("Hello!") };
        let answer = provider.complete(&question, &Notes::default()).await.unwrap();
        assert!(!answer.text.is_empty() || !answer.tool_calls.is_empty());
    }
}

#[tokio::test]
async fn a_real_server_speaks_responses() {
    let model = SmallModel::start();
    for stream in [true, false] {
        let provider = configured(ProviderConfig { stream, api: ApiStyle::Responses, ..config(&model) });
        let notes = Notes::default();
        let answer = provider.complete(&request("What is the capital of France?"), &notes).await.unwrap();
        check(&answer);
        let heard: Vec<String> = notes.taken().into_iter().flatten().collect();
        assert_eq!(heard.concat(), answer.text);
        assert_eq!(heard.len() > 1, stream, "{heard:?}");
    }
}

/// Where the recorded conversation is.
pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/llm/cassettes/smollm2.jsonl")
}

/// The configuration of the recorded conversation.
pub fn of_the_cassette(base_url: &str) -> LlmConfig {
    LlmConfig {
        api_key: None,
        base_url: Some(base_url.to_owned()),
        model: "smollm2-135m-instruct".to_owned(),
        max_tokens: Some(48),
        ..crate::support::fake_model::FakeModel::start().config()
    }
}

/// The conversation that is recorded in `cassettes/smollm2.jsonl`.
pub async fn tell(provider: &OpenAiProvider) -> Vec<ChatAnswer> {
    let mut answers = Vec::new();
    let mut question = request("What is the capital of France?");
    answers.push(provider.complete(&question, &Notes::default()).await.unwrap());
    question.messages.push(ChatMessage::assistant(answers[0].text.clone(), vec![]));
    question.messages.push(ChatMessage::user("And of Spain?"));
    answers.push(provider.complete(&question, &Notes::default()).await.unwrap());
    let form = ChatRequest { schema: Some(color()), ..request("The color of the sky, as JSON?") };
    answers.push(provider.complete(&form, &Notes::default()).await.unwrap());
    answers
}

/// Records the conversation.
async fn record(path: &Path) -> Vec<ChatAnswer> {
    let model = SmallModel::start();
    let provider = provider(&of_the_cassette(&model.base_url()));
    tell(&provider.with_cassette(Arc::new(Cassette::record(path).unwrap()))).await
}

#[tokio::test]
async fn a_conversation_with_it_is_recorded_and_played_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smollm2.jsonl");
    let told = record(&path).await;
    let played = provider(&of_the_cassette("http://127.0.0.1:9/v1"));
    let again = tell(&played.with_cassette(Arc::new(Cassette::replay(&path).unwrap()))).await;
    let seen = |answers: &[ChatAnswer]| -> Vec<_> {
        answers.iter().map(|a| (a.text.clone(), a.usage, a.finish_reason.clone())).collect()
    };
    assert_eq!(seen(&told), seen(&again));
    // Makes the committed recording anew.
    if std::env::var_os("RECORD_CASSETTE").is_some() {
        std::fs::copy(&path, committed()).unwrap();
    }
}
