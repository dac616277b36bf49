//! Any server that speaks OpenAI's chat completions: OpenAI itself, Azure, Groq, OpenRouter, Ollama,
//! vLLM, llama.cpp, LM Studio.
//!
//! `POST {base}/chat/completions`, without streaming. One call makes up to four requests
//! ([`RetryPolicy`]); what fails is told by what has to be done about it (`classify`).

mod classify;
#[cfg(test)]
mod classify_tests;
mod retry;
mod said;
mod text;
mod transport;
mod wire;
#[cfg(test)]
mod wire_tests;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider};
use crate::config::LlmConfig;

pub use retry::RetryPolicy;

use transport::{Failure, Transport};
use wire::{Completion, LimitField};

/// The address that is asked when none is configured.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// An OpenAI-compatible server.
pub struct OpenAiProvider {
    transport: Transport,
    default_model: String,
    max_tokens: Option<u32>,
    retry: RetryPolicy,
    /// Which name the server takes for the longest answer; learned from its complaints.
    new_limit_field: AtomicBool,
}

impl OpenAiProvider {
    /// Fails when the address is no URL, or when it is `https` and the machine has no CA certificates.
    pub fn new(config: &LlmConfig) -> anyhow::Result<Self> {
        let base = config.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        let transport = Transport::new(base, config.api_key.clone(), config.timeout)?;
        Ok(Self {
            new_limit_field: AtomicBool::new(transport.host() == "api.openai.com"),
            transport,
            default_model: config.model.clone(),
            max_tokens: config.max_tokens,
            retry: RetryPolicy::default(),
        })
    }

    /// The same with other bounds of trying again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    fn limit_field(&self) -> LimitField {
        match self.new_limit_field.load(Ordering::Relaxed) {
            true => LimitField::MaxCompletionTokens,
            false => LimitField::MaxTokens,
        }
    }

    /// One request.
    async fn ask(&self, model: &str, body: Bytes, request: &ChatRequest) -> Result<Completion, Failure> {
        let reply = self.transport.post(body).await?;
        let read = match reply.status {
            200..300 => wire::read_answer(reply.status, &reply.hints, &reply.body, model, &request.messages),
            // The key goes before the text is cut, so that no part of it is left at the end.
            status => {
                let body = self.transport.without_key(&String::from_utf8_lossy(&reply.body));
                Err(classify::classify(status, &reply.hints, &body))
            }
        };
        read.map_err(|error| Failure { error, should_retry: reply.hints.should_retry })
    }
}

#[async_trait]
impl ModelProvider for OpenAiProvider {
    fn name(&self) -> &str {
        "openai"
    }

    fn default_model(&self) -> &str {
        &self.default_model
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        _listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let started = Instant::now();
        let model = request.models.first().unwrap_or(&self.default_model);
        let max_tokens = request.max_tokens.or(self.max_tokens);
        let body = |field| Bytes::from(wire::request_body(model, &request.messages, max_tokens, field));
        let mut field = self.limit_field();
        let mut bytes = body(field);
        let mut renamed = false;
        let mut requests = 0;
        loop {
            requests += 1;
            let Failure { mut error, should_retry } = match self.ask(model, bytes.clone(), request).await {
                Ok(Completion { text, model, usage, finish_reason }) => {
                    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    return Ok(ChatAnswer {
                        text,
                        model,
                        usage,
                        finish_reason,
                        requests,
                        duration_ms,
                        provider: self.name().to_owned(),
                        ..ChatAnswer::default()
                    });
                }
                Err(failure) => failure,
            };
            error.requests = requests;
            error.message = self.transport.without_key(&error.message);
            error.code = error.code.map(|code| self.transport.without_key(&code));
            if !renamed && max_tokens.is_some() && wire::rejects_field(&error, field) {
                renamed = true;
                self.new_limit_field.store(field == LimitField::MaxTokens, Ordering::Relaxed);
                field = self.limit_field();
                bytes = body(field);
                continue;
            }
            let Some(wait) = self.retry.wait(&error, should_retry, requests, rand::random()) else {
                return Err(error);
            };
            log::warn!(
                "model call: request {requests} failed ({}), the next follows in {} ms: {error}",
                error.kind.as_str(),
                wait.as_millis()
            );
            tokio::time::sleep(wait).await;
        }
    }
}

/// An error that no answer of the provider stands behind.
fn own_error(kind: ModelErrorKind, message: String) -> ModelError {
    ModelError { kind, message, status: None, code: None, retry_after: None, requests: 1 }
}
