//! `productforge migrate`: brings a Redis database to the newest version, or says what that would change.

use std::process::ExitCode;

use anyhow::Context;

use crate::{
    config::Config,
    migrate::{self, PATIENCE, Report, State, Work},
    store::redis::RedisStore,
    telemetry,
};

use super::{Failure, FromFile, load, process::runtime, say};

/// Something would be changed.
const PENDING: u8 = 3;
/// How many changes and keys are named without `--json`.
const SHOWN: usize = 20;

const EXAMPLES: &str = "\
`serve`, `worker` and `run` do this by themselves when they start; several at once wait for the one
that does it. Run it by hand to see first what it would change. A database of the earlier system is
adopted: nothing of it is lost, and what is not understood stays as it is and is listed.

Exit codes: 0 the database is up to date, 1 it could not be brought there, 2 the command line or the
configuration is wrong, 3 --check found something to do.

Examples:
  REDIS_URL=redis://cache:6379 productforge migrate --check
  REDIS_URL=redis://cache:6379 productforge migrate --check --json | jq '.migrations[].work.changes'
  REDIS_URL=redis://cache:6379 productforge migrate";

/// Bring a Redis database to the newest version, or adopt one of the earlier system
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Change nothing; say what would be changed
    #[arg(long)]
    check: bool,
    /// As JSON, with up to 1,000 changes and keys one by one
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(args.from, [])?;
    if config.store.redis_url.is_none() {
        return Err(Failure::Usage(
            "there is nothing to migrate without REDIS_URL: the embedded store brings itself up to date when it is \
             opened"
                .to_owned(),
        ));
    }
    telemetry::init(&config.log, &telemetry::log_folder(&config))?;
    let report = runtime()?.block_on(migrate(&config, args.check))?;
    if args.json {
        say(&serde_json::to_string_pretty(&report).context("the report cannot be written as JSON")?);
    } else {
        say(told(&report).trim_end());
    }
    Ok(if report.is_pending() { ExitCode::from(PENDING) } else { ExitCode::SUCCESS })
}

async fn migrate(config: &Config, check: bool) -> anyhow::Result<Report> {
    let store = open(config)?;
    let report = match check {
        true => migrate::check(&store).await,
        false => migrate::apply(&store, PATIENCE).await,
    };
    crate::store::Store::close(&store).await;
    Ok(report?)
}

/// The Redis of the configuration; nothing is asked of it yet.
pub(super) fn open(config: &Config) -> anyhow::Result<RedisStore> {
    let url = config.store.redis_url.as_ref().map_or("", |url| url.expose());
    RedisStore::configured(&config.store, url).context("Redis cannot be used")
}

fn told(report: &Report) -> String {
    let mut lines = vec![format!(
        "The database has schema version {}; this program knows {}.",
        report.version, report.known
    )];
    for migration in &report.migrations {
        let (number, name) = (migration.number, &migration.name);
        let applied =
            migration.applied.as_ref().map(|applied| format!(" at {} by {}", applied.at, applied.by));
        let applied = applied.unwrap_or_default();
        lines.push(match migration.state {
            State::Pending => format!("\n{number}. {name}: to be applied"),
            State::Applied => format!("\n{number}. {name}: applied now"),
            State::Earlier => format!("\n{number}. {name}: applied{applied}"),
        });
        if let Some(work) = &migration.work {
            tell_work(work, &mut lines);
        }
    }
    lines.join("\n")
}

fn tell_work(work: &Work, lines: &mut Vec<String>) {
    lines.extend(work.warnings.iter().map(|warning| format!("  Warning: {warning}")));
    lines.push(format!("  {} keys looked at: {}", work.looked_at, work.summary()));
    if let Some(zone) = &work.zone {
        lines.push(format!("  times without a zone are taken as {zone}"));
    }
    lines.extend(work.told.iter().take(SHOWN).map(|told| format!("    {told}")));
    let changes: u64 = work.changes.values().sum();
    more(changes, lines);
    if work.left_count > 0 {
        lines.push("  left as they are:".to_owned());
        lines.extend(work.left.iter().take(SHOWN).map(|left| format!("    {}: {}", left.key, left.why)));
        more(work.left_count, lines);
    }
}

fn more(number: u64, lines: &mut Vec<String>) {
    let more = number.saturating_sub(SHOWN as u64);
    if more > 0 {
        lines.push(format!("    … and {more} more (--json)"));
    }
}
