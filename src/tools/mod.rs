//! Tools: what agents may have done while they work.
//!
//! A [`Tool`] says what it is and runs. A [`Registry`] knows those of this process, the built-in ones and
//! those of MCP servers, and puts together the [`Toolbox`] of an agent from names:
//!
//! - `calculator`, `current_time`: built in
//! - `mcp:<server>`: all tools of an MCP server, `mcp:<server>/<tool>`: one of them
//!
//! Whatever a tool does, a [`Toolbox`] answers with a text for the model: a failure is something that a
//! model can react to, and never the failure of a job.

mod calculator;
mod current_time;
mod error;
mod mcp;
mod registry;
mod toolbox;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::model::ToolSpec;

pub use calculator::Calculator;
pub use current_time::CurrentTime;
pub use error::{ToolError, UnknownTools};
pub use mcp::Patience;
pub use registry::Registry;
pub use toolbox::{MAX_OUTPUT_CHARS, Toolbox, Unavailable};

/// How long a tool may take that does not say.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Something that a model may ask for.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What models are told of it.
    fn spec(&self) -> &ToolSpec;

    /// What it is called where agents are given tools: `calculator`, `mcp:files/read`.
    fn origin(&self) -> String {
        self.spec().name.clone()
    }

    /// How long it may take.
    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }

    /// Does it. The arguments are an object and fit the schema of the spec. Dropping the future ends it.
    async fn run(&self, arguments: &Value) -> Result<String, ToolError>;
}
