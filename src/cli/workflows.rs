//! `productforge workflows`: the workflows of a running server.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Failure,
    answers::{each, pretty},
    client::{Client, Server},
    files::read_text,
    given, note,
    process::runtime,
    say,
    table::{ago, cell, printable, short, table, time},
    watch::watch,
};

const EXAMPLES: &str = "\
Exits with 0 if it was done (watch: the workflow completed), 1 if not, 2 for a bad command line.

Examples:
  productforge workflows list --status running
  productforge workflows watch 76660f75-5a72-41a3-b5ca-ff78d91023ea
  productforge workflows approve 76660f75-5a72-41a3-b5ca-ff78d91023ea --comment \"Good\"
  productforge workflows reject 76660f75-5a72-41a3-b5ca-ff78d91023ea --send-back --comment \"Shorter\"
  productforge workflows fork 76660f75-5a72-41a3-b5ca-ff78d91023ea --from specialist_execution --output draft.md
  productforge workflows fork 76660f75-5a72-41a3-b5ca-ff78d91023ea --from qa_validation:1";

/// Watch and steer the workflows of a running server
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
    /// The newest workflows
    List {
        /// running, paused, completed, failed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Words that all stand in the brief, the error or an agent's name
        #[arg(long)]
        search: Option<String>,
        /// How many, 1 to 500
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One workflow and its steps
    Show {
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// What happens in it, line by line, until it ends
    Watch {
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// Begin nothing new until they are resumed
    Pause {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
        /// Stands in the workflow and its history
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let paused workflows go on
    Resume {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
    /// Cancel workflows with all their steps
    Cancel {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
        /// Stands in the workflow and its results
        #[arg(long)]
        reason: Option<String>,
    },
    /// Try again what failed
    Retry {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
    /// Approve the work that waits for a person's word
    Approve {
        #[arg(value_parser = given::id)]
        id: String,
        /// The agents that go on see it
        #[arg(long)]
        comment: Option<String>,
    },
    /// Reject the work that waits for a person's word
    Reject {
        #[arg(value_parser = given::id)]
        id: String,
        /// Why; with --send-back the specialists work by it
        #[arg(long)]
        comment: Option<String>,
        /// Have it done once more instead of ending the workflow
        #[arg(long)]
        send_back: bool,
    },
    /// A new workflow that goes on from a step of this one
    Fork {
        #[arg(value_parser = given::id)]
        id: String,
        /// A step: its name (the last one of that name), name:round, or its job's id
        #[arg(long)]
        from: String,
        /// What the step says instead: a file, or - for standard input; left out, the step runs again
        #[arg(long, value_name = "FILE")]
        output: Option<String>,
    },
    /// Delete workflows that have ended, with their jobs and results
    Delete {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
    },
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    let order = async |ids: &[String], verb: &str, body: Value, done: &str| {
        each(ids, json, done, async |id| client.post(&["workflows", id, verb], &body).await).await
    };
    match verb {
        Verb::List { status, search, limit } => list(client, status, search, limit, json).await,
        Verb::Show { id } => {
            let found = client.get(&["workflows", &id], &[]).await?;
            say(&if json { pretty(&found) } else { text_of(&found["workflow"]) });
            Ok(ExitCode::SUCCESS)
        }
        Verb::Watch { id } => {
            let status = watch(client, &id, json).await?;
            if !json {
                say(&format!("{}  {status}", printable(&id)));
            }
            Ok(if status == "completed" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Verb::Pause { ids, reason } => order(&ids, "pause", json!({"reason": reason}), "paused").await,
        Verb::Resume { ids } => order(&ids, "resume", json!({}), "goes on").await,
        Verb::Cancel { ids, reason } => order(&ids, "cancel", json!({"reason": reason}), "cancelled").await,
        Verb::Retry { ids } => order(&ids, "retry", json!({}), "tried again").await,
        Verb::Approve { id, comment } => {
            order(&[id], "approve", json!({"comment": comment}), "approved").await
        }
        Verb::Reject { id, comment, send_back } => {
            let done = if send_back { "sent back" } else { "rejected" };
            order(&[id], "reject", json!({"comment": comment, "send_back": send_back}), done).await
        }
        Verb::Fork { id, from, output } => {
            let output = output.map(|file| read_text(&file, "the output")).transpose()?;
            let fork =
                client.post(&["workflows", &id, "fork"], &json!({"from": from, "output": output})).await?;
            match json {
                true => say(&pretty(&fork)),
                false => say(&cell(&fork["workflow"]["workflow_id"])),
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Delete { ids } => {
            each(&ids, json, "deleted", async |id| client.delete(&["workflows", id], &[]).await).await
        }
    }
}

async fn list(
    client: &Client,
    status: Option<String>,
    search: Option<String>,
    limit: usize,
    json: bool,
) -> Result<ExitCode, Failure> {
    let query = [("status", status), ("q", search), ("limit", Some(limit.to_string()))];
    let page = client.get(&["workflows"], &query).await?;
    if json {
        say(&pretty(&page));
        return Ok(ExitCode::SUCCESS);
    }
    let groups = ["active", "completed", "failed", "cancelled"];
    let mut workflows: Vec<&Value> =
        groups.iter().filter_map(|group| page[*group].as_array()).flatten().collect();
    workflows.sort_by_key(|w| std::cmp::Reverse(cell(&w["created_at"])));
    let row = |w: &&Value| {
        let steps = w["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let done = steps.iter().filter(|s| s["status"] == "completed").count();
        let why = [&w["pause"]["detail"], &w["error"]].into_iter().find(|text| !text.is_null());
        vec![
            cell(&w["workflow_id"]),
            cell(&w["status"]),
            format!("{done} of {}", steps.len()),
            cell(&w["usage"]["total_tokens"]),
            ago(&w["created_at"]),
            short(&w["original_task"]),
            short(why.unwrap_or(&Value::Null)),
        ]
    };
    let rows: Vec<_> = workflows.iter().map(row).collect();
    match rows.is_empty() {
        true => note("no workflow fits"),
        false => say(&table(&["WORKFLOW", "STATUS", "STEPS", "TOKENS", "CREATED", "BRIEF", "WHY"], &rows)),
    }
    if !page["next_cursor"].is_null() {
        let total = page["total"].as_u64().map_or_else(String::new, |total| format!(" of {total}"));
        note(&format!("the newest {}{total}; there are more", rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The workflow as lines, its steps as a table.
fn text_of(w: &Value) -> String {
    let line = |name: &str, value: String| (value != "-").then(|| format!("{name:10} {}", printable(&value)));
    let mut lines: Vec<String> = [
        line("workflow", cell(&w["workflow_id"])),
        line("status", cell(&w["status"])),
        line("waits", cell(&w["pause"]["detail"])),
        line("review", cell(&w["review"])),
        line("error", cell(&w["error"])),
        line("forked", cell(&w["forked_from"]["workflow_id"])),
        line("tokens", cell(&w["usage"]["total_tokens"])),
        line("created", time(&w["created_at"])),
        line("ended", time(&w["completed_at"])),
        line("brief", short(&w["original_task"])),
        String::new().into(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let row = |s: &Value| {
        vec![
            cell(&s["step"]),
            cell(&s["round"]),
            cell(&s["status"]),
            cell(&s["agent"]),
            cell(&s["verdict"]["verdict"]),
            s["execution_time"].as_f64().map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s")),
            cell(&s["job_id"]),
            short(&s["reason"]),
        ]
    };
    let rows: Vec<_> = w["steps"].as_array().map_or(&[][..], Vec::as_slice).iter().map(row).collect();
    lines.push(table(&["STEP", "ROUND", "STATUS", "AGENT", "VERDICT", "TOOK", "JOB", "WHY"], &rows));
    lines.join("\n")
}
