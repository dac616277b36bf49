//! A model call as pages show it: the exact prompt, the answer, the tools, and what it took.

use serde::Serialize;

use crate::{
    http::markdown,
    model::{Call, CallPurpose, ChatMessage, MessageRole, ToolCall, Usage, iso},
};

/// What a page shows of a message of a prompt when it cannot show everything.
const PROMPT_EXCERPT: usize = 600;

/// How much of long texts a page shows. The page of one step shows all; that of a run, which has many steps
/// and is fetched again while it runs, shows beginnings where there is much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    Whole,
    Beginnings,
}

impl Texts {
    /// The part of a text that is shown, where beginnings are about so long.
    pub fn shown(self, text: &str, most: usize) -> &str {
        match self {
            Self::Whole => markdown::shorten(text).0,
            Self::Beginnings => beginning(text, most),
        }
    }

    pub fn cuts(self, text: &str, most: usize) -> bool {
        self.shown(text, most).len() < text.len()
    }
}

/// The first so many bytes and the rest of their line, if that is not long.
pub fn beginning(text: &str, most: usize) -> &str {
    // A little more is not worth a link.
    if text.len() <= most + most / 4 {
        return text;
    }
    let to = text.char_indices().map(|(i, _)| i).take_while(|&i| i <= most).last().unwrap_or(0);
    let line = text[..to].rfind('\n').filter(|&end| end > most / 2).unwrap_or(to);
    &text[..line]
}

#[derive(Debug, Serialize)]
struct MessageView {
    role: &'static str,
    content: String,
    /// Only its beginning is shown.
    cut: bool,
}

/// A tool that the model asked for, and what it gave back.
#[derive(Debug, Serialize)]
struct ToolView {
    name: String,
    arguments: String,
    /// Nothing while it has not run.
    output: Option<String>,
    failed: bool,
    seconds: f64,
}

fn tools(call: &Call, texts: Texts) -> Vec<ToolView> {
    let view = |asked: &ToolCall| {
        let output = call.tool_outputs.iter().find(|output| output.tool_call_id == asked.id);
        ToolView {
            name: asked.name.clone(),
            arguments: asked.arguments.clone(),
            output: output.map(|output| texts.shown(&output.content, PROMPT_EXCERPT).to_owned()),
            failed: output.is_some_and(|output| output.failed),
            seconds: output.map_or(0.0, |output| output.duration_ms as f64 / 1_000.0),
        }
    };
    call.tool_calls.iter().map(view).collect()
}

/// One model call with its exact prompt.
#[derive(Debug, Serialize)]
pub struct CallView {
    number: u32,
    attempt: u32,
    provider: String,
    model: String,
    messages: Vec<MessageView>,
    /// Shown with the call when it is not the output of the step.
    other_answer: bool,
    answer: String,
    tools: Vec<ToolView>,
    /// Why it was made, where that is not plain.
    purpose: Option<&'static str>,
    trimmed: bool,
    cost: Option<String>,
    finish_reason: Option<String>,
    usage: Usage,
    seconds: f64,
    first_token_seconds: Option<f64>,
    requests: u32,
    started_at: String,
}

impl CallView {
    pub fn new(call: &Call, is_last: bool, texts: Texts) -> Self {
        Self {
            number: call.number,
            attempt: call.attempt,
            provider: call.provider.clone(),
            model: call.model.clone(),
            messages: call.messages.iter().map(|m| message(m, texts)).collect(),
            other_answer: !is_last,
            answer: texts.shown(&call.answer, PROMPT_EXCERPT).to_owned(),
            tools: tools(call, texts),
            purpose: match call.purpose {
                CallPurpose::Work => None,
                CallPurpose::ToolResults => Some("with what tools gave back"),
                CallPurpose::Repair => Some("to get the answer into its form"),
            },
            trimmed: call.trimmed,
            cost: call.cost_usd.map(|usd| usd.to_string()),
            first_token_seconds: call.first_token_ms.map(|ms| ms as f64 / 1_000.0),
            finish_reason: call.finish_reason.clone(),
            usage: call.usage,
            seconds: call.duration_ms as f64 / 1000.0,
            requests: call.requests,
            started_at: iso::format(&call.started_at),
        }
    }
}

fn message(message: &ChatMessage, texts: Texts) -> MessageView {
    MessageView {
        role: match message.role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
            MessageRole::Tool => "tool",
        },
        cut: texts.cuts(&message.content, PROMPT_EXCERPT),
        content: texts.shown(&message.content, PROMPT_EXCERPT).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_with_a_line_and_never_inside_a_character() {
        assert_eq!(beginning("short", 10), "short");
        assert_eq!(beginning(&format!("first line\n{}", "x".repeat(50)), 14), "first line");
        assert_eq!(beginning(&"ü".repeat(50), 15).len(), 14);
        assert!(Texts::Beginnings.cuts(&"x".repeat(999), 100) && !Texts::Whole.cuts(&"x".repeat(999), 100));
    }
}
