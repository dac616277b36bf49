//! `productforge jobs`: the jobs of a running server.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
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
};

/// How many jobs one bulk call looks at: enough for speed, few enough for a bar that moves.
const PORTION: usize = 200;

const EXAMPLES: &str = "\
Exits with 0 if it was done, 1 if it could not be (to all of the named jobs), 2 for a bad command line.

Examples:
  productforge jobs list --state dead
  productforge jobs show cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11
  productforge jobs cancel cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11 --reason \"The brief has changed\"
  productforge jobs retry cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11
  productforge jobs bulk retry --state dead --agent qa_bot
  productforge jobs bulk delete --state failed --older-than 86400";

/// List, show, cancel, retry and delete the jobs of a running server
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
    /// The newest jobs
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many, 1 to 500
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One job and its whole story
    Show {
        #[arg(value_parser = given::id)]
        id: String,
    },
    /// Queue failed jobs again
    Retry {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
        /// A job JSON in the place of a payload that could not be run: a file, or - for standard input
        #[arg(long, value_name = "FILE")]
        payload: Option<String>,
    },
    /// Cancel jobs that wait or run
    Cancel {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
        /// Stands in the jobs and their results
        #[arg(long)]
        reason: Option<String>,
    },
    /// Delete jobs that have ended
    Delete {
        #[arg(required = true, value_parser = given::id)]
        ids: Vec<String>,
        /// Delete their results, too
        #[arg(long)]
        result: bool,
    },
    /// Do it to all jobs that fit; at least one filter is needed
    Bulk {
        #[arg(value_parser = ["retry", "cancel", "delete"])]
        action: String,
        #[command(flatten)]
        filter: Filter,
        /// Ended, or made if they have not ended, longer ago than this
        #[arg(long, value_name = "SECONDS")]
        older_than: Option<u64>,
        /// The reason of a cancellation
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// queued, running, scheduled, completed, failed, cancelled or dead
    #[arg(long)]
    state: Option<String>,
    /// Only jobs of this agent
    #[arg(long, value_parser = given::name)]
    agent: Option<String>,
    /// Only the steps of this workflow
    #[arg(long, value_parser = given::id)]
    workflow: Option<String>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    runtime()?.block_on(work(&client, args.verb, args.server.json))
}

async fn work(client: &Client, verb: Verb, json: bool) -> Result<ExitCode, Failure> {
    match verb {
        Verb::List { filter, limit } => list(client, filter, limit, json).await,
        Verb::Show { id } => {
            let story = client.get(&["jobs", &id], &[]).await?;
            say(&if json { pretty(&story) } else { story_text(&story) });
            Ok(ExitCode::SUCCESS)
        }
        Verb::Retry { ids, payload } => {
            let body = match payload {
                Some(file) => json!({"payload": read_payload(&file)?}),
                None => json!({}),
            };
            each(&ids, json, "queued again", async |id| client.post(&["jobs", id, "retry"], &body).await)
                .await
        }
        Verb::Cancel { ids, reason } => {
            let body = json!({"reason": reason});
            each(&ids, json, "cancelled", async |id| client.post(&["jobs", id, "cancel"], &body).await).await
        }
        Verb::Delete { ids, result } => {
            let query = [("result", result.then(|| "true".to_owned()))];
            each(&ids, json, "deleted", async |id| client.delete(&["jobs", id], &query).await).await
        }
        Verb::Bulk { action, filter, older_than, reason } => {
            let filters = [&filter.state, &filter.agent, &filter.workflow];
            if older_than.is_none() && filters.iter().all(|filter| filter.is_none()) {
                let which = "say which jobs: by --state, --agent, --workflow or --older-than";
                return Err(Failure::Usage(which.to_owned()));
            }
            let body = json!({"action": action, "limit": PORTION, "reason": reason, "filter": {
                "state": filter.state, "agent": filter.agent, "workflow_id": filter.workflow,
                "older_than_seconds": older_than}});
            bulk(client, body, json).await
        }
    }
}

async fn list(client: &Client, filter: Filter, limit: usize, json: bool) -> Result<ExitCode, Failure> {
    let query = [
        ("state", filter.state),
        ("agent", filter.agent),
        ("workflow_id", filter.workflow),
        ("limit", Some(limit.to_string())),
    ];
    let page = client.get(&["jobs"], &query).await?;
    if json {
        say(&pretty(&page));
        return Ok(ExitCode::SUCCESS);
    }
    let jobs = page["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |job: &Value| {
        let state =
            job.get("dead_reason").map_or_else(|| cell(&job["state"]), |why| format!("dead: {}", cell(why)));
        let why = [&job["waits_for"], &job["error"]].into_iter().find(|text| !text.is_null());
        vec![
            cell(&job["job_id"]),
            state,
            cell(&job["agent"]),
            cell(&job["priority"]),
            cell(&job["attempts"]),
            ago(&job["created_at"]),
            short(&job["task"]),
            short(why.unwrap_or(&Value::Null)),
        ]
    };
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let head = ["JOB", "STATE", "AGENT", "PRIORITY", "ATTEMPTS", "CREATED", "TASK", "WHY"];
    if rows.is_empty() {
        note("no job fits");
    } else {
        say(&table(&head, &rows));
    }
    if !page["next_cursor"].is_null() {
        let total = page["total"].as_u64().map_or_else(String::new, |total| format!(" of {total}"));
        note(&format!("the newest {}{total}; there are more", rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The story as lines, the attempts as a table.
fn story_text(story: &Value) -> String {
    let line = |name: &str, value: String| (value != "-").then(|| format!("{name:10} {}", printable(&value)));
    let mut lines: Vec<String> = [
        line("job", cell(&story["job_id"])),
        line("state", cell(&story["state"])),
        line("waits", cell(&story["waits_because"])),
        line("agent", cell(&story["agent"])),
        line("queue", cell(&story["queue"])),
        line("workflow", cell(&story["workflow_id"])),
        line("step", cell(&story["step"])),
        line("created", time(&story["created_at"])),
        line("due", time(&story["due_at"])),
        line("ended", time(&story["ended_at"])),
        line("error", cell(&story["error"])),
        line("dead", cell(&story["dead"]["reason"])),
        line("result", cell(&story["result"])),
        line("task", short(&story["task"])),
    ]
    .into_iter()
    .flatten()
    .collect();
    let attempts = story["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    let row = |attempt: &Value| {
        vec![
            cell(&attempt["number"]),
            time(&attempt["started_at"]),
            time(&attempt["ended_at"]),
            attempt["outcome"].as_str().unwrap_or("running").to_owned(),
            cell(&attempt["class"]),
            cell(&attempt["worker"]),
            cell(&attempt["error"]),
        ]
    };
    let rows: Vec<_> = attempts.iter().map(row).collect();
    if !rows.is_empty() {
        let head = ["ATTEMPT", "BEGUN (UTC)", "ENDED", "OUTCOME", "CLASS", "WORKER", "ERROR"];
        lines.push(String::new());
        lines.push(table(&head, &rows));
    }
    lines.join("\n")
}

/// Calls again and again until there is nothing left to look at.
async fn bulk(client: &Client, mut body: Value, json: bool) -> Result<ExitCode, Failure> {
    let bar = if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    let (mut looked_at, mut done, mut skipped_in_all) = (0, 0, 0);
    let mut skipped = Vec::new();
    loop {
        let report = client.post(&["jobs", "bulk"], &body).await?;
        let number = |name: &str| report[name].as_u64().unwrap_or(0);
        looked_at += number("looked_at");
        done += number("done");
        skipped_in_all += number("skipped_in_all");
        skipped.extend(report["skipped"].as_array().cloned().unwrap_or_default());
        skipped.truncate(100);
        bar.set_message(format!("{looked_at} looked at, {done} done, {skipped_in_all} skipped"));
        match &report["next_cursor"] {
            Value::Null => break,
            next => body["cursor"] = next.clone(),
        }
    }
    bar.finish_and_clear();
    if json {
        say(&pretty(&json!({"looked_at": looked_at, "done": done, "skipped": skipped,
            "skipped_in_all": skipped_in_all})));
    } else {
        say(&format!("{looked_at} looked at, {done} done, {skipped_in_all} skipped"));
        for job in &skipped {
            note(&printable(&format!("{}  {}", cell(&job["id"]), cell(&job["why"]))));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_payload(file: &str) -> Result<Value, Failure> {
    let text = read_text(file, "the payload")?;
    serde_json::from_str(&text).map_err(|e| Failure::Usage(format!("the payload is not JSON: {e}")))
}
