//! `[mcp.*]` of the file: servers whose tools agents may use.

use std::time::Duration;

use super::{McpConfig, McpTransport, reader::Reader, section::Section, values};

/// How long one use of a tool may take where the file does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// All servers, by name.
pub(super) fn read(r: &mut Reader<'_>) -> Vec<McpConfig> {
    r.sections("mcp", server).into_iter().map(|(_, server)| server).collect()
}

fn server(name: &str, section: &mut Section<'_>) -> Option<McpConfig> {
    let (by_command, by_url) = (section.has("command"), section.has("url"));
    if by_command == by_url {
        section.complain("must have either command (a program to start) or url (a server to ask)");
    }
    for (key, missing) in [("args", "command"), ("env", "command"), ("headers", "url")] {
        if section.has(key) && !section.has(missing) {
            section.complain(&format!("has {key}, which belongs to {missing}"));
        }
    }
    let command = section.value("command", |text| match text.as_str() {
        "" => Err("must name a program".to_owned()),
        _ => Ok(text),
    });
    let url = section.value("url", values::http_url);
    let args = section.texts("args").unwrap_or_default();
    let env = section.secrets("env", variable);
    let headers = section.secrets("headers", super::providers::header);
    let tools = section.texts("tools");
    let timeout = section.value("timeout_seconds", values::seconds(1, 3_600)).unwrap_or(DEFAULT_TIMEOUT);
    let transport = match (command, url) {
        (Some(command), _) => McpTransport::Stdio { command, args, env },
        (None, url) => McpTransport::Http { url: url?, headers },
    };
    Some(McpConfig { name: name.to_owned(), transport, tools, timeout })
}

fn variable(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("is not the name of a variable".to_owned());
    }
    if value.contains('\0') { Err("must have no NUL in it".to_owned()) } else { Ok(()) }
}
