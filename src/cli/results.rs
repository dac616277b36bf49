//! `productforge results`: the results of a running server.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    answers::{each, pretty},
    client::{Client, Server},
    given, note,
    process::runtime,
    reading::for_reader,
    say,
    table::{ago, cell, short, table},
};

const EXAMPLES: &str = "\
`show` prints the output of the job and nothing else; --json has the rest.

Examples:
  productforge results list --agent qa_bot --status failed
  productforge results list --search \"login bug\" --limit 100
  productforge results show cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11 > report.md
  productforge results pin cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11
  productforge results delete cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11";

/// List, show, pin and delete the results of a running server
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
    /// The newest results
    List {
        /// Only of this agent
        #[arg(long, value_parser = given::name)]
        agent: Option<String>,
        /// Only with this status: completed, failed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only of this workflow
        #[arg(long, value_name = "ID", value_parser = given::id)]
        workflow: Option<String>,
        /// Only from this time on, ISO 8601
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only up to this time, ISO 8601
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only with all of these words
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// How many, 1 to 1000
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// The output of a job
    Show {
        /// The job's id
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// Keep results that would expire
    Pin {
        /// The jobs' ids
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
    /// Let pinned results expire again
    Unpin {
        /// The jobs' ids
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
    /// Delete results at once; their jobs stay
    Delete {
        /// The jobs' ids
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    let nothing = json!({});
    match verb {
        Verb::List { agent, status, workflow, since, until, search, limit } => {
            let query = [
                ("agent", agent),
                ("status", status),
                ("workflow_id", workflow),
                ("since", since),
                ("until", until),
                ("q", search),
                ("limit", Some(limit.to_string())),
            ];
            list(client, &query, json).await
        }
        Verb::Show { id } => {
            let result = client.get(&["results", &id], &[]).await?;
            if json {
                say(&pretty(&result));
            } else {
                let output = result["output"].as_str().unwrap_or_default();
                say(&for_reader(output.trim_end()));
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Pin { ids } => {
            each(&ids, json, "pinned", async |id| client.post(&["results", id, "pin"], &nothing).await).await
        }
        Verb::Unpin { ids } => {
            each(&ids, json, "unpinned", async |id| client.post(&["results", id, "unpin"], &nothing).await)
                .await
        }
        Verb::Delete { ids } => {
            each(&ids, json, "deleted", async |id| client.delete(&["results", id], &[]).await).await
        }
    }
}

async fn list(client: &Client, query: &[(&str, Option<String>)], json: bool) -> Result<ExitCode, Failure> {
    let page = client.page(&["results"], query).await?;
    if json {
        say(&pretty(&page.items));
        return Ok(ExitCode::SUCCESS);
    }
    let row = |result: &Value| {
        let kept = if result["pinned"] == true { "pinned".to_owned() } else { ago(&result["expires_at"]) };
        vec![
            cell(&result["job_id"]),
            cell(&result["status"]),
            cell(&result["agent"]),
            result["execution_time"].as_f64().map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s")),
            ago(&result["timestamp"]),
            kept,
            short(&result["task"]),
        ]
    };
    let rows: Vec<_> = page.items.as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    match rows.is_empty() {
        true => note("no result fits"),
        false => say(&table(&["JOB", "STATUS", "AGENT", "TOOK", "WRITTEN", "KEPT", "TASK"], &rows)),
    }
    if page.next.is_some() {
        let total = page.total.map_or_else(String::new, |total| format!(" of {total}"));
        note(&format!("the newest {}{total}; there are more", rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}
