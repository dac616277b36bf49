//! `productforge doctor`: the checklist of a deployment, looked through by the program itself.
//!
//! It changes nothing, spends nothing and comes to an end: each part has [`PATIENCE`]. It works before the first start and
//! beside a running server, whose embedded store it leaves alone and whose own health it asks for instead. Parts: `access`
//! (key, proxies, address), `machine` (disk, rights, descriptors), `store` (Redis or the file, uploads), `models` (providers).

mod access;
mod finding;
mod machine;
mod models;
mod store;

use std::{future::Future, process::ExitCode, time::Duration};

use anyhow::Context;
use chrono::TimeDelta;

use super::{Failure, FromFile, load, process::runtime, say};
use crate::config::{Config, Source};
use finding::{Finding, Report};

/// The most that one part may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far a clock may be off before it is said, and before it is a problem.
const OFF: [TimeDelta; 2] = [TimeDelta::seconds(3), TimeDelta::seconds(30)];

const EXAMPLES: &str = "\
Looks at the configuration, the key, the address, disks and rights, the store (of Redis its version,
eviction, persistence, clock and migrations), uploads and model providers (the list of their models is
asked for, which costs nothing). Changes nothing. Run it where the server runs, as the user that it
runs as, with its environment; a running server is no hindrance.

Exit codes: 0 no problem (there may be warnings), 1 a problem, each with what to do about it.

Examples:
  productforge doctor
  productforge doctor --json | jq '.checks[] | select(.state != \"ok\")'";

/// Look whether this deployment is fit for work, and say what to do where it is not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// As JSON: {ok, problems, warnings, checks: [{check, state, found, do}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let findings = match load(args.from, []) {
        Ok(config) => runtime()?.block_on(look(&config)),
        Err(error) => error.problems.iter().map(misconfigured).collect(),
    };
    let report = Report::of(findings);
    if args.json {
        say(&serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?);
    } else {
        say(&report.told());
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn misconfigured(problem: &String) -> Finding {
    Finding::problem(
        "configuration",
        problem,
        "mend it; `productforge config --table` says what may stand there",
    )
}

async fn look(config: &Config) -> Vec<Finding> {
    let given = [Source::Flag, Source::Environment, Source::File, Source::SecretFile];
    let given = config.settings.iter().filter(|setting| given.contains(&setting.source)).count();
    let mut findings =
        vec![Finding::ok("configuration", format!("{given} settings are given, the others are defaults"))];
    let (access, machine, store, models) = tokio::join!(
        bounded("access", access::look(config)),
        bounded("machine", machine::look(config)),
        bounded("store", store::look(config)),
        bounded("models", models::look(config)),
    );
    findings.extend([access, machine, store, models].into_iter().flatten());
    findings
}

async fn bounded(part: &str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| {
        let found = format!("no answer in {} s", PATIENCE.as_secs());
        vec![Finding::problem(part, found, "look at the network between here and there, and try again")]
    })
}

/// What is to be said of a clock that is so far ahead of ours.
fn clock(check: &str, whose: &str, ahead: TimeDelta) -> Finding {
    let seconds = ahead.abs().num_milliseconds() as f64 / 1000.0;
    let direction = if ahead < TimeDelta::zero() { "ahead of" } else { "behind" };
    let found = format!("this machine is {seconds:.1} s {direction} {whose}");
    let remedy = "set the clock of whichever is wrong by NTP (`timedatectl set-ntp true`)";
    match ahead.abs() {
        off if off > OFF[1] => Finding::problem(check, found, remedy),
        off if off > OFF[0] => Finding::warning(check, found, remedy),
        _ => Finding::ok(check, found),
    }
}
