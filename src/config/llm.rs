//! Which models do the work: what the variables say, and the providers that come of it.

use std::{path::PathBuf, time::Duration};

use super::{ProviderConfig, Secret, providers, reader::Reader, values};

/// The default model of OpenAI.
pub(super) const DEFAULT_MODEL: &str = "gpt-4o-mini";

/// Which model does the work.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// `OPENAI_API_KEY`.
    pub api_key: Option<Secret>,
    /// `OPENAI_BASE_URL`. Alone it is enough (Ollama, vLLM, llama.cpp).
    pub base_url: Option<String>,
    /// `OPENAI_MODEL`: the default model; `provider/model` makes another provider the default one.
    pub model: String,
    /// `MODEL_TIMEOUT` (seconds): the most one request may take, where its provider does not say.
    pub timeout: Duration,
    /// `MODEL_MAX_TOKENS`: the most tokens an answer may have, where its provider does not say.
    pub max_tokens: Option<u32>,
    /// `MODEL_STREAM`: whether answers are streamed, where their provider does not say.
    pub stream: bool,
    /// `MODEL_RECORD`: a file that conversations with models are recorded in.
    pub record: Option<PathBuf>,
    /// `MODEL_REPLAY`: a file that conversations are played from; no provider is asked.
    pub replay: Option<PathBuf>,
    /// `SIMULATED_LATENCY_MS`: how long the simulated model "thinks".
    pub simulated_latency: Duration,
    /// Every provider by name: those of the file, and `openai` if `OPENAI_*` describe it.
    pub providers: Vec<ProviderConfig>,
    /// The name of the one that is asked when a model names none; nothing when there is none.
    pub default_provider: String,
}

impl LlmConfig {
    /// Whether no model is configured, so that answers are simulated.
    pub fn is_simulated(&self) -> bool {
        self.api_key.is_none() && self.base_url.is_none() && self.providers.is_empty()
    }

    /// The provider that is asked when a model names none.
    pub fn default_provider(&self) -> Option<&ProviderConfig> {
        self.providers.iter().find(|provider| provider.name == self.default_provider)
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let mut llm = Self {
            api_key: r.secret("OPENAI_API_KEY", values::header_value),
            base_url: r.optional("OPENAI_BASE_URL", values::http_url),
            model: r.value("OPENAI_MODEL", DEFAULT_MODEL, Ok),
            timeout: r.value("MODEL_TIMEOUT", "600", values::seconds(1, 86_400)),
            max_tokens: r.optional("MODEL_MAX_TOKENS", values::number(1, 10_000_000)),
            stream: r.value("MODEL_STREAM", "true", values::boolean),
            record: r.optional("MODEL_RECORD", |path| Ok(PathBuf::from(path))),
            replay: r.optional("MODEL_REPLAY", |path| Ok(PathBuf::from(path))),
            simulated_latency: Duration::from_millis(r.value(
                "SIMULATED_LATENCY_MS",
                "0",
                values::number(0, 3_600_000),
            )),
            providers: Vec::new(),
            default_provider: String::new(),
        };
        llm.providers = providers::read(r, &llm);
        llm.default_provider = providers::choose_default(r, &llm.model, &mut llm.providers);
        for provider in &llm.providers {
            let is_default = provider.name == llm.default_provider;
            providers::note(r, provider, is_default);
        }
        llm
    }
}
