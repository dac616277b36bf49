//! A model provider as the configuration describes it.

use std::{collections::BTreeMap, time::Duration};

use super::{Secret, preset};

/// Which of OpenAI's two interfaces a provider is asked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiStyle {
    /// `POST {base}/chat/completions`: what every server speaks.
    #[default]
    Chat,
    /// `POST {base}/responses`.
    Responses,
}

impl ApiStyle {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelTimeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request to the first token; without streaming, to the answer.
    pub first_byte: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// From the request to the last byte of its answer.
    pub total: Duration,
}

impl Default for ModelTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// Prices of a model in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceConfig {
    pub input: f64,
    /// `None`: as much as others.
    pub cached_input: Option<f64>,
    pub output: f64,
}

/// A model provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// What it is called in `provider/model`, in records and in logs.
    pub name: String,
    /// Without a slash at its end.
    pub base_url: String,
    pub key: Option<Secret>,
    pub api: ApiStyle,
    /// The model that is asked when none is named.
    pub model: String,
    /// Headers that every request carries beside the usual ones.
    pub headers: Vec<(String, Secret)>,
    /// The most tokens an answer may have where the request does not say.
    pub max_tokens: Option<u32>,
    /// Whether answers are streamed.
    pub stream: bool,
    pub timeouts: ModelTimeouts,
    /// How many requests a minute may be made, over all processes; `None`: what it lets through.
    pub requests_per_minute: Option<u32>,
    /// How many jobs may ask it at once, over all processes.
    pub concurrency: Option<u32>,
    /// Prices by model, before those of the built-in table; `*` for every model.
    pub prices: BTreeMap<String, PriceConfig>,
}

impl ProviderConfig {
    /// The host that is asked, with its port: an address can hold a password, so it is not told as a whole.
    pub fn host(&self) -> String {
        preset::host(&self.base_url)
    }

    /// Whose service it is, by its address: `openai` for whatever is called by any name and asks OpenAI.
    /// `None` for a server that nobody knows.
    pub fn vendor(&self) -> Option<&'static str> {
        let host = self.host();
        let known = preset::all().iter().filter(|preset| preset.needs_key);
        known.filter(|preset| preset::host(preset.base_url) == host).map(|preset| preset.name).next()
    }
}
