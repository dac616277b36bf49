//! `productforge audit`: who has changed what at a running server.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Failure,
    client::Server,
    given, note,
    process::runtime,
    say,
    table::{cell, table, time},
};

const EXAMPLES: &str = "\
It asks a running server: --server or PRODUCTFORGE_SERVER says which, API_KEY is sent as its key.

Examples:
  productforge audit list
  productforge audit list --operation cancel --since 2026-11-22T00:00:00Z
  productforge audit list --json | jq '.entries[] | select(.outcome == \"refused\")'";

/// Show who has changed what at a running server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest changes, and attempts that were refused
    List {
        /// Only what was done with the key of this name
        #[arg(long, value_name = "NAME", value_parser = given::name)]
        by: Option<String>,
        /// Only operations with this in their name
        #[arg(long)]
        operation: Option<String>,
        /// Only at this time or later, such as 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// How many, 1 to 500
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Go on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let Verb::List { by, operation, since, limit, cursor } = args.verb;
    let by_operation = operation.is_some();
    let limit = limit.map(|limit| limit.to_string());
    let query =
        [("key", by), ("operation", operation), ("since", since), ("limit", limit), ("cursor", cursor)];
    let answer = runtime()?.block_on(client.get(&["audit"], &query))?;
    if args.server.json {
        say(&serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let entries = answer["entries"].as_array().cloned().unwrap_or_default();
    match entries.is_empty() {
        true if by_operation => note("no entry fits; operations are such as DELETE /jobs/{job_id}"),
        true => note("no entry fits"),
        false => {
            let rows: Vec<_> = entries.iter().map(row).collect();
            say(&table(&["WHEN", "KEY", "FROM", "OUTCOME", "STATUS", "METHOD", "PATH"], &rows));
        }
    }
    if let Some(next) = answer["next_cursor"].as_str() {
        note(&format!("more: --cursor {next}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &Value) -> Vec<String> {
    let method = entry["operation"].as_str().and_then(|operation| operation.split(' ').next());
    vec![
        time(&entry["at"]),
        cell(&entry["key"]),
        cell(&entry["ip"]),
        cell(&entry["outcome"]),
        cell(&entry["status"]),
        method.unwrap_or("-").to_owned(),
        cell(&entry["path"]),
    ]
}
