//! `productforge workers`: who runs what at a running server.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    client::Server,
    given, note,
    process::runtime,
    say,
    table::{ago, cell, table},
};

const EXAMPLES: &str = "\
Examples:
  productforge workers list
  productforge workers list --json | jq '.workers[].free_slots'
  productforge workers drain host-4711-1b60f9b1";

/// Show the workers of a running server and what they run; drain one
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
    /// Every worker process that was heard of in the last minute
    List,
    /// Let a worker finish what it runs and take nothing new; its process goes on
    Drain {
        /// The worker's id, as `workers list` shows it
        #[arg(value_parser = given::id)]
        id: String,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let answer = match &args.verb {
        Verb::List => runtime()?.block_on(client.get(&["workers"], &[]))?,
        Verb::Drain { id } => runtime()?.block_on(client.post(&["workers", id, "drain"], &json!({})))?,
    };
    if args.server.json {
        say(&serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let workers = answer["workers"].as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
    if workers.is_empty() {
        note("no worker is alive: jobs wait");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = workers.iter().map(row).collect();
    say(&table(&["WORKER", "SLOTS", "FREE", "STATE", "SINCE", "HEARD OF"], &rows));
    let jobs: Vec<_> = workers.iter().flat_map(jobs_of).collect();
    if !jobs.is_empty() {
        say(&format!("\n{}", table(&["JOB", "AGENT", "ATTEMPT", "SINCE", "WORKER"], &jobs)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(worker: &Value) -> Vec<String> {
    vec![
        cell(&worker["worker_id"]),
        cell(&worker["slots"]),
        cell(&worker["free_slots"]),
        if worker["draining"] == true { "draining" } else { "working" }.to_owned(),
        ago(&worker["started_at"]),
        ago(&worker["seen_at"]),
    ]
}

fn jobs_of(worker: &Value) -> Vec<Vec<String>> {
    let row = |job: &Value| {
        vec![
            cell(&job["job_id"]),
            cell(&job["agent"]),
            cell(&job["attempt"]),
            ago(&job["since"]),
            cell(&worker["worker_id"]),
        ]
    };
    worker["jobs"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect()
}
