//! Whether a conversation with tools goes on.
//!
//! A model asks for tools, is shown what they gave, asks for more, and some never end. Two questions have
//! to be answered on the way, both from the calls made so far alone, so that an attempt that goes on after
//! a crash decides like the one before it:
//!
//! - [`next`], before a model is asked: with tools, for a last word without them, or not at all
//! - [`tools`], when it has asked for tools: which of them run
//!
//! ```text
//!          ┌── Continue ──▶ ask, with tools ──▶ asks for tools ──▶ tools ──▶ run or warn, each ──┐
//!  next ◀──┼────────────────────────────────────────────────────────│──────────────────────────────┘
//!          ├── LastWord ──▶ ask, without tools ──▶ answer           └──▶ Stop
//!          └── Stop
//! ```

use std::collections::HashSet;

use crate::model::{Call, ToolCall, ToolOutput, canonical_json, parse_arguments};

/// How the text begins that a model is shown in place of what a tool did not do.
const NOT_RUN: &str = "Not run: ";

/// How much of an earlier output is said again.
const MAX_REMINDER_CHARS: usize = 500;

/// What a model is told when it is asked for the last time.
pub const LAST_WORD: &str =
    "No more tools can be used. Answer now, in full, with what you have; say what is missing.";

/// How far a conversation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Model calls of a job. The last of them is made without tools.
    pub max_calls: usize,
    /// Tools that run for one answer.
    pub max_tools_per_answer: usize,
    /// How often the same may be asked for until the conversation is stopped.
    pub identical: usize,
    /// Rounds in a row that bring nothing new.
    pub stale_rounds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_calls: 12, max_tools_per_answer: 8, identical: 3, stale_rounds: 4 }
    }
}

/// One model call of the conversation: the tools it asked for, and what those gave.
#[derive(Debug, Clone, Copy)]
pub struct Round<'a> {
    pub asked: &'a [ToolCall],
    pub outputs: &'a [ToolOutput],
}

impl<'a> From<&'a Call> for Round<'a> {
    fn from(call: &'a Call) -> Self {
        Self { asked: &call.tool_calls, outputs: &call.tool_outputs }
    }
}

impl<'a> Round<'a> {
    fn output(&self, call: &ToolCall) -> Option<&'a ToolOutput> {
        self.outputs.iter().find(|output| output.tool_call_id == call.id)
    }
}

/// What comes before the next model call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The model is asked, with its tools.
    Continue,
    /// It is asked for the last time, without tools and with [`LAST_WORD`], so that there is an answer.
    LastWord,
    Stop(Stop),
}

/// What becomes of one tool that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Run,
    /// It does not run; the model is shown this text as its output.
    Warn(String),
}

/// Why a conversation is over. After [`Stop::Repeated`] and [`Stop::NoProgress`] the model can still be asked
/// for a last word; after [`Stop::TooManyCalls`] it has been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("the model called {tool} with the same arguments {times} times")]
    Repeated { tool: String, times: usize },
    #[error("the model used tools in {rounds} answers in a row and learned nothing new")]
    NoProgress { rounds: usize },
    #[error("the model still asked for tools in its last call of {calls}")]
    TooManyCalls { calls: usize },
}

/// What comes after these calls.
pub fn next(rounds: &[Round<'_>], limits: &Limits) -> Next {
    if rounds.len() >= limits.max_calls {
        return Next::Stop(Stop::TooManyCalls { calls: rounds.len() });
    }
    if rounds.len() + 1 == limits.max_calls {
        return Next::LastWord;
    }
    let stale = stale_rounds(rounds);
    if stale >= limits.stale_rounds { Next::Stop(Stop::NoProgress { rounds: stale }) } else { Next::Continue }
}

/// What becomes of the tools that the answer after these calls asks for, one by one.
pub fn tools(rounds: &[Round<'_>], asked: &[ToolCall], limits: &Limits) -> Result<Vec<Step>, Stop> {
    if rounds.len() + 1 >= limits.max_calls {
        // Nobody would see what they give.
        return Err(Stop::TooManyCalls { calls: rounds.len() + 1 });
    }
    let mut seen = HashSet::new();
    let mut running = 0;
    asked
        .iter()
        .map(|call| {
            if !seen.insert(identity(call)) {
                return Ok(warn(format!(
                    "{} stands in this answer twice with the same arguments.",
                    call.name
                )));
            }
            let before = Before::of(call, rounds);
            if before.same + 1 >= limits.identical {
                return Err(Stop::Repeated { tool: call.name.clone(), times: before.same + 1 });
            }
            if let Some(output) = before.output.filter(|output| !output.failed) {
                return Ok(warn(format!(
                    "{} has been called with the same arguments before. It gave: {}\nUse that, or ask for \
                     something else.",
                    call.name,
                    shortened(&output.content)
                )));
            }
            if running == limits.max_tools_per_answer {
                return Ok(warn(format!(
                    "one answer may ask for no more than {running} tools; ask for it again."
                )));
            }
            running += 1;
            Ok(Step::Run)
        })
        .collect()
}

/// What came of the same call before.
#[derive(Default)]
struct Before<'a> {
    /// In how many calls to this one it led to the same as the last time.
    same: usize,
    /// What it gave when it ran last.
    output: Option<&'a ToolOutput>,
}

impl<'a> Before<'a> {
    fn of(call: &ToolCall, rounds: &[Round<'a>]) -> Self {
        let wanted = identity(call);
        let mut before = Self::default();
        for round in rounds {
            // Twice in one answer is once: the model knew no better yet.
            let outputs = round.asked.iter().filter(|asked| identity(asked) == wanted);
            let Some(output) = outputs.filter_map(|asked| round.output(asked)).min_by_key(|o| is_warning(o))
            else {
                continue;
            };
            match before.output {
                // A warning where it has never run is about something else than repetition.
                None if is_warning(output) => {}
                Some(_) if is_warning(output) => before.same += 1,
                Some(last) if last.content == output.content => before.same += 1,
                _ => before = Self { same: 1, output: Some(output) },
            }
        }
        before
    }
}

/// How many rounds at the end brought no output that had not been there before.
fn stale_rounds(rounds: &[Round<'_>]) -> usize {
    let mut seen = HashSet::new();
    let mut stale = 0;
    for round in rounds {
        let mut is_stale = !round.outputs.is_empty();
        for output in round.outputs.iter().filter(|output| !is_warning(output)) {
            is_stale &= !seen.insert((output.name.as_str(), output.content.as_str()));
        }
        stale = if is_stale { stale + 1 } else { 0 };
    }
    stale
}

/// A tool and its arguments, however they are written.
fn identity(call: &ToolCall) -> (&str, String) {
    let arguments = parse_arguments(&call.arguments)
        .map_or_else(|_| call.arguments.trim().to_owned(), |arguments| canonical_json(&arguments));
    (&call.name, arguments)
}

fn warn(text: String) -> Step {
    Step::Warn(format!("{NOT_RUN}{text}"))
}

fn is_warning(output: &ToolOutput) -> bool {
    output.content.starts_with(NOT_RUN)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_REMINDER_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… (in full above)", &text[..end]),
    }
}
