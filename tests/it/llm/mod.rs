//! The model client, over real HTTP: what it sends, what it bears, what it gives back.

mod cassettes;
mod faults;
mod ladder;
mod openapi;
mod pacing;
mod requests;
mod responses;
mod retries;
mod small_model;
mod streams;
mod timeouts;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use productforge::{
    config::{LlmConfig, ProviderConfig},
    llm::{
        ChatAnswer, ChatRequest, Deaf, Listener, ModelError, ModelProvider, OutputSchema,
        openai::{OpenAiProvider, RetryPolicy},
        pacing::Unpaced,
    },
    model::{ChatMessage, ToolSpec},
};
use serde_json::json;

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

/// The client of a configured provider.
fn configured(config: ProviderConfig) -> OpenAiProvider {
    OpenAiProvider::from_config(config, Arc::new(Unpaced)).unwrap().with_retry(QUICK)
}

/// Writes down what it hears: texts, and `None` for a restart.
#[derive(Default)]
struct Notes(Mutex<Vec<Option<String>>>);

impl Notes {
    fn taken(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().clone()
    }
}

impl Listener for Notes {
    fn delta(&self, text: &str) {
        self.0.lock().unwrap().push(Some(text.to_owned()));
    }

    fn restart(&self) {
        self.0.lock().unwrap().push(None);
    }
}

fn calculator() -> ToolSpec {
    ToolSpec {
        name: "calculator".to_owned(),
        description: "Works out a sum.".to_owned(),
        parameters: json!({"type": "object", "properties": {"sum": {"type": "string"}}, "required": ["sum"]}),
    }
}

/// A form as providers accept it.
fn color() -> Arc<OutputSchema> {
    let schema = json!({"type": "object", "properties": {"color": {"type": "string"}},
        "required": ["color"], "additionalProperties": false});
    Arc::new(OutputSchema { name: "color".to_owned(), schema })
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
