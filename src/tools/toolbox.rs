//! What one agent may use: tools by the names that the model sees, run so that nothing can go wrong.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use jsonschema::PatternOptions;
use serde_json::Value;

use super::{Tool, ToolError};
use crate::model::{ToolCall, ToolOutput, ToolSpec, parse_arguments};

/// The most characters of an output that a model is shown.
pub const MAX_OUTPUT_CHARS: usize = 16_000;

/// How many things that are wrong with arguments are said at once.
const MAX_FAULTS: usize = 5;

/// A source of tools that has none to give at this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// As it was asked for: `mcp:files`.
    pub name: String,
    pub reason: String,
}

/// The tools of one agent.
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: Vec<Arc<dyn Tool>>,
    unavailable: Vec<Unavailable>,
}

impl Toolbox {
    /// The same with one more tool. One that was there under the same name is replaced.
    pub fn with(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.retain(|other| other.spec().name != tool.spec().name);
        self.tools.push(tool);
        self
    }

    pub(super) fn without(mut self, unavailable: Unavailable) -> Self {
        self.unavailable.push(unavailable);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.spec().name == name)
    }

    /// What the tool with this name is called where agents are given tools: `mcp:files/read`.
    pub fn origin(&self, name: &str) -> Option<String> {
        self.tools.iter().find(|tool| tool.spec().name == name).map(|tool| tool.origin())
    }

    /// What a model is told of them.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.tools.iter().map(|tool| tool.spec().clone()).collect()
    }

    /// What was asked for and cannot be had at this time, such as the tools of a server that is away.
    pub fn unavailable(&self) -> &[Unavailable] {
        &self.unavailable
    }

    /// Does what a model asks for. Whatever happens, the outcome is a text for the model.
    pub async fn run(&self, call: &ToolCall) -> ToolOutput {
        let begun = Instant::now();
        let outcome = self.outcome(call).await;
        let (content, failed) = match outcome {
            Ok(text) => (text, false),
            Err(error) => (format!("{} failed: {error}", call.name), true),
        };
        ToolOutput {
            tool_call_id: call.id.clone(),
            name: call.name.clone(),
            content: cut(content),
            failed,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn outcome(&self, call: &ToolCall) -> Result<String, ToolError> {
        let tool = self
            .tools
            .iter()
            .find(|tool| tool.spec().name == call.name)
            .ok_or_else(|| ToolError::BadArguments(self.no_such_tool()))?;
        let arguments = parse_arguments(&call.arguments).map_err(ToolError::BadArguments)?;
        let limit = tool.time_limit();
        let run = async {
            check(&arguments, tool.spec())?;
            tool.run(&arguments).await
        };
        // A tool that panics is one that failed; what it shares with others is its own affair.
        match tokio::time::timeout(limit, AssertUnwindSafe(run).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                log::error!(tool = call.name.as_str(); "a tool panicked");
                Err(ToolError::Failed("it ended with an internal error".to_owned()))
            }
            Err(_) => Err(ToolError::TimedOut(limit)),
        }
    }

    fn no_such_tool(&self) -> String {
        let mut text = if self.tools.is_empty() {
            "there is no such tool, and no other".to_owned()
        } else {
            let names: Vec<&str> = self.tools.iter().map(|tool| tool.spec().name.as_str()).collect();
            format!("there is no such tool; there are {}", names.join(", "))
        };
        for Unavailable { name, reason } in &self.unavailable {
            text.push_str(&format!(". {name} cannot be had at this time: {reason}"));
        }
        text
    }
}

/// Whether arguments fit the schema of a tool.
fn check(arguments: &Value, spec: &ToolSpec) -> Result<(), ToolError> {
    // Patterns come from MCP servers as well: the engine that cannot be made to search for ever.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = match options.build(&spec.parameters) {
        Ok(validator) => validator,
        Err(error) => {
            // The tool sees for itself what it is given.
            log::debug!(tool = spec.name.as_str(); "a tool's schema cannot be used: {}", error.masked());
            return Ok(());
        }
    };
    let mut errors = validator.iter_errors(arguments);
    let mut faults: Vec<String> = errors.by_ref().take(MAX_FAULTS).map(|error| shown(&error)).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let more = errors.count();
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Err(ToolError::BadArguments(format!("the arguments do not fit: {}", faults.join("; "))))
}

fn shown(error: &jsonschema::ValidationError<'_>) -> String {
    let what: String = error.masked().to_string().chars().take(300).collect();
    match error.instance_path().as_str() {
        "" => what,
        place => format!("at {place}: {what}"),
    }
}

/// A text of bounded length, with a mark where it was cut.
fn cut(mut text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_OUTPUT_CHARS) else { return text };
    let more = text[end..].chars().count();
    text.truncate(end);
    text.push_str(&format!("\n[… cut here, {more} more characters are not shown]"));
    text
}

#[cfg(test)]
#[path = "toolbox_tests.rs"]
mod tests;
