//! What Redis says of itself, and whether it is set up to be trusted with work.

use std::collections::HashMap;

use deadpool_redis::redis::{Value, cmd};

use super::{Shared, link::Link, target::Target};
use crate::{
    config::RedisServers,
    store::{StoreCheck, StoreError, StoreReport, StoreSize},
};

/// `BLMOVE`, `PXAT` and exclusive ranges came with 6.2.
const OLDEST: (u32, u32) = (6, 2);
/// From this part of a limit on (memory, connections) it is said to be near.
const NEAR: f64 = 0.9;

pub(super) async fn check(store: &Shared) -> Result<StoreReport, StoreError> {
    // A server that is away is an error; one that keeps its mouth shut (managed Redis often forbids
    // INFO and CONFIG) is not. One that takes no writes refuses PING as well, and is to say why.
    store.read(&cmd("TIME")).await?;
    let told = Told { info: info(&store.read).await, config: config(&store.read).await };
    let target = store.read.target();
    let checks = vec![
        told.version(),
        told.role(),
        told.eviction(),
        told.evicted(),
        told.persistence(),
        told.saving(),
        told.memory(),
        told.connections(),
        told.replicas(target.servers()),
        told.servers(target, &store.read).await,
        encryption(target),
    ];
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
    match link.read(&cmd("INFO")).await {
        Ok(Value::BulkString(text)) => entries(&text),
        _ => HashMap::new(),
    }
}

/// The lines of `INFO` and its kind.
fn entries(text: &[u8]) -> HashMap<String, String> {
    String::from_utf8_lossy(text)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

async fn config(link: &Link) -> HashMap<String, String> {
    let mut answers = HashMap::new();
    for name in ["maxmemory-policy", "save", "appendfsync", "min-replicas-to-write"] {
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

    fn number(&self, name: &str) -> Option<f64> {
        self.info(name)?.parse().ok()
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

    /// Whether snapshots can be written; if not, Redis takes no writes (`MISCONF`).
    fn saving(&self) -> StoreCheck {
        const NAME: &str = "saving";
        match self.info("rdb_last_bgsave_status") {
            None => unknown(NAME, "INFO"),
            Some("ok") => fine(NAME, "the last snapshot was written".to_owned()),
            Some(_) => bad(
                NAME,
                "Redis could not write its last snapshot, and may refuse writes because of it (MISCONF): look \
                 at its disk and its log, then BGSAVE"
                    .to_owned(),
            ),
        }
    }

    fn memory(&self) -> StoreCheck {
        const NAME: &str = "memory";
        let (Some(used), Some(most)) = (self.number("used_memory"), self.number("maxmemory")) else {
            return unknown(NAME, "INFO");
        };
        if most == 0.0 {
            let used = mebibytes(used);
            return fine(
                NAME,
                format!("{used} are used; maxmemory is not set, so the machine's memory ends it"),
            );
        }
        let share = format!("{} of maxmemory {} are used", mebibytes(used), mebibytes(most));
        if used >= most {
            bad(
                NAME,
                format!(
                    "{share}: nothing new is taken; raise maxmemory or let results expire sooner (RESULT_TTL)"
                ),
            )
        } else if used >= most * NEAR {
            bad(NAME, format!("{share}: soon nothing new is taken; raise maxmemory"))
        } else {
            fine(NAME, share)
        }
    }

    fn connections(&self) -> StoreCheck {
        const NAME: &str = "connections";
        // Redis tells its limit since 7.0.
        let (Some(used), Some(most)) = (self.number("connected_clients"), self.number("maxclients")) else {
            return unknown(NAME, "INFO (maxclients)");
        };
        let told = format!("{used} of {most} connections are used");
        if used >= most * NEAR {
            bad(NAME, format!("{told}: raise maxclients, or end what else is connected"))
        } else {
            fine(NAME, told)
        }
    }

    /// Whether a failover has somebody to fail over to, and what it may cost.
    fn replicas(&self, servers: &RedisServers) -> StoreCheck {
        const NAME: &str = "replicas";
        let Some(replicas) = self.number("connected_slaves") else { return unknown(NAME, "INFO") };
        match self.config("min-replicas-to-write") {
            _ if replicas == 0.0 && *servers == RedisServers::One => {
                fine(NAME, "there is no replica".to_owned())
            }
            _ if replicas == 0.0 => bad(
                NAME,
                "no replica follows the primary: should it fail, nobody takes its place; start one"
                    .to_owned(),
            ),
            Some("0") => fine(
                NAME,
                format!(
                    "{replicas} follow; a failover can lose the last moments' writes, fewer of them with \
                     min-replicas-to-write 1"
                ),
            ),
            _ => fine(NAME, format!("{replicas} follow")),
        }
    }

    /// One server, a cluster or sentinels, and whether that is what is really there.
    async fn servers(&self, target: &Target, link: &Link) -> StoreCheck {
        const NAME: &str = "servers";
        let is_cluster = self.info("cluster_enabled") == Some("1");
        match target.servers() {
            RedisServers::Sentinels { primary } => {
                return fine(NAME, format!("sentinels name the primary of {primary}"));
            }
            RedisServers::One if !is_cluster => return fine(NAME, "one server".to_owned()),
            RedisServers::Cluster if self.info("cluster_enabled") == Some("0") => {
                return fine(NAME, "one server that is no cluster: redis:// says the same".to_owned());
            }
            RedisServers::One | RedisServers::Cluster => {}
        }
        let Ok(Value::BulkString(text)) = link.read(cmd("CLUSTER").arg("INFO")).await else {
            return unknown(NAME, "CLUSTER INFO");
        };
        match entries(&text).get("cluster_state").map(String::as_str) {
            Some("ok") if *target.servers() == RedisServers::One => fine(
                NAME,
                "one node of a cluster; name several (redis-cluster://host1,host2), so that it may fail"
                    .to_owned(),
            ),
            Some("ok") => fine(NAME, "a cluster, and all its slots have an owner".to_owned()),
            _ => bad(
                NAME,
                "the cluster has slots without an owner: look at CLUSTER INFO and CLUSTER NODES".to_owned(),
            ),
        }
    }
}

fn encryption(target: &Target) -> StoreCheck {
    fine(
        "tls",
        match target.is_encrypted() {
            true => "connections are encrypted, and the server's certificate is checked".to_owned(),
            false => "connections are not encrypted: use rediss:// where others share the network".to_owned(),
        },
    )
}

/// Bytes for people.
fn mebibytes(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / f64::from(1 << 20))
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
