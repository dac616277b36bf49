//! Model calls: the journaled answer of a model, with everything that led to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso};

/// Who says a message of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    System,
    User,
    Assistant,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatMessage {
    pub role: MessageRole,
    pub content: String,
}

impl ChatMessage {
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: MessageRole::System, content: content.into() }
    }

    pub fn user(content: impl Into<String>) -> Self {
        Self { role: MessageRole::User, content: content.into() }
    }
}

/// Tokens of a call, as the provider reported them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// True when the provider reported nothing and the numbers are counted from the text.
    #[serde(default)]
    pub estimated: bool,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
        self.estimated |= other.estimated;
    }
}

/// One answered model call. It is stored before the answer is used, so that a crash pays for it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    pub job_id: String,
    /// Which call of its job this is; the first is 1.
    pub number: u32,
    /// The attempt of the job that made it; the first is 1.
    pub attempt: u32,
    pub provider: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// True when no model was asked: the answer was made by the built-in simulation.
    pub simulated: bool,
    /// The exact prompt.
    pub messages: Vec<ChatMessage>,
    pub answer: String,
    pub finish_reason: Option<String>,
    pub usage: Usage,
    /// From the first request to the last byte of the answer, retries included.
    pub duration_ms: u64,
    /// How many requests it took; the first try is 1.
    pub requests: u32,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
}
