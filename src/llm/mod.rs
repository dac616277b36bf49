//! The model client: one interface, an OpenAI-compatible provider, a simulated one, and a router that
//! makes one of several.

mod error;
pub mod openai;
pub mod pacing;
pub mod router;
#[cfg(test)]
mod router_tests;
pub mod simulated;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::{ChatMessage, TemplateRole, ToolCall, ToolSpec, Usage, Usd};

pub use error::{ModelError, ModelErrorKind};

/// What a call is for. It never leaves the process: providers see only the messages. The simulated
/// provider plays by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// The part that is played; `None` for a task outside a workflow.
    pub role: Option<TemplateRole>,
    /// The review round, the first is 1.
    pub round: u32,
    /// The agent that speaks.
    pub agent: String,
    /// What was asked for.
    pub brief: String,
}

/// The form that an answer has to have.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSchema {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// A JSON schema that providers accept as strict: an object at the root, every property required,
    /// no additional ones, no limits on numbers or lengths.
    pub schema: Value,
}

/// One question to a model.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    /// The models to ask, as `provider/model` or `model`: the first one, and the next one where that
    /// cannot answer. None: the default model.
    pub models: Vec<String>,
    pub messages: Vec<ChatMessage>,
    /// The most tokens the answer may have; `None`: the provider's own limit.
    pub max_tokens: Option<u32>,
    /// The tools that the model may ask for.
    pub tools: Vec<ToolSpec>,
    /// The form of the answer; the provider is asked for it as far as it can do that, so the answer
    /// has to be looked at all the same.
    pub schema: Option<Arc<OutputSchema>>,
    pub scene: Scene,
}

/// One answer of a model: a text, or tools that it asks for, or both.
#[derive(Debug, Clone, Default)]
pub struct ChatAnswer {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    /// Who answered: the name of a configured provider, or `simulated`.
    pub provider: String,
    /// As the provider names it.
    pub model: String,
    /// Whether the answer is made up by this program.
    pub simulated: bool,
    pub usage: Usage,
    /// What the provider says that it cost.
    pub cost_usd: Option<Usd>,
    /// `stop`, `length`, … as the provider says.
    pub finish_reason: Option<String>,
    /// How many requests it took; the first try is 1.
    pub requests: u32,
    /// From the first request to the last byte, waits between tries included.
    pub duration_ms: u64,
    /// From the beginning of the answered request to its first token; `None` when it was not streamed.
    pub first_token_ms: Option<u64>,
}

impl ChatAnswer {
    /// Whether the answer ends before its end, because it may not be longer.
    pub fn is_cut(&self) -> bool {
        Self::is_cut_by(self.finish_reason.as_deref())
    }

    /// The same of a recorded reason.
    pub fn is_cut_by(finish_reason: Option<&str>) -> bool {
        matches!(finish_reason, Some("length" | "max_tokens" | "max_output_tokens" | "model_length"))
    }
}

/// Hears an answer while it comes in. Must return at once.
pub trait Listener: Send + Sync {
    /// More of the text.
    fn delta(&self, text: &str);

    /// The request is made anew: what came before is void.
    fn restart(&self);
}

/// Hears nothing.
pub struct Deaf;

impl Listener for Deaf {
    fn delta(&self, _: &str) {}

    fn restart(&self) {}
}

/// Who would answer a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The name of the provider.
    pub provider: String,
    /// The model as that provider knows it.
    pub model: String,
    /// The most tokens that its answers have, where that is configured.
    pub max_tokens: Option<u32>,
}

/// Someone who answers questions.
#[async_trait]
pub trait ModelProvider: Send + Sync {
    /// Its name in records and logs: `openai`, that of a configured provider, or `simulated`.
    fn name(&self) -> &str;

    /// The model asked when a request names none.
    fn default_model(&self) -> &str;

    /// Whether its answers are made up by this program.
    fn is_simulated(&self) -> bool;

    /// Who would be asked for a model; `None`: the default one.
    fn route(&self, model: Option<&str>) -> Route {
        Route {
            provider: self.name().to_owned(),
            model: model.unwrap_or_else(|| self.default_model()).to_owned(),
            max_tokens: None,
        }
    }

    /// Asks, and tries again within bounds where that helps. Dropping the future ends the call.
    async fn complete(
        &self,
        request: &ChatRequest,
        listener: &dyn Listener,
    ) -> Result<ChatAnswer, ModelError>;
}
