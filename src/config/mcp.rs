//! An MCP server as the configuration describes it.

use std::time::Duration;

use super::Secret;

/// How an MCP server is reached.
#[derive(Debug, Clone)]
pub enum McpTransport {
    /// A child process that speaks through its standard input and output.
    Stdio {
        command: String,
        args: Vec<String>,
        /// Beside [`inherited_environment`], which is all that it gets of ours.
        env: Vec<(String, Secret)>,
    },
    /// A server that speaks streamable HTTP.
    Http {
        url: String,
        /// Headers that every request carries beside the usual ones.
        headers: Vec<(String, Secret)>,
    },
}

/// An MCP server, whose tools agents may be given.
#[derive(Debug, Clone)]
pub struct McpConfig {
    /// What it is called in `mcp:<name>`, in the names of its tools and in logs.
    pub name: String,
    pub transport: McpTransport,
    /// The tools that agents may be given at all; `None`: every one.
    pub tools: Option<Vec<String>>,
    /// The most one call of a tool may take.
    pub timeout: Duration,
}

impl McpConfig {
    /// How long a call may take where nothing is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// Whether a server may be called this: 1 to 32 of `a-z A-Z 0-9 _ -`, so that a tool's name keeps room.
    pub fn is_name(name: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        (1..=32).contains(&name.len()) && name.bytes().all(fits)
    }

    /// What must not be shown of it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let (McpTransport::Stdio { env: pairs, .. } | McpTransport::Http { headers: pairs, .. }) =
            &self.transport;
        pairs.iter().map(|(_, secret)| secret)
    }
}

/// The variables of our own environment that a child process gets: what programs need to run at all. Not
/// all of them, because keys of model providers are no business of a tool.
pub fn inherited_environment() -> Vec<(String, String)> {
    const NAMES: &[&str] = &[
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "TMPDIR",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NODE_EXTRA_CA_CERTS",
        "APPDATA",
        "LOCALAPPDATA",
        "PATHEXT",
        "PROGRAMFILES",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "USERPROFILE",
    ];
    NAMES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_room_for_the_tools() {
        assert!(McpConfig::is_name("files-2_b"));
        for name in ["", "a b", "a/b", "a:b", "ä", &"a".repeat(33)] {
            assert!(!McpConfig::is_name(name), "{name}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let config = McpConfig {
            name: "files".to_owned(),
            transport: McpTransport::Stdio {
                command: "npx".to_owned(),
                args: Vec::new(),
                env: vec![("TOKEN".to_owned(), Secret::new("tok-123"))],
            },
            tools: None,
            timeout: McpConfig::DEFAULT_TIMEOUT,
        };
        assert!(!format!("{config:?}").contains("tok-123"));
        assert_eq!(config.secrets().count(), 1);
    }
}
