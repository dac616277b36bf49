//! `productforge usage`: what model calls of a running server have used.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    Failure,
    answers::pretty,
    client::Server,
    note,
    process::runtime,
    say,
    table::{cell, table},
};

const EXAMPLES: &str = "\
Days are those of UTC. Calls whose price is not known are counted beside the cost, not taken for free.

Examples:
  productforge usage
  productforge usage --days 30 --by model
  productforge usage --days 1 --json | jq '.days[0].total.cost_usd'";

/// Show tokens and cost by day, model or agent of a running server
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
    /// How many days up to today, 1 to 92
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// What each day is divided by
    #[arg(long, value_enum)]
    by: Option<By>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Model,
    Agent,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let query = [("days", Some(args.days.to_string()))];
    let report = runtime()?.block_on(client.get(&["usage"], &query))?;
    if args.server.json {
        say(&pretty(&report));
        return Ok(ExitCode::SUCCESS);
    }
    let days = report["days"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = days.iter().flat_map(|day| rows_of(day, args.by)).collect();
    if rows.is_empty() {
        note("no model call was made");
        return Ok(ExitCode::SUCCESS);
    }
    let of = match args.by {
        None => "OF",
        Some(By::Model) => "MODEL",
        Some(By::Agent) => "AGENT",
    };
    say(&table(&["DAY", of, "CALLS", "PROMPT", "ANSWER", "TOKENS", "USD", "UNPRICED"], &rows));
    Ok(ExitCode::SUCCESS)
}

fn rows_of(day: &Value, by: Option<By>) -> Vec<Vec<String>> {
    let name = cell(&day["day"]);
    let parts = match by {
        None => return vec![row(&name, "all", &day["total"])],
        Some(By::Model) => &day["by_model"],
        Some(By::Agent) => &day["by_agent"],
    };
    parts.as_object().into_iter().flatten().map(|(part, used)| row(&name, part, used)).collect()
}

fn row(day: &str, of: &str, used: &Value) -> Vec<String> {
    vec![
        day.to_owned(),
        of.to_owned(),
        cell(&used["calls"]),
        cell(&used["prompt_tokens"]),
        cell(&used["completion_tokens"]),
        cell(&used["total_tokens"]),
        used["cost_usd"].as_f64().map_or_else(|| "-".to_owned(), |usd| format!("{usd:.4}")),
        cell(&used["unpriced_calls"]),
    ]
}
