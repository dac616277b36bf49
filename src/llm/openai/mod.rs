//! Any server that speaks OpenAI's chat completions or responses: OpenAI itself, Azure, Groq, OpenRouter,
//! Ollama, vLLM, llama.cpp, LM Studio.
//!
//! One call makes up to four requests ([`RetryPolicy`]), each when the pacer lets it begin; what fails is told
//! by what has to be done about it (`classify`), what a server does not take is learned (`quirks`). Answers are
//! streamed unless the configuration says otherwise, and read in one way however they come (`wire`).

pub mod cassette;
mod classify;
#[cfg(test)]
mod classify_tests;
mod quirks;
mod retry;
mod said;
mod text;
mod transport;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    ChatAnswer, ChatRequest, Listener, ModelError, ModelErrorKind, ModelProvider, Route,
    pacing::{Lane, Outcome, Pacer, Unpaced},
};
use crate::config::{ApiStyle, LlmConfig, ModelTimeouts, ProviderConfig};

pub use cassette::Cassette;
pub use retry::RetryPolicy;

use quirks::{Asked, Form, Quirks};
use retry::Hints;
use transport::{Reply, Transport};
use wire::{Completion, LimitField, Origin, Question, Stream};

/// The address that is asked when none is configured.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// What the provider of the variables `OPENAI_…` is called.
const DEFAULT_NAME: &str = "openai";

/// The largest answer that is read, unpacked.
const MAX_ANSWER: usize = 16 << 20;

/// How long the end of a body is waited for once its stream has said that it is done.
const REST_OF_A_STREAM: Duration = Duration::from_millis(50);

/// How many models something is remembered of.
const MAX_MODELS: usize = 1_000;

/// An OpenAI-compatible server.
pub struct OpenAiProvider {
    config: ProviderConfig,
    transport: Transport,
    pacer: Arc<dyn Pacer>,
    lane: Lane,
    retry: RetryPolicy,
    /// What models take, by name.
    learned: Mutex<HashMap<String, Quirks>>,
}

/// A request that did not end in a completion.
struct Failure {
    error: ModelError,
    /// What the provider said about trying again.
    should_retry: Option<bool>,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self { error, should_retry: None }
    }
}

/// A completion, and what came with it.
struct Answered {
    completion: Completion,
    hints: Hints,
    first_token_ms: Option<u64>,
}

impl OpenAiProvider {
    /// The provider of the variables `OPENAI_…`, on its own. Fails when the address is no URL, or when it is
    /// `https` and the machine has no CA certificates.
    pub fn new(config: &LlmConfig) -> anyhow::Result<Self> {
        Self::paced(config, Arc::new(Unpaced))
    }

    /// The same with a pacer.
    pub fn paced(config: &LlmConfig, pacer: Arc<dyn Pacer>) -> anyhow::Result<Self> {
        Self::from_config(config_of(config), pacer)
    }

    /// A configured provider.
    pub fn from_config(config: ProviderConfig, pacer: Arc<dyn Pacer>) -> anyhow::Result<Self> {
        let transport = Transport::new(&config)?;
        let mut hash = Sha256::new();
        hash.update(config.base_url.as_bytes());
        hash.update([0]);
        hash.update(config.key.as_ref().map(|key| key.expose()).unwrap_or_default().as_bytes());
        let fingerprint = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let lane = Lane {
            provider: config.name.clone(),
            fingerprint,
            requests_per_minute: config.requests_per_minute,
        };
        Ok(Self { config, transport, pacer, lane, retry: RetryPolicy::default(), learned: Mutex::default() })
    }

    /// The same with other bounds of trying again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same with its conversations recorded, or played from a record.
    pub fn with_cassette(mut self, cassette: Arc<Cassette>) -> Self {
        self.transport.set_cassette(cassette);
        self
    }

    /// What it shares with other processes of the same configuration.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    fn quirks(&self, model: &str) -> Quirks {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.get(model).copied().unwrap_or_else(|| Quirks {
            limit_field: match self.transport.host() {
                "api.openai.com" => LimitField::MaxCompletionTokens,
                _ => LimitField::MaxTokens,
            },
            form: Form::Schema,
            stream_options: true,
            stream: true,
        })
    }

    fn learn(&self, model: &str, quirks: Quirks) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.len() < MAX_MODELS || learned.contains_key(model) {
            learned.insert(model.to_owned(), quirks);
        }
    }

    /// One request.
    async fn ask(
        &self,
        model: &str,
        body: Bytes,
        request: &ChatRequest,
        ear: &mut Ear<'_>,
    ) -> Result<Answered, Failure> {
        let begun = Instant::now();
        let mut reply = self.transport.post(body, begun).await?;
        let hints = std::mem::take(&mut reply.hints);
        let fail = |error| Failure { error, should_retry: hints.should_retry };
        if !(200..300).contains(&reply.status) {
            let status = reply.status;
            let body = self.transport.error_body(&mut reply, begun).await;
            // The key goes before the text is cut, so that no part of it is left at the end.
            let body = self.transport.without_key(&String::from_utf8_lossy(&body));
            return Err(fail(classify::classify(status, &hints, &body)));
        }
        let origin = Origin {
            api: self.config.api,
            status: reply.status,
            hints: &hints,
            asked_model: model,
            messages: &request.messages,
        };
        let read = match reply.is_stream {
            true => self.read_stream(&mut reply, &origin, begun, ear).await,
            false => {
                self.read_whole(&mut reply, &origin, begun, ear).await.map(|completion| (completion, None))
            }
        };
        let (completion, first_token_ms) = read.map_err(fail)?;
        Ok(Answered { completion, hints, first_token_ms })
    }

    async fn read_whole(
        &self,
        reply: &mut Reply,
        origin: &Origin<'_>,
        begun: Instant,
        ear: &mut Ear<'_>,
    ) -> Result<Completion, ModelError> {
        let mut body = Vec::new();
        while let Some(piece) = self.transport.next(reply, begun, body.is_empty()).await? {
            if body.len() + piece.len() > MAX_ANSWER {
                let message = format!("the provider's answer is larger than {} MiB", MAX_ANSWER >> 20);
                return wire::fail(origin, ModelErrorKind::BadAnswer, message);
            }
            body.extend_from_slice(&piece);
        }
        // A stream whatever its type says.
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        if [&b"data:"[..], b"event:", b": "].iter().any(|lead| body[start..].starts_with(lead)) {
            let mut stream = Stream::default();
            ear.hear(&stream.push(origin, &body[start..])?);
            return stream.finish(origin);
        }
        let completion = wire::read_body(origin, &body)?;
        ear.hear(&completion.text);
        Ok(completion)
    }

    async fn read_stream(
        &self,
        reply: &mut Reply,
        origin: &Origin<'_>,
        begun: Instant,
        ear: &mut Ear<'_>,
    ) -> Result<(Completion, Option<u64>), ModelError> {
        let mut stream = Stream::default();
        let mut first_token_ms = None;
        let mut first = true;
        while let Some(piece) = self.transport.next(reply, begun, first).await? {
            first = false;
            let added = stream.push(origin, &piece)?;
            if !added.is_empty() {
                first_token_ms.get_or_insert_with(|| millis(begun));
                ear.hear(&added);
            }
            if stream.is_done() {
                // What is left is the end of the body; read, it lets the connection be used again.
                let rest =
                    async { while let Ok(Some(_)) = self.transport.next(reply, begun, false).await {} };
                tokio::time::timeout(REST_OF_A_STREAM, rest).await.ok();
                break;
            }
        }
        Ok((stream.finish(origin)?, first_token_ms))
    }

    /// Makes an error fit to be shown.
    fn shown(&self, mut error: ModelError, requests: u32) -> ModelError {
        error.requests = requests;
        error.message = self.transport.without_key(&error.message);
        error.code = error.code.map(|code| self.transport.without_key(&code));
        if self.config.name != DEFAULT_NAME {
            let name = &self.config.name;
            error.message = error
                .message
                .replace("OPENAI_API_KEY", &format!("the key of provider '{name}'"))
                .replace("OPENAI_BASE_URL", &format!("the base_url of provider '{name}'"))
                .replace("OPENAI_MODEL", &format!("the model of provider '{name}'"));
        }
        error
    }
}

#[async_trait]
impl ModelProvider for OpenAiProvider {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn default_model(&self) -> &str {
        &self.config.model
    }

    fn is_simulated(&self) -> bool {
        false
    }

    fn route(&self, model: Option<&str>) -> Route {
        Route {
            provider: self.config.name.clone(),
            model: model.filter(|model| !model.is_empty()).unwrap_or(&self.config.model).to_owned(),
            max_tokens: self.config.max_tokens,
        }
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        let started = Instant::now();
        let model = request.models.first().filter(|model| !model.is_empty()).unwrap_or(&self.config.model);
        let max_tokens = match (request.max_tokens, self.config.max_tokens) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (asked, most) => asked.or(most),
        };
        let mut quirks = self.quirks(model);
        let mut ear = Ear { listener, heard: false };
        let (mut requests, mut tries) = (0, 0);
        loop {
            let stream = self.config.stream && quirks.stream;
            let question = Question { model, request, max_tokens, stream, quirks };
            let body = Bytes::from(wire::body(self.config.api, &question));
            if let Err(refused) = self.pacer.admit(&self.lane, self.retry.longest_wait).await {
                return Err(ModelError { requests, ..refused });
            }
            requests += 1;
            tries += 1;
            let Failure { error, should_retry } = match self.ask(model, body, request, &mut ear).await {
                Ok(answered) => {
                    let remaining = answered.hints.remaining;
                    self.pacer.tell(&self.lane, Outcome::Answered { remaining }).await;
                    let Completion { text, tool_calls, model, usage, cost, finish_reason } =
                        answered.completion;
                    return Ok(ChatAnswer {
                        text,
                        tool_calls,
                        provider: self.config.name.clone(),
                        model,
                        simulated: false,
                        usage,
                        cost_usd: cost,
                        finish_reason,
                        requests,
                        duration_ms: millis(started),
                        first_token_ms: answered.first_token_ms,
                    });
                }
                Err(failure) => failure,
            };
            let error = self.shown(error, requests);
            let (kind, retry_after) = (error.kind, error.retry_after);
            let asked = Asked {
                limited: max_tokens.is_some() && self.config.api == ApiStyle::Chat,
                formed: request.schema.is_some() && quirks.form != Form::Prompt,
                streamed: stream,
            };
            if let Some(next) = quirks.after(&error, asked) {
                // It answers, if not to this.
                self.pacer.tell(&self.lane, Outcome::Answered { remaining: None }).await;
                log::info!(
                    "{}: {model} does not take what it was asked with, and is asked otherwise: {error}",
                    self.config.name
                );
                self.learn(model, next);
                quirks = next;
                tries -= 1;
                ear.restart();
                continue;
            }
            let why = error.message.clone();
            self.pacer.tell(&self.lane, Outcome::Failed { kind, retry_after, why }).await;
            let Some(wait) = self.retry.wait(&error, should_retry, tries, rand::random()) else {
                return Err(error);
            };
            log::warn!(
                "model call: request {requests} failed ({}), the next follows in {} ms: {error}",
                kind.as_str(),
                wait.as_millis()
            );
            tokio::time::sleep(wait).await;
            ear.restart();
        }
    }
}

/// Passes on what is heard, and remembers whether there was any.
struct Ear<'a> {
    listener: &'a dyn Listener,
    heard: bool,
}

impl Ear<'_> {
    fn hear(&mut self, text: &str) {
        if !text.is_empty() {
            self.heard = true;
            self.listener.delta(text);
        }
    }

    fn restart(&mut self) {
        if std::mem::take(&mut self.heard) {
            self.listener.restart();
        }
    }
}

/// The provider that the variables `OPENAI_…` describe.
fn config_of(config: &LlmConfig) -> ProviderConfig {
    let timeouts = ModelTimeouts::default();
    ProviderConfig {
        name: DEFAULT_NAME.to_owned(),
        base_url: config.base_url.clone().unwrap_or_else(|| DEFAULT_BASE_URL.to_owned()),
        key: config.api_key.clone(),
        api: ApiStyle::Chat,
        model: config.model.clone(),
        headers: Vec::new(),
        max_tokens: config.max_tokens,
        stream: config.stream,
        timeouts: ModelTimeouts {
            first_byte: timeouts.first_byte.min(config.timeout),
            idle: timeouts.idle.min(config.timeout),
            total: config.timeout,
            ..timeouts
        },
        requests_per_minute: None,
        concurrency: None,
        prices: Default::default(),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An error that no answer of the provider stands behind.
fn own_error(kind: ModelErrorKind, message: String) -> ModelError {
    ModelError::new(kind, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::LlmConfig;

    /// Of no provider in particular.
    pub(super) fn config() -> LlmConfig {
        LlmConfig {
            api_key: None,
            base_url: Some("http://127.0.0.1:9/v1".to_owned()),
            model: "m".to_owned(),
            timeout: Duration::from_secs(1),
            max_tokens: None,
            stream: true,
            record: None,
            replay: None,
            simulated_latency: Duration::ZERO,
            providers: Vec::new(),
            default_provider: String::new(),
        }
    }
}
