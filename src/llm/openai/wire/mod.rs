//! Requests and answers as they stand on the wire. Both interfaces and both ways to answer, whole and as
//! a stream, meet in one [`Question`] and one [`Completion`]; what comes is taken apart field by field
//! and everything unknown is left alone.

pub(super) mod chat;
mod draft;
pub(super) mod responses;
pub(super) mod sse;
pub(super) mod stream;
#[cfg(test)]
mod tests;
mod usage;

use serde_json::Value;

use super::{manners::Manners, said::Said, text, wording::Wording};
use crate::{
    config::ApiStyle,
    llm::{ModelError, ModelErrorKind, OutputSchema},
    model::{ChatMessage, ToolCall, ToolSpec, Usage, Usd},
};

pub(super) use draft::{Draft, too_large};

/// The largest answer that is read.
pub(super) const MAX_ANSWER: usize = 16 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub model: &'a str,
    pub messages: &'a [ChatMessage],
    pub tools: &'a [ToolSpec],
    pub schema: Option<&'a OutputSchema>,
    pub max_tokens: Option<u32>,
}

impl Question<'_> {
    /// Whether the messages say `json`: providers refuse to answer in JSON that nobody spoke of.
    pub(super) fn says_json(&self) -> bool {
        let says = |text: &str| text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
        self.messages.iter().any(|message| says(&message.content))
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Completion {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub model: String,
    pub usage: Usage,
    pub cost: Option<Usd>,
    pub finish_reason: Option<String>,
}

/// Why an answer with a success status is none.
#[derive(Debug)]
pub(super) enum Fault {
    /// The provider says an error in it.
    Said(Box<Said>),
    Error(Box<ModelError>),
}

impl Fault {
    pub(super) fn new(kind: ModelErrorKind, message: String) -> Self {
        ModelError::new(kind, message).into()
    }
}

impl From<ModelError> for Fault {
    fn from(error: ModelError) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<Said> for Fault {
    fn from(said: Said) -> Self {
        Self::Said(Box::new(said))
    }
}

/// The path of an interface, behind the base of the address.
pub(super) fn path(api: ApiStyle) -> &'static [&'static str] {
    match api {
        ApiStyle::Chat => &["chat", "completions"],
        ApiStyle::Responses => &["responses"],
    }
}

/// The body of a request.
pub(super) fn body(api: ApiStyle, question: &Question<'_>, manners: &Manners) -> Value {
    match api {
        ApiStyle::Chat => chat::body(question, manners),
        ApiStyle::Responses => responses::body(question, manners),
    }
}

/// Reads the body of an answer that came as a whole.
pub(super) fn read_whole(api: ApiStyle, body: &[u8], wording: &Wording) -> Result<Draft, Fault> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(e) => return Err(Fault::new(ModelErrorKind::BadAnswer, not_json(body, &e, wording))),
    };
    if let Some(said) = Said::in_success(&value) {
        return Err(said.into());
    }
    let mut draft = Draft::default();
    let read = match api {
        ApiStyle::Chat => chat::read(&value, &mut draft)?,
        ApiStyle::Responses => responses::read(&value, &mut draft)?,
    };
    if !read {
        let message = match api {
            ApiStyle::Chat => format!("the answer of {} has no choices", wording.who),
            ApiStyle::Responses => format!("the answer of {} has no output", wording.who),
        };
        let quote = wording.quote_bytes(body, 200);
        return Err(Fault::new(ModelErrorKind::BadAnswer, format!("{message}: {quote}")));
    }
    Ok(draft)
}

fn not_json(body: &[u8], error: &serde_json::Error, wording: &Wording) -> String {
    let quote = wording.quote_bytes(body, 200);
    let who = &wording.who;
    if quote.is_empty() {
        return format!("the answer of {who} is empty");
    }
    if quote.starts_with('<') {
        return format!("the address of {who} answers a web page (check {}): {quote}", wording.base_url);
    }
    if error.is_eof() {
        return format!("the answer of {who} breaks off: {quote}");
    }
    format!("the answer of {who} is no JSON: {quote}")
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

/// A short name that the provider gave: of a model, of a reason to stop.
fn short(value: &Value, max: usize) -> Option<String> {
    value.as_str().map(|name| text::one_line(name, max)).filter(|name| !name.is_empty())
}
