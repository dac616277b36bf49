//! The model client, over real HTTP: what it sends, what it bears, what it gives back.

mod cassettes;
mod faults;
mod requests;
mod retries;
mod schema;
mod small_model;
mod streams;

use std::time::Duration;

use productforge::{
    config::LlmConfig,
    llm::{
        ChatAnswer, ChatRequest, Deaf, ModelError, ModelProvider,
        openai::{OpenAiProvider, RetryPolicy},
    },
    model::ChatMessage,
};

use crate::support::fake_model::{FAKE_KEY, FakeModel};

/// Retries that do not make a test wait.
const QUICK: RetryPolicy = RetryPolicy {
    base: Duration::from_millis(2),
    cap: Duration::from_millis(8),
    max_requests: 4,
    longest_wait: Duration::from_secs(1),
};

fn provider(config: &LlmConfig) -> OpenAiProvider {
    OpenAiProvider::new(config).unwrap().with_retry(QUICK)
}

fn request(text: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![ChatMessage::system("Be short."), ChatMessage::user(text)],
        ..ChatRequest::default()
    }
}

/// Asks a fake model one question.
async fn ask(fake: &FakeModel) -> Result<ChatAnswer, ModelError> {
    provider(&fake.config()).complete(&request("How are you?"), &Deaf).await
}

/// The error of a question to a fake model, which never holds the key.
async fn error_of(fake: &FakeModel) -> ModelError {
    let error = ask(fake).await.expect_err("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(FAKE_KEY) && !shown.contains("sk-test"), "{shown}");
    assert!(!error.message.chars().any(char::is_control), "{shown}");
    error
}
