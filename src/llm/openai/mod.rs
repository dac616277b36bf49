//! Any server that speaks OpenAI's chat completions or responses: OpenAI itself, Azure, Groq, OpenRouter,
//! Ollama, vLLM, llama.cpp, LM Studio.
//!
//! One call makes up to four requests ([`RetryPolicy`]), and some more where the server does not take
//! part of the request ([`manners`]). What fails is told by what has to be done about it ([`classify`]).

mod call;
mod cassette;
mod classify;
#[cfg(test)]
mod classify_tests;
mod complaint;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod hear;
mod limits;
mod manners;
mod models;
mod retry;
mod said;
mod text;
mod transport;
mod wire;
mod wording;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{
    ChatAnswer, ChatRequest, Listener, ModelError, ModelProvider, Route,
    pacing::{Lane, Pacer, Unpaced},
};
use crate::config::{ApiStyle, LlmConfig, ModelTimeouts, ProviderConfig, Secret};

pub use cassette::Cassette;
pub use models::{Listed, list_models};
pub use retry::RetryPolicy;

use manners::{LimitField, Manners, Memory, Rung};
use transport::Transport;
use wording::Wording;

/// The address that is asked when none is configured.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// An OpenAI-compatible server.
pub struct OpenAiProvider {
    name: String,
    api: ApiStyle,
    default_model: String,
    max_tokens: Option<u32>,
    transport: Transport,
    wording: Arc<Wording>,
    retry: RetryPolicy,
    pacer: Arc<dyn Pacer>,
    lane: Lane,
    /// How requests look before anybody has complained.
    usual: Manners,
    memory: Memory,
}

impl OpenAiProvider {
    /// The provider of the `OPENAI_*` variables; its requests go at once.
    ///
    /// Fails when the address is no URL, or when it is `https` and the machine has no CA certificates.
    pub fn new(config: &LlmConfig) -> anyhow::Result<Self> {
        Self::paced(config, Arc::new(Unpaced))
    }

    /// The same with a pacer.
    pub fn paced(config: &LlmConfig, pacer: Arc<dyn Pacer>) -> anyhow::Result<Self> {
        let provider = ProviderConfig {
            name: "openai".to_owned(),
            base_url: config.base_url.clone().unwrap_or_else(|| DEFAULT_BASE_URL.to_owned()),
            key: config.api_key.clone(),
            api: ApiStyle::Chat,
            model: config.model.clone(),
            headers: Vec::new(),
            max_tokens: config.max_tokens,
            stream: config.stream,
            timeouts: ModelTimeouts { total: config.timeout, ..ModelTimeouts::default() },
            requests_per_minute: None,
            concurrency: None,
            prices: BTreeMap::new(),
        };
        let provider = Self::from_config(provider, pacer)?;
        Ok(match (&config.replay, &config.record) {
            (Some(path), _) => provider.with_cassette(Arc::new(Cassette::replay(path)?)),
            (None, Some(path)) => provider.with_cassette(Arc::new(Cassette::record(path)?)),
            (None, None) => provider,
        })
    }

    /// A configured provider. `pacer` says when each of its requests may go.
    ///
    /// Fails when its address is no URL or a header does not fit, or when the address is `https` and the
    /// machine has no CA certificates.
    pub fn from_config(config: ProviderConfig, pacer: Arc<dyn Pacer>) -> anyhow::Result<Self> {
        let secrets = config.key.iter().chain(config.headers.iter().map(|(_, value)| value)).cloned();
        let wording = Arc::new(Wording::new(&config.name, secrets.collect()));
        let transport = Transport::new(&config, wording.clone())?;
        let openai = transport.host() == "api.openai.com";
        let newest = openai || transport.host().ends_with(".openai.azure.com");
        Ok(Self {
            lane: lane(&config),
            usual: Manners {
                limit: if newest { LimitField::MaxCompletionTokens } else { LimitField::MaxTokens },
                rung: Rung::Schema,
                strict: true,
                stream: config.stream,
                stream_options: true,
                obfuscation: openai,
                store: true,
            },
            memory: Memory::default(),
            name: config.name,
            api: config.api,
            default_model: config.model,
            max_tokens: config.max_tokens,
            transport,
            wording,
            retry: RetryPolicy::default(),
            pacer,
        })
    }

    /// The same with other bounds of trying again.
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The same with its exchanges recorded or played back.
    pub fn with_cassette(mut self, cassette: Arc<Cassette>) -> Self {
        self.transport.set_cassette(cassette);
        self
    }

    /// What its pacer knows it by.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }
}

#[async_trait]
impl ModelProvider for OpenAiProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn default_model(&self) -> &str {
        &self.default_model
    }

    fn is_simulated(&self) -> bool {
        false
    }

    fn route(&self, model: Option<&str>) -> Route {
        Route {
            provider: self.name.clone(),
            model: model.filter(|model| !model.is_empty()).unwrap_or(&self.default_model).to_owned(),
            max_tokens: self.max_tokens,
        }
    }

    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError> {
        call::complete(self, request, listener).await
    }
}

fn lane(config: &ProviderConfig) -> Lane {
    let key = config.key.as_ref().map(Secret::expose).unwrap_or_default();
    let hash = Sha256::digest(format!("{}\n{key}", config.base_url));
    Lane {
        provider: config.name.clone(),
        fingerprint: hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect(),
        requests_per_minute: config.requests_per_minute,
    }
}
