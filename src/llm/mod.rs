//! The model client: one interface, an OpenAI-compatible provider and a simulated one.

mod error;
pub mod openai;
pub mod simulated;
mod usage;

use async_trait::async_trait;

use crate::model::{ChatMessage, TemplateRole, Usage};

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

/// One question to a model.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The model to ask; `None`: the provider's default.
    pub model: Option<String>,
    pub messages: Vec<ChatMessage>,
    /// The most tokens the answer may have; `None`: the provider's own limit.
    pub max_tokens: Option<u32>,
    pub scene: Scene,
}

/// One answer of a model.
#[derive(Debug, Clone)]
pub struct ChatAnswer {
    pub text: String,
    /// As the provider names it.
    pub model: String,
    pub usage: Usage,
    /// `stop`, `length`, … as the provider says.
    pub finish_reason: Option<String>,
    /// How many requests it took; the first try is 1.
    pub requests: u32,
    /// From the first request to the last byte, waits between tries included.
    pub duration_ms: u64,
}

/// Someone who answers questions.
#[async_trait]
pub trait ModelProvider: Send + Sync {
    /// Its name in records and logs: `openai` or `simulated`.
    fn name(&self) -> &'static str;

    /// The model asked when a request names none.
    fn default_model(&self) -> &str;

    /// Whether its answers are made up by this program.
    fn is_simulated(&self) -> bool;

    /// Asks, and tries again within bounds where that helps. Dropping the future ends the call.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatAnswer, ModelError>;
}
