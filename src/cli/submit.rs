//! `productforge run --server`: one workflow, worked on by a running server and watched from here.
//!
//! The brief is posted under a key of its own, so that sending it again makes no second workflow. Then the events are
//! followed, over cuts of the connection; each lets the workflow be looked at. Where the work waits for a person's
//! word, that person is asked on a terminal, and told the commands elsewhere. Ctrl-C ends the watching, not the work.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::model::{PauseReason, Workflow, WorkflowStatus, new_id};

use super::{
    Failure,
    answers::pretty,
    approval::{self, Word},
    client::{Client, Server},
    complain, given, note,
    process::{StopSignals, runtime},
    progress::Progress,
    reading::for_reader,
    run::INTERRUPTED,
    say,
    table::{cell, printable},
    uploads,
    watch::Follower,
};

/// What only a run at a server has.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "At a server")]
pub(super) struct Remote {
    /// Watch it until it ends, which is what happens anyway
    #[arg(long, requires = "url", conflicts_with = "detach")]
    watch: bool,
    /// Print the id of the workflow and do not watch it
    #[arg(long, requires = "url")]
    detach: bool,
    /// Send this .zip file first; all agents may read what is in it
    #[arg(long, value_name = "FILE", requires = "url", conflicts_with = "upload_id")]
    upload: Option<PathBuf>,
    /// An upload that is there already
    #[arg(long, value_name = "ID", requires = "url", value_parser = given::id)]
    upload_id: Option<String>,
    /// Have a person approve the work before it ends
    #[arg(long, requires = "url")]
    approval: bool,
    /// Let Ctrl-C cancel the workflow instead of ending the watching only
    #[arg(long, requires = "url", conflicts_with = "detach")]
    cancel_on_interrupt: bool,
}

/// Posts the brief, `body`, and sees it through.
pub(super) fn run(server: &Server, remote: Remote, body: Value) -> Result<ExitCode, Failure> {
    let client = server.client()?;
    runtime()?.block_on(work(server, &client, remote, body))
}

async fn work(
    server: &Server,
    client: &Client,
    remote: Remote,
    mut body: Value,
) -> Result<ExitCode, Failure> {
    let mut signals = StopSignals::listen().context("signals cannot be received")?;
    let started = async {
        if let Some(file) = &remote.upload {
            let receipt = uploads::send(client, file, None).await?;
            note(&format!("uploaded as {}", printable(&cell(&receipt["upload_id"]))));
            body["upload_id"] = receipt["upload_id"].clone();
        } else if let Some(id) = &remote.upload_id {
            body["upload_id"] = json!(id);
        }
        body["approval"] = json!(remote.approval);
        client.post_once(&["orchestrate"], &body, &format!("run-{}", new_id())).await
    };
    let receipt = tokio::select! {
        receipt = started => receipt?,
        _ = signals.next() => {
            note("\nStopped before the server had answered; `productforge workflows list` shows whether it began.");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let id = printable(&cell(&receipt["workflow_id"]));
    if remote.detach {
        say(&if server.json { pretty(&receipt) } else { id });
        return Ok(ExitCode::SUCCESS);
    }
    if receipt["simulated"] == true {
        note("The server has no model: answers are simulated.");
    }
    let run = Run { client, id: &id, again: server.again(client) };
    note(&format!("{id} at {}", client.address()));
    let ended = tokio::select! {
        ended = run.watch() => ended?,
        _ = signals.next() => return run.interrupted(remote.cancel_on_interrupt).await,
    };
    run.finish(ended, server.json).await
}

/// A workflow that is watched.
struct Run<'a> {
    client: &'a Client,
    id: &'a str,
    /// The arguments that lead to the same server again.
    again: String,
}

impl Run<'_> {
    /// Shows the workflow until it is over; the workflow as the server told it.
    async fn watch(&self) -> Result<Value, Failure> {
        let terminal = io::stderr().is_terminal();
        let mut progress = Progress::new(terminal);
        let mut events = Follower::of_known(self.client, self.id);
        let mut told = None;
        loop {
            let found = match self.client.get(&["workflows", self.id], &[]).await {
                Ok(found) => found,
                // It was there a moment ago.
                Err(error @ Failure::Unreachable(_)) => {
                    events.away(error).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let workflow: Workflow = serde_json::from_value(found["workflow"].clone())
                .context("the server's workflows are of another form; is it of another version?")?;
            progress.update(&workflow);
            if workflow.is_over() {
                progress.finish();
                return Ok(found);
            }
            let pause = workflow.pause.as_ref().filter(|_| workflow.status == WorkflowStatus::Paused);
            // Said once for each pause.
            if let Some(pause) = pause.filter(|pause| told != Some(pause.since)) {
                told = Some(pause.since);
                let asks = pause.reason == PauseReason::Approval && terminal && io::stdin().is_terminal();
                let show = || self.paused(pause.reason, &pause.detail);
                match asks {
                    true => match progress.suspended(approval::ask(&pause.detail)).await? {
                        Word::Later => show(),
                        word => self.answer(word).await?,
                    },
                    false => show(),
                }
            }
            events.next().await?;
        }
    }

    /// Gives the word of the person who was asked.
    async fn answer(&self, word: Word) -> Result<(), Failure> {
        let (verb, body) = match word {
            Word::Approve => ("approve", json!({})),
            Word::SendBack(comment) => ("reject", json!({"send_back": true, "comment": comment})),
            Word::Reject(comment) => ("reject", json!({"comment": comment})),
            Word::Later => return Ok(()),
        };
        match self.client.post(&["workflows", self.id, verb], &body).await {
            Ok(_) => Ok(()),
            // Somebody else was quicker, say: what has come of it shows.
            Err(Failure::Failed(error)) => {
                note(&format!("{error:#}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What it waits for, and the commands that let it go on.
    fn paused(&self, reason: PauseReason, detail: &str) {
        let (id, again) = (self.id, &self.again);
        note(&format!("paused: {}", printable(detail)));
        note(&match reason {
            PauseReason::Approval => format!(
                "  productforge workflows approve {id}{again}\n  productforge workflows reject {id} --send-back \
                 --comment \"…\"{again}"
            ),
            _ => format!("  productforge workflows resume {id}{again}"),
        });
    }

    /// Ctrl-C: the work goes on unless it was to be cancelled.
    async fn interrupted(&self, cancel: bool) -> Result<ExitCode, Failure> {
        let (id, again) = (self.id, &self.again);
        if cancel {
            self.client.post(&["workflows", id, "cancel"], &json!({"reason": "Ctrl-C"})).await?;
            note(&format!("\nCancelled {id}."));
        } else {
            note(&format!(
                "\nThe server goes on with it. To watch it again, to see what came of it, to cancel it:\n  \
                 productforge workflows watch {id}{again}\n  productforge workflows show {id}{again}\n  \
                 productforge workflows cancel {id}{again}"
            ));
        }
        Ok(ExitCode::from(INTERRUPTED))
    }

    /// Prints what was asked for; the exit code says how it went.
    async fn finish(&self, mut found: Value, json: bool) -> Result<ExitCode, Failure> {
        let workflow = found["workflow"].take();
        let report = match workflow["report_job_id"].as_str() {
            // A result that has expired is no failure of the work.
            Some(job) => match self.client.get(&["results", job], &[]).await {
                Ok(mut result) => result["output"].take(),
                Err(Failure::Failed(error)) => {
                    note(&format!("{error:#}"));
                    Value::Null
                }
                Err(error) => return Err(error),
            },
            None => Value::Null,
        };
        let completed = workflow["status"] == "completed";
        let status = cell(&workflow["status"]);
        let why = workflow["error"].as_str().unwrap_or("no reason is known").to_owned();
        if json {
            say(&pretty(&json!({"workflow": workflow, "report": report})));
        } else if let Some(report) = report.as_str() {
            say(&for_reader(report.trim_end()));
        }
        if completed {
            return Ok(ExitCode::SUCCESS);
        }
        complain(&format!("the workflow is {status}: {}", printable(&why)));
        Ok(ExitCode::FAILURE)
    }
}
