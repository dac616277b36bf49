//! Tools: what a model may ask to be done while it works.

use serde_json::Value;

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`, as providers demand.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON schema of its arguments: an object.
    pub parameters: Value,
}
