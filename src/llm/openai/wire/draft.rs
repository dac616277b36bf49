//! An answer while it is put together, and what it comes to in the end.

use serde_json::Value;

use super::{Completion, Fault, MAX_ANSWER, Question, content};
use crate::{
    llm::{ModelErrorKind, openai::text, openai::wording::Wording, usage},
    model::{ToolCall, Usage, Usd},
};

/// A model that asks for more tools at once has lost its way.
const MAX_TOOL_CALLS: usize = 128;

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(in crate::llm::openai) struct Draft {
    pub text: String,
    pub refusal: String,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub cost: Option<Usd>,
    pub finish_reason: Option<String>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    /// Its place as the provider counts.
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Draft {
    /// Whether the model has asked for tools.
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// A tool call that came as a whole.
    pub(super) fn add_call(&mut self, id: &Value, name: &Value, arguments: &Value) -> Result<(), Fault> {
        self.push_call(None, text_of(id))?;
        self.extend_call(self.calls.len() - 1, name, arguments)
    }

    /// A piece of a tool call as chat completions stream it.
    pub(super) fn merge_call(&mut self, piece: &Value) -> Result<(), Fault> {
        let index = piece["index"].as_u64();
        let id = text_of(&piece["id"]);
        let function = &piece["function"];
        let last_of_index = self.calls.iter().rposition(|call| index.is_none() || call.index == index);
        // Some servers count every call as the first one, or do not count: then a new id begins a new call.
        let same = |call: &Call| id.is_empty() || call.id.is_empty() || call.id == id;
        let at = match last_of_index.filter(|at| same(&self.calls[*at])) {
            Some(at) => at,
            None => self.push_call(index, String::new())?,
        };
        if self.calls[at].id.is_empty() {
            self.calls[at].id = id;
        }
        self.extend_call(at, &function["name"], &function["arguments"])
    }

    fn push_call(&mut self, index: Option<u64>, id: String) -> Result<usize, Fault> {
        if self.calls.len() == MAX_TOOL_CALLS {
            let message = format!("the model asks for more than {MAX_TOOL_CALLS} tools at once");
            return Err(Fault::new(ModelErrorKind::BadAnswer, message));
        }
        self.calls.push(Call { index, id, name: String::new(), arguments: String::new() });
        Ok(self.calls.len() - 1)
    }

    fn extend_call(&mut self, at: usize, name: &Value, arguments: &Value) -> Result<(), Fault> {
        let call = &mut self.calls[at];
        let name = name.as_str().unwrap_or_default();
        // Some servers repeat the whole name in every piece.
        if call.name != name {
            call.name.push_str(name);
        }
        match arguments {
            Value::String(text) => call.arguments.push_str(text),
            Value::Null => {}
            // As JSON instead of JSON in a text.
            json => call.arguments.push_str(&json.to_string()),
        }
        self.check_size()
    }

    pub(super) fn push_text(&mut self, text: &str) -> Result<(), Fault> {
        self.text.push_str(text);
        self.check_size()
    }

    pub(super) fn push_refusal(&mut self, text: &str) -> Result<(), Fault> {
        self.refusal.push_str(text);
        self.check_size()
    }

    fn check_size(&self) -> Result<(), Fault> {
        let calls: usize = self.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        if self.text.len() + self.refusal.len() + calls <= MAX_ANSWER {
            return Ok(());
        }
        Err(too_large())
    }

    /// What the answer comes to.
    pub(in crate::llm::openai) fn finish(
        self,
        question: &Question<'_>,
        wording: &Wording,
    ) -> Result<Completion, Fault> {
        let Self { text, refusal, model, usage, cost, finish_reason, calls } = self;
        let says_nothing = text.trim().is_empty();
        if finish_reason.as_deref() == Some("content_filter") {
            let message = format!("the filter of {} stopped the answer", wording.who);
            return Err(Fault::new(ModelErrorKind::Refused, message));
        }
        if says_nothing && calls.is_empty() && !refusal.trim().is_empty() {
            let quote = wording.quote(&refusal, text::MAX_QUOTE);
            return Err(Fault::new(ModelErrorKind::Refused, format!("the model refused to answer: {quote}")));
        }
        if says_nothing && calls.is_empty() {
            return Err(Fault::new(ModelErrorKind::BadAnswer, why_empty(finish_reason.as_deref(), wording)));
        }
        if calls.iter().any(|call| call.name.trim().is_empty()) {
            let message = "the model asks for a tool and does not say for which".to_owned();
            return Err(Fault::new(ModelErrorKind::BadAnswer, message));
        }
        let tool_calls = named(calls);
        let usage = usage
            .unwrap_or_else(|| usage::estimate_all(question.messages, question.tools, &text, &tool_calls));
        let model = model.unwrap_or_else(|| question.model.to_owned());
        let text = if says_nothing { String::new() } else { text };
        Ok(Completion { text, tool_calls, model, usage, cost, finish_reason })
    }
}

/// An answer that is larger than is read.
pub(in crate::llm::openai) fn too_large() -> Fault {
    let message = format!("the provider's answer is larger than {} MiB", MAX_ANSWER >> 20);
    Fault::new(ModelErrorKind::BadAnswer, message)
}

/// Gives every call an id of its own, where the provider did not.
fn named(calls: Vec<Call>) -> Vec<ToolCall> {
    let mut named: Vec<ToolCall> = Vec::with_capacity(calls.len());
    for (i, Call { mut id, name, arguments, .. }) in calls.into_iter().enumerate() {
        let taken = |id: &str| named.iter().any(|call| call.id == id);
        if id.is_empty() || taken(&id) {
            let again = if id.is_empty() { "" } else { "_again" };
            // The provider may have given one of ours to another call.
            id = (i + 1..).map(|n| format!("call_{n}{again}")).find(|id| !taken(id)).unwrap_or_default();
        }
        named.push(ToolCall { id, name, arguments });
    }
    named
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        value => content(value),
    }
}

/// Why an answer has no text.
fn why_empty(finish_reason: Option<&str>, wording: &Wording) -> String {
    match finish_reason {
        Some("length" | "max_tokens" | "max_output_tokens" | "model_length") => format!(
            "the model reached its limit of tokens before it wrote any text (raise {})",
            wording.max_tokens
        ),
        _ => "the model answered an empty text".to_owned(),
    }
}
