//! What a job does next with its model: ask, run tools, ask again, or be done.
//!
//! ```text
//! no call yet ──▶ ask ──▶ answer asks for tools ──▶ run them ──▶ ask with what they gave back ──▶ …
//!                  │                                              (engine::tool_loop bounds this)
//!                  ├──▶ answer in a form that can be read (or none was wanted) ──▶ done
//!                  └──▶ answer that cannot be read ──▶ ask once more, saying why ──▶ done
//! ```
//!
//! It is decided from the journaled calls alone, so that whoever has the job now goes on where the last
//! one was, and nothing is asked twice.

use crate::model::{Call, CallPurpose, ChatMessage};

use super::tool_loop::{self, LAST_WORD, Limits, Round, Step};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask the job's own question.
    AskFirst,
    /// Ask again after what was said.
    AskAgain {
        purpose: CallPurpose,
        messages: Vec<ChatMessage>,
        /// Whether the model may ask for tools.
        with_tools: bool,
    },
    /// Run the tools that the last answer asks for, or say instead of running one what is given here, in
    /// the same order.
    RunTools(Vec<Option<String>>),
    /// The last call has the answer.
    Done,
    /// It leads nowhere.
    Stop(String),
}

/// Decides. `unreadable` says why an answer is not in the form that is wanted; `None`: it is.
pub fn next(calls: &[Call], unreadable: impl Fn(&str) -> Option<String>) -> Next {
    let Some(last) = calls.last() else { return Next::AskFirst };
    let limits = Limits::default();
    if last.tool_calls.is_empty() {
        return match unreadable(&last.answer) {
            // A second try at its form is all it gets.
            Some(why) if last.purpose != CallPurpose::Repair => Next::AskAgain {
                purpose: CallPurpose::Repair,
                messages: after(last, [ChatMessage::user(repair(&why))]),
                with_tools: false,
            },
            _ => Next::Done,
        };
    }
    if last.tool_outputs.is_empty() {
        let before: Vec<Round<'_>> = calls[..calls.len() - 1].iter().map(Round::from).collect();
        return match tool_loop::tools(&before, &last.tool_calls, &limits) {
            Ok(steps) => Next::RunTools(steps.into_iter().map(instead).collect()),
            Err(stop) => Next::Stop(stop.to_string()),
        };
    }
    let rounds: Vec<Round<'_>> = calls.iter().map(Round::from).collect();
    let mut messages = after(last, last.tool_outputs.iter().map(ChatMessage::tool));
    let with_tools = match tool_loop::next(&rounds, &limits) {
        tool_loop::Next::Stop(stop) => return Next::Stop(stop.to_string()),
        tool_loop::Next::LastWord => {
            messages.push(ChatMessage::user(LAST_WORD));
            false
        }
        tool_loop::Next::Continue => true,
    };
    Next::AskAgain { purpose: CallPurpose::ToolResults, messages, with_tools }
}

/// What is said instead of running a tool; `None`: it runs.
fn instead(step: Step) -> Option<String> {
    match step {
        Step::Run => None,
        Step::Warn(text) => Some(text),
    }
}

/// The conversation up to and with an answer, and what is said then.
fn after(call: &Call, more: impl IntoIterator<Item = ChatMessage>) -> Vec<ChatMessage> {
    let mut messages = call.messages.clone();
    messages.push(ChatMessage::assistant(&call.answer, call.tool_calls.clone()));
    messages.extend(more);
    messages
}

fn repair(why: &str) -> String {
    format!(
        "Your answer could not be read: {why}. Give the same answer again as one JSON object of the form \
         that was asked for, and nothing else."
    )
}
