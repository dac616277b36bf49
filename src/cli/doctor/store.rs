//! The store: Redis or the embedded one, its clock and its migrations; and where uploads are kept.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Finding, clock};
use crate::{
    app, blobs,
    cli::migrate as command,
    clock::{Clock, SystemClock},
    config::Config,
    migrate::{self, MigrateError},
    service::uploads::{self, Owner},
    store::{
        Store, StoreCheck,
        redis::RedisStore,
        sqlite::{Inspection, inspect},
    },
};

/// How long a database file is looked through.
const LOOK: Duration = Duration::from_secs(8);

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let (mut findings, uploads) = match config.store.redis_url {
        Some(_) => tokio::join!(redis(config), uploads(config)),
        None => tokio::join!(embedded(config), uploads(config)),
    };
    findings.extend(uploads);
    findings.extend(foreign_uploads(config).await);
    findings
}

async fn redis(config: &Config) -> Vec<Finding> {
    let store = match command::open(config) {
        Ok(store) => store,
        Err(e) => return vec![Finding::problem("redis", format!("{e:#}"), "mend REDIS_URL")],
    };
    let findings = ask(&store).await;
    store.close().await;
    findings
}

async fn ask(store: &RedisStore) -> Vec<Finding> {
    let report = match store.check().await {
        Ok(report) => report,
        Err(e) => {
            let remedy =
                "start Redis, or mend REDIS_URL (host, port, password, redis:// or rediss:// for TLS)";
            return vec![Finding::problem("redis", e.to_string(), remedy)];
        }
    };
    let mut findings = vec![Finding::ok("redis", format!("{} answers", store.place()))];
    findings.extend(report.checks.iter().map(judged));
    let before = SystemClock.now();
    if let Ok(theirs) = store.now().await {
        let ours = before + (SystemClock.now() - before) / 2;
        let ahead = TimeDelta::milliseconds(theirs - ours.timestamp_millis());
        findings.push(clock("redis_clock", "Redis", ahead));
    }
    findings.push(migrations(store).await);
    findings
}

/// What the store says of itself; `what is wrong: what to do`.
fn judged(check: &StoreCheck) -> Finding {
    let name = format!("redis_{}", check.name);
    if check.ok {
        return Finding::ok(&name, &check.detail);
    }
    let (found, remedy) = check.detail.split_once(": ").unwrap_or((&check.detail, "see Redis's own log"));
    match check.name {
        // It has happened already, and is over when the policy is right.
        "evicted" => Finding::warning(&name, found, remedy),
        _ => Finding::problem(&name, found, remedy),
    }
}

async fn migrations(store: &RedisStore) -> Finding {
    const NAME: &str = "migrations";
    match migrate::check(store).await {
        Ok(report) if report.is_pending() => Finding::warning(
            NAME,
            format!("the database has version {}, this program knows {}", report.version, report.known),
            "the next start brings it there; `productforge migrate --check` says what that changes",
        ),
        Ok(report) => Finding::ok(NAME, format!("the database has version {}", report.version)),
        Err(e @ MigrateError::TooNew { .. }) => {
            Finding::problem(NAME, e.to_string(), "start a newer productforge")
        }
        Err(e) => Finding::problem(NAME, e.to_string(), "look at Redis, and try again"),
    }
}

async fn embedded(config: &Config) -> Vec<Finding> {
    const NAME: &str = "store";
    let file = config.store.workspace.join("productforge.db");
    let shown = file.display().to_string();
    let looked = tokio::task::spawn_blocking(move || inspect(&file, LOOK)).await;
    let found = match looked {
        Ok(Ok(found)) => found,
        Ok(Err(e)) => {
            let remedy =
                "see that the file belongs to the user that the server runs as (`chown`); look at the disk";
            return vec![Finding::problem(NAME, e.to_string(), remedy)];
        }
        Err(e) => return vec![Finding::problem(NAME, e.to_string(), "this is a fault of the program")],
    };
    vec![match found {
        Inspection::Absent => {
            Finding::ok(NAME, format!("{shown} does not exist yet; the first start makes it"))
        }
        Inspection::InUse => Finding::ok(
            NAME,
            format!(
                "{shown} is in use by a running process and was not looked through; its server says how it is"
            ),
        ),
        Inspection::Sound { schema, known, .. } if schema > known => Finding::problem(
            NAME,
            format!("{shown} has schema version {schema}, this program knows up to {known}"),
            "start a newer productforge",
        ),
        Inspection::Sound { schema, known, bytes } if schema < known => Finding::warning(
            NAME,
            format!("{shown} is sound ({} MiB) and has schema version {schema} of {known}", bytes >> 20),
            "the next start brings it to the newest; keep a copy of the file if you may want to go back",
        ),
        Inspection::Sound { bytes, .. } => {
            Finding::ok(NAME, format!("{shown} is sound ({} MiB)", bytes >> 20))
        }
        Inspection::TooLarge { bytes } => Finding::ok(
            NAME,
            format!("{shown} ({} MiB) was looked through in part, without a fault", bytes >> 20),
        ),
        Inspection::Damaged(faults) => Finding::problem(
            NAME,
            format!("{shown} is damaged: {}", faults.join("; ")),
            "stop the server, keep a copy of the file, and put the last good copy in its place",
        ),
    }]
}

/// Whether the files of uploads belong to another installation. Where the store is a file of the workspace, it may be in
/// use: then its server says so.
async fn foreign_uploads(config: &Config) -> Option<Finding> {
    config.store.redis_url.as_ref()?;
    let (place, mark) = match &config.upload.blob_url {
        Some(_) => {
            let folder = tempfile::tempdir().ok()?;
            let blobs = blobs::open(app::blob_config(config, folder.path().to_owned())).await.ok()?;
            (blobs.check().await.place, uploads::mark(blobs.as_ref()).await.ok()?)
        }
        None => {
            let folder = app::uploads(config);
            let mark = std::fs::read_to_string(folder.join(uploads::MARK)).ok();
            (folder.display().to_string(), mark.map(|mark| mark.trim().to_owned()))
        }
    };
    let store = command::open(config).ok()?;
    let installation = uploads::installation(&store).await;
    store.close().await;
    match Owner::of(mark.as_deref(), installation.ok()?.as_deref()) {
        Owner::Another => {
            Some(Finding::warning("uploads_owner", uploads::foreign(&place), uploads::FOREIGN_REMEDY))
        }
        Owner::This | Owner::Nobody => None,
    }
}

async fn uploads(config: &Config) -> Vec<Finding> {
    const NAME: &str = "uploads";
    let upload = &config.upload;
    if upload.blob_url.is_none() {
        let shared = config.store.redis_url.is_some();
        // A folder of the workspace, which has been looked at.
        return match shared {
            true => vec![Finding::warning(
                NAME,
                "uploads are kept in a folder of this node, which other nodes do not see",
                "with nodes on several machines set BLOB_URL to a bucket; processes that share this folder (Compose) need nothing",
            )],
            false => Vec::new(),
        };
    }
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(e) => return vec![Finding::problem(NAME, format!("no temporary folder: {e}"), "set TMPDIR")],
    };
    let remedy =
        "look at BLOB_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and at the rights of that key";
    match blobs::open(app::blob_config(config, folder.path().to_owned())).await {
        Err(e) => vec![Finding::problem(NAME, e.to_string(), remedy)],
        Ok(blobs) => {
            let check = blobs.check().await;
            match check.read.and(check.write) {
                Ok(()) => vec![Finding::ok(NAME, format!("{} can be read and written", check.place))],
                Err(e) => vec![Finding::problem(NAME, format!("{}: {e}", check.place), remedy)],
            }
        }
    }
}
