//! `productforge reports`: the weekly reports of a running server.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    answers::pretty,
    client::{Client, Server},
    given, note,
    process::runtime,
    reading::for_reader,
    say,
    table::{ago, cell, printable, table},
};

const EXAMPLES: &str = "\
`generate` prints the name of the report that it made.

Examples:
  productforge reports generate
  productforge reports list
  productforge reports show weekly_report_20261122_101928.md";

/// Make, list and read the reports of a running server
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
    /// The newest reports
    List {
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// A report, as Markdown
    Show {
        /// The name of its file
        #[arg(value_parser = given::name)]
        name: String,
    },
    /// Make a report of the last seven days
    Generate,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    match verb {
        Verb::List { limit } => {
            let page = client.get(&["reports"], &[("limit", Some(limit.to_string()))]).await?;
            if json {
                say(&pretty(&page));
                return Ok(ExitCode::SUCCESS);
            }
            let row = |report: &Value| {
                vec![cell(&report["filename"]), cell(&report["size"]), ago(&report["modified"])]
            };
            let reports = page["reports"].as_array().map_or(&[][..], Vec::as_slice);
            let rows: Vec<_> = reports.iter().map(row).collect();
            match rows.is_empty() {
                true => note("there is no report; `productforge reports generate` makes one"),
                false => say(&table(&["REPORT", "BYTES", "MADE"], &rows)),
            }
            if !page["next_cursor"].is_null() {
                note(&format!("the newest {}; there are more", rows.len()));
            }
        }
        Verb::Show { name } => {
            let text = client.text(&["reports", &name]).await?;
            say(&if json { pretty(&Value::String(text)) } else { for_reader(text.trim_end()).into_owned() });
        }
        Verb::Generate => {
            let receipt = client.post(&["reports", "generate"], &json!({})).await?;
            say(&if json { pretty(&receipt) } else { printable(&cell(&receipt["filename"])) });
        }
    }
    Ok(ExitCode::SUCCESS)
}
