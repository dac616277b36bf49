//! `productforge run "brief"`: one workflow, here and now, worked on by this process; or, with `--server`, by a running
//! server (`submit.rs`).

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use serde_json::json;

use crate::{
    app::App,
    config::Config,
    model::{MAX_REVISIONS, Workflow, WorkflowStatus},
    service::workflows::NewWorkflow,
    telemetry::{self, trace},
};

use super::{
    Failure, FromFile,
    client::Server,
    complain,
    files::read_text,
    given, load, note,
    process::{LAST_SPANS, StopSignals, open_unless_stopped, runtime},
    progress::Progress,
    reading::for_reader,
    say,
    submit::{self, Remote},
};

/// How often the workflow is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// What a shell expects of a program that Ctrl-C ended.
pub(super) const INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "\
The report goes to standard output, progress to standard error, the log to logs/app.log in the
workspace. Exits with 0 if the workflow completed, 1 if it failed, 130 after Ctrl-C.

With --server the brief is worked on by that server and watched from here. Ctrl-C then ends the
watching, not the work. Work that waits for a person's word is asked about on a terminal. Only the flag
does this, not PRODUCTFORGE_SERVER: where the work is done is never a surprise.

Examples:
  productforge run \"Fix the login bug\"
  productforge run - < brief.md > report.md
  productforge run \"Compare three queues\" --agent analyzer_bot --agent debugger_bot --json | jq .report
  API_KEY=… productforge run \"Review this shop\" --server https://forge.example.com --upload shop.zip
  productforge run - --server http://127.0.0.1:8000 --approval --detach < brief.md";

/// Work on one brief and print the report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What is to be done; - reads it from standard input
    brief: String,
    /// Leave out the review: no QA, no revisions, no closing feedback
    #[arg(long)]
    no_qa: bool,
    /// How often QA may send the work back [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_REVISIONS)))]
    max_revisions: Option<u32>,
    /// Who is to do it; give several to let them work side by side [default: whoever fits the brief]
    #[arg(long = "agent", value_name = "NAME", value_parser = given::name)]
    agents: Vec<String>,
    /// Jobs run at once [default: WORKERS, 4]
    #[arg(long, value_name = "N", conflicts_with = "url")]
    workers: Option<String>,
    #[command(flatten)]
    from: FromFile,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    server: Server,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer<'a> {
    workflow: &'a Workflow,
    /// The final text; null if there is none.
    report: Option<&'a str>,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.server.is_named() {
        if args.from.file.is_some() {
            return Err(Failure::Usage("--config is for a run here, --server for one elsewhere".to_owned()));
        }
        let body = json!({"job": read_brief(&args.brief)?, "requires_qa": !args.no_qa,
            "max_revisions": args.max_revisions, "specialists": args.agents});
        return submit::run(&args.server, args.remote, body);
    }
    let config = load(args.from, [("WORKERS", args.workers.clone())])?;
    if config.worker.slots == 0 {
        return Err(Failure::Usage("nobody would work on it: set --workers to 1 or more".to_owned()));
    }
    // The terminal belongs to the progress display.
    telemetry::init_quiet(&config.log, &telemetry::log_folder(&config))?;
    let brief = read_brief(&args.brief)?;
    let new = NewWorkflow {
        job: brief,
        requires_qa: Some(!args.no_qa),
        max_revisions: args.max_revisions,
        specialists: Some(args.agents),
        ..NewWorkflow::default()
    };
    runtime()?.block_on(work(config, new, args.server.json))
}

fn read_brief(brief: &str) -> Result<String, Failure> {
    if brief == "-" { read_text(brief, "the brief") } else { Ok(brief.to_owned()) }
}

async fn work(config: Config, new: NewWorkflow, json: bool) -> Result<ExitCode, Failure> {
    trace::init(&config.trace)?;
    let mut signals = StopSignals::listen().context("signals cannot be received")?;
    let embedded = config.store.redis_url.is_none();
    let simulated = config.llm.is_simulated();
    let opened = open_unless_stopped(config, &mut signals).await.map_err(|e| explain(e, embedded))?;
    let Some(app) = opened else { return Ok(ExitCode::from(INTERRUPTED)) };
    if simulated {
        note("No model is configured: answers are simulated. Set OPENAI_API_KEY or OPENAI_BASE_URL.");
    }
    app.services.agents.ensure_defaults().await?;
    let id = app.services.workflows.start(new).await?.workflow_id;
    let worker = app.start_worker();

    let ended = tokio::select! {
        ended = watch(&app, &id) => Some(ended),
        _ = signals.next() => None,
    };
    // Other jobs that this process took are given back, not waited for: the report is there.
    worker.stop(Duration::ZERO, signals.again()).await;
    let code = match ended {
        Some(workflow) => finish(&app, &workflow?, json).await,
        None => {
            note(&interrupted(&id, embedded));
            Ok(ExitCode::from(INTERRUPTED))
        }
    };
    app.close().await;
    trace::flush(LAST_SPANS).await;
    code
}

/// Shows the workflow until it is over.
async fn watch(app: &App, id: &str) -> anyhow::Result<Workflow> {
    let mut progress = Progress::new(io::stderr().is_terminal());
    loop {
        let workflow = app.services.workflows.get(id).await?;
        progress.update(&workflow);
        if workflow.is_over() {
            progress.finish();
            return Ok(workflow);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints what was asked for; the exit code says how it went.
async fn finish(app: &App, workflow: &Workflow, json: bool) -> Result<ExitCode, Failure> {
    let report = match &workflow.report_job_id {
        Some(job_id) => app.services.results.find(job_id).await?.map(|result| result.output),
        None => None,
    };
    if json {
        let answer = Answer { workflow, report: report.as_deref() };
        say(&serde_json::to_string_pretty(&answer).context("the workflow cannot be written as JSON")?);
    } else if let Some(report) = &report {
        say(&for_reader(report.trim_end()));
    }
    if workflow.status == WorkflowStatus::Completed {
        return Ok(ExitCode::SUCCESS);
    }
    complain(&format!("the workflow failed: {}", workflow.error.as_deref().unwrap_or("no reason is known")));
    Ok(ExitCode::FAILURE)
}

fn interrupted(id: &str, embedded: bool) -> String {
    let next = if embedded {
        "`productforge serve` goes on with it"
    } else {
        "the next worker on this Redis goes on with it"
    };
    format!("\nStopped. Nothing is lost: {next}; see http://127.0.0.1:8000/dashboard/workflows/{id}")
}

/// The embedded store belongs to one process; say what to do when that is another one.
fn explain(error: anyhow::Error, embedded: bool) -> Failure {
    if embedded && format!("{error:#}").contains("in use by another process") {
        return Failure::Failed(error.context(
            "another ProductForge, probably `productforge serve`, is using this workspace. Let it work on the \
             brief (--server http://127.0.0.1:8000), or give this run a folder of its own: WORKSPACE_DIR=elsewhere productforge run …",
        ));
    }
    Failure::Failed(error)
}
