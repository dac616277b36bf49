//! What can go wrong with a tool.

use std::time::Duration;

/// Why a tool gave nothing. The text is for the model, which may try something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The model has to ask differently.
    #[error("{0}")]
    BadArguments(String),
    /// The tool did its part and failed.
    #[error("{0}")]
    Failed(String),
    #[error("it was stopped because it took longer than {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Nobody is there to do it now.
    #[error("{0}")]
    Unavailable(String),
}

/// Names of tools that this process does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown tools: {}; there are {}", names.join(", "), known.join(", "))]
pub struct UnknownTools {
    pub names: Vec<String>,
    /// What may be asked for instead.
    pub known: Vec<String>,
}
