//! The request and the answer as they stand on the wire. Servers agree on the request and on little
//! else, so the answer is taken apart field by field and everything unknown is left alone.

use serde_json::{Value, json};

use super::{classify::classify_success, retry::Hints, text};
use crate::{
    llm::{ModelError, ModelErrorKind, usage},
    model::{ChatMessage, Usage},
};

/// No call uses more; a larger number is nonsense that would spoil sums.
const MOST_TOKENS: u64 = 1 << 40;

/// What the field for the longest answer is called.
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
}

/// The body of a request.
pub(super) fn request_body(
    model: &str,
    messages: &[ChatMessage],
    max_tokens: Option<u32>,
    field: LimitField,
) -> Vec<u8> {
    let mut body = json!({"model": model, "messages": messages});
    if let Some(max) = max_tokens {
        body[field.as_str()] = max.into();
    }
    body.to_string().into_bytes()
}

/// Whether an error complains about the name of the field for the longest answer.
pub(super) fn rejects_field(error: &ModelError, field: LimitField) -> bool {
    let words = error.message.to_lowercase();
    error.kind == ModelErrorKind::BadRequest
        && words.contains(field.as_str())
        && ["unsupported", "not supported", "unrecognized", "not permitted", "extra"]
            .iter()
            .any(|complaint| words.contains(complaint))
}

/// A completion, read.
#[derive(Debug)]
pub(super) struct Completion {
    pub text: String,
    pub model: String,
    pub usage: Usage,
    pub finish_reason: Option<String>,
}

/// Reads the body of an answer that came with a success status.
pub(super) fn read_answer(
    status: u16,
    hints: &Hints,
    body: &[u8],
    asked_model: &str,
    messages: &[ChatMessage],
) -> Result<Completion, ModelError> {
    let fail = |kind, message: String| {
        Err(ModelError { kind, message, status: Some(status), code: None, retry_after: None, requests: 1 })
    };
    let bad = |message: String| fail(ModelErrorKind::BadAnswer, message);

    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(e) => return bad(not_json(body, &e)),
    };
    if let Some(error) = classify_success(status, hints, &value) {
        return Err(error);
    }
    let choice = &value["choices"][0];
    if !choice.is_object() {
        let quote = text::one_line(&String::from_utf8_lossy(body), 200);
        return bad(format!("the provider's answer has no choices: {quote}"));
    }
    let message = &choice["message"];
    let finish_reason = choice["finish_reason"].as_str().map(|r| text::one_line(r, 100));
    let refusal = message["refusal"].as_str().unwrap_or_default();
    let text = match content(&message["content"]) {
        text if text.trim().is_empty() => content(&choice["text"]),
        text => text,
    };
    if finish_reason.as_deref() == Some("content_filter") {
        return fail(ModelErrorKind::Refused, "the provider's filter stopped the answer".to_owned());
    }
    if text.trim().is_empty() && !refusal.trim().is_empty() {
        let quote = text::one_line(refusal, text::MAX_QUOTE);
        return fail(ModelErrorKind::Refused, format!("the model refused to answer: {quote}"));
    }
    if text.trim().is_empty() {
        return bad(why_empty(message, finish_reason.as_deref()).to_owned());
    }
    let model = value["model"].as_str().map(|m| text::one_line(m, 200)).filter(|m| !m.is_empty());
    let usage = usage_of(&value["usage"]).unwrap_or_else(|| usage::estimate(messages, &text));
    Ok(Completion { text, model: model.unwrap_or_else(|| asked_model.to_owned()), usage, finish_reason })
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
    let count = |name: &str| {
        let field = &value[name];
        let number = field.as_u64().or_else(|| field.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
        number.unwrap_or_default().min(MOST_TOKENS)
    };
    let (prompt_tokens, completion_tokens) = (count("prompt_tokens"), count("completion_tokens"));
    if prompt_tokens + completion_tokens == 0 {
        return None;
    }
    let total_tokens = count("total_tokens").max(prompt_tokens + completion_tokens);
    Some(Usage { prompt_tokens, completion_tokens, total_tokens, ..Usage::default() })
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    let quote = text::one_line(&start, 200);
    if quote.is_empty() {
        return "the provider's answer is empty".to_owned();
    }
    if quote.starts_with("data:") {
        return "the provider streams although no stream was asked for".to_owned();
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
        _ if has("tool_calls") || has("function_call") => "the model called a tool instead of answering",
        _ => "the model answered an empty text",
    }
}
