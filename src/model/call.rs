//! Model calls: the journaled answer of a model, with everything that led to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Spending, Timestamp, Usd, iso};

/// Who says a message of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageRole {
    System,
    User,
    Assistant,
    /// What a tool gave back.
    Tool,
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatMessage {
    pub role: MessageRole,
    pub content: String,
    /// The tools that the model asked for; only in messages of the assistant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The tool call that this answers; only in messages of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    fn new(role: MessageRole, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }

    pub fn system(content: impl Into<String>) -> Self {
        Self::new(MessageRole::System, content)
    }

    pub fn user(content: impl Into<String>) -> Self {
        Self::new(MessageRole::User, content)
    }

    /// What the model said itself, with the tools it asked for.
    pub fn assistant(content: impl Into<String>, tool_calls: Vec<ToolCall>) -> Self {
        Self { tool_calls, ..Self::new(MessageRole::Assistant, content) }
    }

    /// What a tool gave back.
    pub fn tool(output: &ToolOutput) -> Self {
        Self {
            tool_call_id: Some(output.tool_call_id.clone()),
            ..Self::new(MessageRole::Tool, output.content.clone())
        }
    }
}

/// A tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    /// The provider's name of this call; unique within one answer.
    pub id: String,
    /// The tool.
    #[schema(example = "calculator")]
    pub name: String,
    /// JSON as the model wrote it; not always valid.
    #[schema(example = "{\"expression\": \"12 * 12\"}")]
    pub arguments: String,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolOutput {
    pub tool_call_id: String,
    pub name: String,
    /// The text that the model is shown.
    pub content: String,
    /// True when the tool failed; the text says why.
    #[serde(default)]
    pub failed: bool,
    pub duration_ms: u64,
}

/// Tokens of a call, as the provider reported them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// How many of the prompt's tokens the provider had read before and bills at less.
    #[serde(default)]
    pub cached_tokens: u64,
    /// How many of the completion's tokens are thoughts that do not show.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// True when the provider reported nothing and the numbers are counted from the text.
    #[serde(default)]
    pub estimated: bool,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.total_tokens += other.total_tokens;
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.estimated |= other.estimated;
    }
}

/// Why a call was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallPurpose {
    /// The job's own question.
    #[default]
    Work,
    /// To go on after tools have run.
    ToolResults,
    /// To get an answer into its form that could not be read.
    Repair,
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
    /// The tools that the answer asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What those gave back, once they have run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_outputs: Vec<ToolOutput>,
    /// Why it was made.
    #[serde(default)]
    pub purpose: CallPurpose,
    /// True when the prompt was longer than the model can read and was cut; the cuts show in it.
    #[serde(default)]
    pub trimmed: bool,
    pub finish_reason: Option<String>,
    pub usage: Usage,
    /// What it cost; null when nobody knows the price.
    #[serde(default)]
    pub cost_usd: Option<Usd>,
    /// True when the provider itself said what it cost.
    #[serde(default)]
    pub cost_reported: bool,
    /// From the beginning of the answered request to its first token; null when it was not streamed.
    #[serde(default)]
    pub first_token_ms: Option<u64>,
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

impl Call {
    /// What it used.
    pub fn spending(&self) -> Spending {
        Spending::of(self.usage, self.cost_usd)
    }
}
