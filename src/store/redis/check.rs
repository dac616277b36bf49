//! What Redis says of itself, and whether it is set up to be trusted with work.

use std::collections::HashMap;

use deadpool_redis::redis::{Value, cmd};

use super::{Shared, link::Link};
use crate::store::{StoreCheck, StoreError, StoreReport, StoreSize};

/// `BLMOVE`, `PXAT` and exclusive ranges came with 6.2.
const OLDEST: (u32, u32) = (6, 2);

pub(super) async fn check(store: &Shared) -> Result<StoreReport, StoreError> {
    // A server that is away is an error; one that keeps its mouth shut (managed Redis often forbids
    // INFO and CONFIG) is not.
    store.read(&cmd("PING")).await?;
    let told = Told { info: info(&store.read).await, config: config(&store.read).await };
    let checks = vec![told.version(), told.role(), told.eviction(), told.evicted(), told.persistence()];
    let version = told.info("redis_version").unwrap_or("unknown").to_owned();
    let bytes = told.info("used_memory").and_then(|bytes| bytes.parse().ok());
    let size = bytes.map(|bytes| StoreSize { bytes, free: None });
    Ok(StoreReport { engine: "redis", version, checks, size })
}

/// What could be found out. A question that was not answered has no entry.
struct Told {
    info: HashMap<String, String>,
    config: HashMap<String, String>,
}

async fn info(link: &Link) -> HashMap<String, String> {
    let Ok(Value::BulkString(text)) = link.read(&cmd("INFO")).await else { return HashMap::new() };
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

async fn config(link: &Link) -> HashMap<String, String> {
    let mut answers = HashMap::new();
    for name in ["maxmemory-policy", "save", "appendfsync"] {
        if let Ok(Value::Array(answer)) = link.read(cmd("CONFIG").arg("GET").arg(name)).await
            && let [_, Value::BulkString(value)] = answer.as_slice()
        {
            answers.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
        }
    }
    answers
}

impl Told {
    fn info(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn config(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str)
    }

    fn version(&self) -> StoreCheck {
        let found = self.info("redis_version");
        let Some((major, minor)) = found.and_then(major_and_minor) else { return unknown("version", "INFO") };
        let version = found.unwrap_or_default();
        if (major, minor) >= OLDEST {
            fine("version", format!("Redis {version}"))
        } else {
            bad("version", format!("Redis {version} is too old: use 6.2 or newer"))
        }
    }

    fn role(&self) -> StoreCheck {
        match self.info("role") {
            None => unknown("role", "INFO"),
            Some("master") => fine("role", "this is the primary".to_owned()),
            Some(role) => {
                bad("role", format!("this is a {role}, which takes no writes: give the URL of the primary"))
            }
        }
    }

    fn eviction(&self) -> StoreCheck {
        match self.config("maxmemory-policy").or_else(|| self.info("maxmemory_policy")) {
            None => unknown("eviction", "CONFIG GET and INFO"),
            Some("noeviction") => fine("eviction", "maxmemory-policy is noeviction".to_owned()),
            Some(policy) => bad(
                "eviction",
                format!(
                    "maxmemory-policy is {policy}: Redis may throw away queued work when memory is short; \
                     set it to noeviction"
                ),
            ),
        }
    }

    /// Evictions since the server started, whatever the policy says now.
    fn evicted(&self) -> StoreCheck {
        const NAME: &str = "evicted";
        match self.info("evicted_keys") {
            None => unknown(NAME, "INFO"),
            Some("0") => fine(NAME, "nothing was evicted since Redis started".to_owned()),
            Some(number) => bad(
                NAME,
                format!(
                    "Redis has thrown away {number} keys to make room since it started: work may be lost. Give it \
                     more memory and set maxmemory-policy to noeviction; the audit queues again what it can"
                ),
            ),
        }
    }

    fn persistence(&self) -> StoreCheck {
        const NAME: &str = "persistence";
        match self.info("aof_enabled") {
            Some("1") if self.info("aof_last_write_status") == Some("err") => {
                bad(NAME, "Redis cannot write its append-only file: look at its disk and its log".to_owned())
            }
            Some("1") => {
                let fsync = self.config("appendfsync").unwrap_or("unknown");
                fine(NAME, format!("appendonly is on, appendfsync is {fsync}"))
            }
            Some(_) => match self.config("save") {
                Some("") => bad(
                    NAME,
                    "nothing is kept on disk: a restart of Redis loses all work; set appendonly yes"
                        .to_owned(),
                ),
                Some(save) => bad(
                    NAME,
                    format!(
                        "only snapshots are kept (save {save}): a crash of Redis loses the work since the \
                         last one; set appendonly yes"
                    ),
                ),
                None => bad(
                    NAME,
                    "appendonly is off: a crash of Redis can lose work; set appendonly yes".to_owned(),
                ),
            },
            None => unknown(NAME, "INFO"),
        }
    }
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn fine(name: &'static str, detail: String) -> StoreCheck {
    StoreCheck { name, ok: true, detail }
}

fn bad(name: &'static str, detail: String) -> StoreCheck {
    StoreCheck { name, ok: false, detail }
}

/// Not known to be wrong, so not called wrong.
fn unknown(name: &'static str, forbidden: &str) -> StoreCheck {
    fine(name, format!("unknown: this Redis does not answer {forbidden}"))
}
