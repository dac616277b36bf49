//! A tool of an MCP server, and what it is called.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rmcp::model::Tool as Listed;
use serde_json::{Value, json};
use sha1_smol::Sha1;

use super::server::McpServer;
use crate::{
    model::ToolSpec,
    tools::{Tool, ToolError},
};

/// The longest name that providers take.
const MAX_NAME: usize = 64;

/// The longest description that providers take.
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// A schema that is larger than this would be most of a prompt.
const MAX_SCHEMA: usize = 32 << 10;

/// One tool of one server.
pub(in crate::tools) struct McpTool {
    server: Arc<McpServer>,
    /// As the server calls it.
    name: String,
    spec: ToolSpec,
}

impl McpTool {
    /// `taken` says which names are taken in the toolbox that it is for.
    pub(in crate::tools) fn new(
        server: &Arc<McpServer>,
        listed: Listed,
        taken: impl Fn(&str) -> bool,
    ) -> Self {
        let name = listed.name.into_owned();
        let mut shown = shown_name(server.name(), &name, false);
        if taken(&shown) {
            shown = shown_name(server.name(), &name, true);
        }
        let description =
            listed.description.as_deref().or(listed.title.as_deref()).unwrap_or("(no description)");
        let spec = ToolSpec {
            name: shown,
            description: description.chars().take(MAX_DESCRIPTION_CHARS).collect(),
            parameters: parameters(Value::Object((*listed.input_schema).clone())),
        };
        Self { server: Arc::clone(server), name, spec }
    }
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn origin(&self) -> String {
        origin(self.server.name(), &self.name)
    }

    fn time_limit(&self) -> Duration {
        self.server.time_limit()
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        self.server.call(&self.name, arguments).await
    }
}

/// `mcp:files/read`
fn origin(server: &str, tool: &str) -> String {
    format!("mcp:{server}/{tool}")
}

/// What models call a tool: `files__read`. A name that does not fit is made to, with a mark that keeps it
/// apart from others and is the same every time: a conversation may go on in another process.
fn shown_name(server: &str, tool: &str, marked: bool) -> String {
    let plain = format!("{server}__{tool}");
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !marked && plain.len() <= MAX_NAME && !tool.is_empty() && plain.chars().all(fits) {
        return plain;
    }
    let mark = &Sha1::from(origin(server, tool)).digest().to_string()[..8];
    let room = MAX_NAME - 1 - mark.len();
    let fitting: String = plain.chars().map(|c| if fits(c) { c } else { '_' }).take(room).collect();
    format!("{fitting}_{mark}")
}

/// A schema that providers take: of an object, and not too large. Without one the server says what is wrong.
fn parameters(mut schema: Value) -> Value {
    if schema["type"] != "object" || schema.to_string().len() > MAX_SCHEMA {
        schema = json!({"type": "object"});
    }
    if schema.get("properties").is_none() {
        schema["properties"] = json!({});
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_as_they_are_where_they_can() {
        assert_eq!(shown_name("files", "read_file", false), "files__read_file");
        assert_eq!(shown_name("files", "read.file", false), "files__read_file_a421560b");
        assert_ne!(shown_name("files", "read/file", false), shown_name("files", "read.file", false));
        assert_ne!(shown_name("a", "b__c", true), shown_name("a__b", "c", true));
        assert_eq!(shown_name("a", &"b".repeat(100), false).len(), 64);
    }

    #[test]
    fn schemas_are_of_objects_and_bounded() {
        assert_eq!(parameters(json!({})), json!({"type": "object", "properties": {}}));
        assert_eq!(parameters(json!({"type": "string"})), json!({"type": "object", "properties": {}}));
        let fine = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(parameters(fine.clone()), fine);
        let large = json!({"type": "object", "description": "x".repeat(MAX_SCHEMA)});
        assert_eq!(parameters(large), json!({"type": "object", "properties": {}}));
    }

    proptest! {
        #[test]
        fn every_name_fits_and_is_its_own(tools in prop::collection::hash_set("\\PC{0,80}", 1..20)) {
            let names: HashSet<String> = tools.iter().map(|tool| shown_name("server-1", tool, false)).collect();
            prop_assert_eq!(names.len(), tools.len());
            for name in names {
                let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                prop_assert!((1..=64).contains(&name.len()) && name.bytes().all(fits), "{}", name);
            }
        }
    }
}
