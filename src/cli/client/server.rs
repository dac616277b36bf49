//! The arguments that say which server is asked, and how its answers are shown.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use reqwest::Url;

use super::{Client, PATIENCE};
use crate::cli::{Failure, paint::Colour};

/// Where a server is looked for when nobody says.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// Which server is asked, and how it is shown.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(in crate::cli) struct Server {
    /// The server to ask [default: PRODUCTFORGE_SERVER, http://127.0.0.1:8000]
    #[arg(long = "server", visible_alias = "url", value_name = "URL", global = true)]
    url: Option<String>,
    /// Its key [default: API_KEY]. Everybody on this machine can see a command line: prefer API_KEY or --key-file
    #[arg(long, value_name = "KEY", global = true)]
    key: Option<String>,
    /// A file that holds its key [default: API_KEY_FILE]
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "key")]
    key_file: Option<PathBuf>,
    /// The most seconds that one request may take [default: 60]
    #[arg(long, value_name = "SECONDS", global = true, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: Option<u64>,
    /// Print what the server answers, as JSON
    #[arg(long, global = true)]
    pub(in crate::cli) json: bool,
    /// When to use colours; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", global = true)]
    color: Colour,
}

impl Server {
    /// Whether a server was named on the command line.
    pub(in crate::cli) fn is_named(&self) -> bool {
        self.url.is_some()
    }

    /// Whether a server was named, on the command line or in the environment.
    pub(in crate::cli) fn is_known(&self) -> bool {
        self.is_named()
            || ["PRODUCTFORGE_SERVER", "PRODUCTFORGE_URL"].iter().any(|name| variable(name).is_some())
    }

    /// The arguments that name it again, for a command to copy.
    pub(in crate::cli) fn again(&self, client: &Client) -> String {
        if self.is_named() { format!(" --server {}", client.address()) } else { String::new() }
    }

    /// A client for it.
    pub(in crate::cli) fn client(&self) -> Result<Client, Failure> {
        self.color.choose();
        let named = self.url.clone().or_else(|| variable("PRODUCTFORGE_SERVER"));
        let given = named.or_else(|| variable("PRODUCTFORGE_URL"));
        let text = given.unwrap_or_else(|| DEFAULT_URL.to_owned());
        let base = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Usage(format!("--server {text}: must be an address such as {DEFAULT_URL}"))
            })?;
        let patience = self.timeout.map_or(PATIENCE, Duration::from_secs);
        Client::new(base, self.find_key()?, patience)
    }

    /// The key from the command line, a file, the environment, or a file that the environment names.
    fn find_key(&self) -> Result<Option<String>, Failure> {
        let file = self.key_file.clone();
        let key = match (&self.key, file) {
            (Some(key), _) => Some(key.trim().to_owned()),
            (None, Some(file)) => Some(read(&file)?),
            (None, None) => match (variable("API_KEY"), variable("API_KEY_FILE")) {
                (None, Some(file)) => Some(read(&PathBuf::from(file))?),
                (key, _) => key,
            },
        };
        let fits = |key: &String| !key.is_empty() && key.bytes().all(|b| (0x21..0x7f).contains(&b));
        match key {
            Some(key) if !fits(&key) => Err(Failure::Usage(
                "the key must be visible ASCII without spaces, to fit into a header".to_owned(),
            )),
            key => Ok(key),
        }
    }
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("the key cannot be read from {}", file.display()));
    Ok(text.map_err(|e| Failure::Usage(format!("{e:#}")))?.trim().to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
