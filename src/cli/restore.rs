//! `productforge restore`: puts a backup in the place of the embedded store.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;

use crate::{
    app,
    config::Config,
    service::backups::{self, Place, Restored},
    telemetry,
};

use super::{Failure, FromFile, backup::told, load, note, process::runtime, say};

const IN_REDIS: &str = "\
REDIS_URL is set, so the state lives in Redis, and a backup is of the embedded store. Unset REDIS_URL and restore
into a workspace; `productforge copy --from sqlite --to redis` then moves it into an empty Redis.";

const EXAMPLES: &str = "\
No server may run on the store meanwhile. Every part is held against its digest before anything is
touched, and the last step is one rename: whatever happens, the old store or the new one is there, whole.
What had run out by the time of the restore (results have a time to live) is gone soon after the start.
Jobs that were running when the backup was made go back to their queues at the start of the server.
What root restores belongs to the owner of the folder of the store.

Exit codes: 0 restored (--check: it could be), 1 not, and the store is as it was, 2 the command line or the
configuration is wrong.

Examples:
  productforge restore --check monday.zip
  WORKSPACE_DIR=elsewhere productforge restore monday.zip
  productforge restore --force monday.zip";

/// Put a backup in the place of the embedded store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What `productforge backup` has written
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// Change nothing; read all of it and say what is in it
    #[arg(long)]
    check: bool,
    /// Replace a store that is there; it is kept beside it as productforge.db.before-restore
    #[arg(long)]
    force: bool,
    /// What is in it, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(args.from, [])?;
    if args.check {
        let manifest = backups::check(&args.backup).map_err(anyhow::Error::from)?;
        say(&match args.json {
            true => serde_json::to_string_pretty(&manifest).context("it cannot be written as JSON")?,
            false => told(&manifest),
        });
        return Ok(ExitCode::SUCCESS);
    }
    if config.store.redis_url.is_some() {
        return Err(Failure::Usage(IN_REDIS.to_owned()));
    }
    telemetry::init_quiet(&config.log, &telemetry::log_folder(&config))?;
    let place = Place { database: app::database(&config), uploads: app::uploads(&config) };
    let restored = runtime()?
        .block_on(backups::restore(&args.backup, &place, args.force))
        .map_err(anyhow::Error::from)?;
    let logs = telemetry::log_folder(&config);
    if logs.starts_with(&config.store.workspace) && logs.exists() {
        backups::give_to_owner(&config.store.workspace, &logs);
    }
    tell(&config, &place, &restored, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(config: &Config, place: &Place, restored: &Restored, json: bool) -> anyhow::Result<()> {
    if json {
        say(&serde_json::to_string_pretty(restored).context("it cannot be written as JSON")?);
        return Ok(());
    }
    say(&told(&restored.manifest));
    note(&format!("Restored into {}", place.database.display()));
    if let Some(kept) = &restored.kept {
        note(&format!("The store that was there is kept as {}", kept.display()));
    }
    match (restored.manifest.uploads_included, config.upload.blob_url.is_some()) {
        (true, true) => note(&format!(
            "BLOB_URL is set, but the files of uploads are now in {}: copy them into the bucket",
            place.uploads.display()
        )),
        (false, false) => note("The files of uploads were in a bucket: set BLOB_URL to have them"),
        _ => {}
    }
    Ok(())
}
