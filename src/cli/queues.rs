//! `productforge queues`: what waits at a running server; pause and resume.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    client::{Client, Server},
    given,
    process::runtime,
    say,
    table::{cell, table},
};

const EXAMPLES: &str = "\
Nothing is taken from a paused queue; what waits stays, and what runs goes on.

Examples:
  productforge queues list
  productforge queues pause low
  productforge queues resume low --server https://forge.example.com";

/// Show, pause and resume the queues of a running server
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
    /// How much waits in each, and since when
    List,
    /// Take nothing more from a queue
    Pause {
        /// high, normal or low
        #[arg(value_parser = given::name)]
        name: String,
    },
    /// Let a paused queue go on
    Resume {
        /// high, normal or low
        #[arg(value_parser = given::name)]
        name: String,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))?;
    Ok(ExitCode::SUCCESS)
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<(), Failure> {
    let answer = match &verb {
        Verb::List => client.get(&["queues"], &[]).await?,
        Verb::Pause { name } => client.post(&["queues", name, "pause"], &json!({})).await?,
        Verb::Resume { name } => client.post(&["queues", name, "resume"], &json!({})).await?,
    };
    if json {
        say(&serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(());
    }
    let all = answer["queues"].as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
    let rows: Vec<_> = all.iter().map(row).collect();
    say(&table(&["QUEUE", "LIST", "READY", "STATE", "OLDEST JOB", "WAITS SINCE"], &rows));
    if matches!(verb, Verb::List) {
        let number = |name: &str| cell(&answer[name]);
        say(&format!(
            "\n{} ready, {} due later, {} parked at a limit, {} running",
            number("ready"),
            number("due"),
            number("parked"),
            number("leased")
        ));
    }
    Ok(())
}

fn row(queue: &Value) -> Vec<String> {
    let age =
        queue["oldest_age_seconds"].as_f64().map_or_else(|| "-".to_owned(), |age| format!("{age:.1} s"));
    vec![
        cell(&queue["name"]),
        cell(&queue["list"]),
        cell(&queue["depth"]),
        if queue["paused"] == true { "paused" } else { "open" }.to_owned(),
        cell(&queue["oldest_job_id"]),
        age,
    ]
}
