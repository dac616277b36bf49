//! The request and the answer as they stand on the wire. Servers agree on the request and on little
//! else, so the answer is taken apart field by field and everything unknown is left alone.
//!
//! Whatever the interface and however it came, an answer is brought into the form of a chat completion
//! and read in one place ([`read`]).

pub(super) mod chat;
pub(super) mod events;
pub(super) mod responses;
mod stream;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::{classify::classify_success, quirks::Quirks, retry::Hints, text};
use crate::{
    config::ApiStyle,
    llm::{ChatRequest, ModelError, ModelErrorKind, usage},
    model::{ChatMessage, ToolCall, Usage, Usd},
};

pub(super) use stream::Stream;

/// No call uses more; a larger number is nonsense that would spoil sums.
const MOST_TOKENS: u64 = 1 << 40;

/// More tools than anybody asks for at once.
const MOST_TOOL_CALLS: usize = 128;

/// What the field for the longest answer is called in chat completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitField {
    /// Everywhere but at OpenAI.
    MaxTokens,
    /// At OpenAI, whose newer models refuse the old name.
    MaxCompletionTokens,
}

impl LimitField {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::MaxTokens => Self::MaxCompletionTokens,
            Self::MaxCompletionTokens => Self::MaxTokens,
        }
    }
}

/// A question, ready to be written.
pub(super) struct Question<'a> {
    pub model: &'a str,
    pub request: &'a ChatRequest,
    pub max_tokens: Option<u32>,
    pub stream: bool,
    pub quirks: Quirks,
}

/// The body of a request.
pub(super) fn body(api: ApiStyle, question: &Question<'_>) -> Vec<u8> {
    let body = match api {
        ApiStyle::Chat => chat::body(question),
        ApiStyle::Responses => responses::body(question),
    };
    body.to_string().into_bytes()
}

/// A completion, read.
#[derive(Debug)]
pub(super) struct Completion {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub model: String,
    pub usage: Usage,
    /// What the provider says that it cost.
    pub cost: Option<Usd>,
    pub finish_reason: Option<String>,
}

/// Where an answer came from, as far as reading it needs that.
pub(super) struct Origin<'a> {
    pub api: ApiStyle,
    pub status: u16,
    pub hints: &'a Hints,
    pub asked_model: &'a str,
    pub messages: &'a [ChatMessage],
}

/// Reads the whole body of an answer that came with a success status.
pub(super) fn read_body(origin: &Origin<'_>, body: &[u8]) -> Result<Completion, ModelError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(value) => read(origin, &value),
        Err(e) => fail(origin, ModelErrorKind::BadAnswer, not_json(body, &e)),
    }
}

/// Reads an answer.
pub(super) fn read(origin: &Origin<'_>, value: &Value) -> Result<Completion, ModelError> {
    if let Some(error) = classify_success(origin.status, origin.hints, value) {
        return Err(error);
    }
    // Some servers answer either interface in the form of the other.
    match (origin.api, value.get("output")) {
        (ApiStyle::Responses, _) | (_, Some(Value::Array(_))) if value.get("choices").is_none() => {
            match responses::as_chat(value) {
                Ok(chat) => read_chat(origin, &chat),
                Err(why) => fail(origin, ModelErrorKind::BadAnswer, why),
            }
        }
        _ => read_chat(origin, value),
    }
}

fn read_chat(origin: &Origin<'_>, value: &Value) -> Result<Completion, ModelError> {
    let choice = &value["choices"][0];
    if !choice.is_object() {
        let quote = text::one_line(&value.to_string(), 200);
        return fail(
            origin,
            ModelErrorKind::BadAnswer,
            format!("the provider's answer has no choices: {quote}"),
        );
    }
    let message = &choice["message"];
    let finish_reason = choice["finish_reason"].as_str().map(|r| text::one_line(r, 100));
    let refusal = message["refusal"].as_str().unwrap_or_default();
    let text = match content(&message["content"]) {
        text if text.trim().is_empty() => content(&choice["text"]),
        text => text,
    };
    if finish_reason.as_deref() == Some("content_filter") {
        let message = "the provider's filter stopped the answer".to_owned();
        return fail(origin, ModelErrorKind::Refused, message);
    }
    if text.trim().is_empty() && !refusal.trim().is_empty() {
        let quote = text::one_line(refusal, text::MAX_QUOTE);
        return fail(origin, ModelErrorKind::Refused, format!("the model refused to answer: {quote}"));
    }
    let tool_calls = tool_calls(message);
    if text.trim().is_empty() && tool_calls.is_empty() {
        return fail(
            origin,
            ModelErrorKind::BadAnswer,
            why_empty(message, finish_reason.as_deref()).to_owned(),
        );
    }
    let model = value["model"].as_str().map(|m| text::one_line(m, 200)).filter(|m| !m.is_empty());
    let usage = usage_of(&value["usage"]).unwrap_or_else(|| usage::estimate(origin.messages, &text));
    Ok(Completion {
        text,
        tool_calls,
        model: model.unwrap_or_else(|| origin.asked_model.to_owned()),
        usage,
        cost: value["usage"]["cost"].as_f64().and_then(Usd::from_dollars),
        finish_reason,
    })
}

pub(super) fn fail<T>(origin: &Origin<'_>, kind: ModelErrorKind, message: String) -> Result<T, ModelError> {
    Err(ModelError { status: Some(origin.status), ..ModelError::new(kind, message) })
}

/// The tools that a message asks for. The arguments are kept as they are, whatever they are.
fn tool_calls(message: &Value) -> Vec<ToolCall> {
    let asked = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let call = |(n, asked): (usize, &Value)| {
        let name = asked["function"]["name"].as_str()?.to_owned();
        let arguments = match &asked["function"]["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Ollama has written an object here.
            other => other.to_string(),
        };
        // An id is needed to answer it; some servers give none.
        let id = asked["id"].as_str().filter(|id| !id.is_empty());
        Some(ToolCall { id: id.map_or_else(|| format!("call_{n}"), str::to_owned), name, arguments })
    };
    asked.iter().take(MOST_TOOL_CALLS).enumerate().filter_map(call).collect()
}

/// The text of a content: a string, or parts of which the text ones count.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|p| p.as_str().or_else(|| p["text"].as_str()));
            texts.collect::<Vec<_>>().concat()
        }
        _ => String::new(),
    }
}

/// The counts of the provider; `None` when it gave none that could be true.
fn usage_of(value: &Value) -> Option<Usage> {
    let number = |field: &Value| {
        let number = field.as_u64().or_else(|| field.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
        number.unwrap_or_default().min(MOST_TOKENS)
    };
    let count = |name: &str| number(&value[name]);
    let (prompt_tokens, completion_tokens) = (count("prompt_tokens"), count("completion_tokens"));
    if prompt_tokens + completion_tokens == 0 {
        return None;
    }
    let cached =
        number(&value["prompt_tokens_details"]["cached_tokens"]).max(count("prompt_cache_hit_tokens"));
    let reasoning = number(&value["completion_tokens_details"]["reasoning_tokens"]);
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: count("total_tokens").max(prompt_tokens + completion_tokens),
        cached_tokens: cached.min(prompt_tokens),
        reasoning_tokens: reasoning.min(completion_tokens),
        estimated: false,
    })
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    let quote = text::one_line(&start, 200);
    if quote.is_empty() {
        return "the provider's answer is empty".to_owned();
    }
    if quote.starts_with('<') {
        return format!("the provider's address answers a web page (check OPENAI_BASE_URL): {quote}");
    }
    if error.is_eof() {
        return format!("the provider's answer breaks off: {quote}");
    }
    format!("the provider's answer is no JSON: {quote}")
}

/// Why a completion has no text.
fn why_empty(message: &Value, finish_reason: Option<&str>) -> &'static str {
    let has = |name: &str| !matches!(&message[name], Value::Null) && message[name] != json!([]);
    match finish_reason {
        Some("length") => {
            "the model reached its limit of tokens before it wrote any text (raise MODEL_MAX_TOKENS)"
        }
        _ if has("tool_calls") || has("function_call") => "the model called a tool without a name",
        _ => "the model answered an empty text",
    }
}
