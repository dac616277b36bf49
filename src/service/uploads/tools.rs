//! What agents may do with an uploaded archive: list, read and search its files.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    analysis::browse::{self, BrowseError, Search},
    model::ToolSpec,
    tools::{Tool, ToolError},
};

use super::project::{Project, Shared};

/// Rows of a list or a search when nobody says.
const ROWS: usize = 200;
/// Bytes of a file that one reading gives.
const READ_BYTES: usize = 14_000;
/// Lines of a search when nobody says.
const MATCHES: usize = 60;

type Look = fn(&Project, &Value) -> Result<String, BrowseError>;

/// One question to an archive.
struct FileTool {
    spec: ToolSpec,
    project: Shared,
    look: Look,
}

/// The tools for an archive.
pub(in crate::service) fn file_tools(project: &Arc<Project>) -> Vec<Arc<dyn Tool>> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let number = |about: &str| json!({"type": "integer", "minimum": 1, "description": about});
    let tool = |name: &str, about: &str, required: Value, properties: Value, look: Look| {
        let spec = ToolSpec {
            name: name.to_owned(),
            description: about.to_owned(),
            parameters: json!({"type": "object", "properties": properties, "required": required,
                "additionalProperties": false}),
        };
        Arc::new(FileTool { spec, project: project.clone(), look }) as Arc<dyn Tool>
    };
    vec![
        tool(
            "list_files",
            "Lists files of the uploaded archive with their sizes.",
            json!([]),
            json!({"folder": text("Only below this folder; all when left out."),
                "pattern": text("Only paths that fit this glob, such as **/*.py.")}),
            list,
        ),
        tool(
            "read_file",
            "Reads lines of a file of the uploaded archive, with their numbers.",
            json!(["path"]),
            json!({"path": text("The path as the list gives it."),
                "first_line": number("Where to begin; 1 when left out."),
                "last_line": number("Where to end; as far as there is room when left out.")}),
            read,
        ),
        tool(
            "search_files",
            "Searches all files of the uploaded archive; gives path, line and text.",
            json!(["pattern"]),
            json!({"pattern": text("A regular expression for single lines."),
                "literal": json!({"type": "boolean", "description": "Take the pattern as plain text."}),
                "glob": text("Only in files that fit this glob.")}),
            search,
        ),
    ]
}

fn list(project: &Project, arguments: &Value) -> Result<String, BrowseError> {
    let folder = arguments["folder"].as_str().unwrap_or_default();
    browse::list(project.files(), folder, arguments["pattern"].as_str(), ROWS)
}

fn read(project: &Project, arguments: &Value) -> Result<String, BrowseError> {
    let path = arguments["path"].as_str().unwrap_or_default();
    let line = |name: &str| arguments[name].as_u64();
    browse::read_range(project.files(), path, line("first_line"), line("last_line"), READ_BYTES)
}

fn search(project: &Project, arguments: &Value) -> Result<String, BrowseError> {
    let search = Search {
        pattern: arguments["pattern"].as_str().unwrap_or_default(),
        is_literal: arguments["literal"].as_bool().unwrap_or(false),
        glob: arguments["glob"].as_str(),
        limit: MATCHES,
    };
    browse::search(project.files(), &search)
}

#[async_trait]
impl Tool for FileTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        let (project, look, arguments) = (self.project.clone(), self.look, arguments.clone());
        let looked = tokio::task::spawn_blocking(move || look(&project, &arguments)).await;
        match looked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(ToolError::BadArguments(why.to_string())),
            Err(_) => Err(ToolError::Failed("it ended with an internal error".to_owned())),
        }
    }
}
