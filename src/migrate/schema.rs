//! The version of a database: the hash `pf:schema`.
//!
//! | field | what |
//! |---|---|
//! | `version` | the number of the newest migration that was applied; 0 where there is none |
//! | `min_reader` | the lowest version that a program must know to use the database |
//! | `applied:{number}` | JSON: who applied it, when, and how much it changed |

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use deadpool_redis::redis::cmd;

use super::{MIGRATIONS, MigrateError, Migration, lease::Lease, report};
use crate::{
    model::iso,
    store::{
        StoreError,
        redis::{Lua, RawRedis, Reply},
    },
};

static RECORD: LazyLock<Lua> =
    LazyLock::new(|| Lua::writing(include_str!("../../migrations-redis/schema/record.lua")));

/// The key of the version, behind the prefix.
const SCHEMA: &str = "pf:schema";

/// What a database says of itself.
pub(super) struct Schema {
    pub version: u32,
    pub min_reader: u32,
    applied: Vec<(u32, Option<report::Applied>)>,
}

impl Schema {
    pub async fn read(raw: &RawRedis) -> Result<Self, StoreError> {
        let mut command = cmd("HMGET");
        command.arg(raw.key(SCHEMA)).arg("version").arg("min_reader");
        for migration in MIGRATIONS.iter() {
            command.arg(field(migration));
        }
        let mut reply = Reply::of("the version", raw.read(&command).await?)?;
        let version = reply.optional_number()?.unwrap_or(0);
        let min_reader = reply.optional_number()?.unwrap_or(0);
        let mut applied = Vec::new();
        for migration in MIGRATIONS.iter() {
            let note = reply.optional_bytes()?;
            applied.push((migration.number, note.and_then(|note| serde_json::from_slice(&note).ok())));
        }
        Ok(Self { version, min_reader, applied })
    }

    /// Whether this program may use the database.
    pub fn usable(&self) -> Result<(), MigrateError> {
        let (version, min_reader, known) = (self.version, self.min_reader, super::known());
        if version > known && min_reader > known {
            return Err(MigrateError::TooNew { version, min_reader, known });
        }
        Ok(())
    }

    /// The state as it is, with what was applied before.
    pub fn report(&self, checked: bool) -> report::Report {
        let earlier = MIGRATIONS.iter().zip(&self.applied).filter(|(m, _)| m.number <= self.version);
        report::Report {
            engine: "redis",
            version: self.version,
            known: super::known(),
            min_reader: self.min_reader,
            checked,
            migrations: earlier
                .map(|(m, (_, applied))| report::MigrationReport::earlier(m, applied.clone()))
                .collect(),
        }
    }
}

/// Notes that a migration was applied.
pub(super) async fn record(
    raw: &RawRedis,
    lease: &Lease,
    migration: &Migration,
    work: &report::Work,
    took: Duration,
) -> Result<report::Applied, MigrateError> {
    let mut time = Reply::of("the time", raw.read(&cmd("TIME")).await?)?;
    let now: DateTime<Utc> = DateTime::from_timestamp(time.number()?, 0).unwrap_or_default();
    let applied = report::Applied {
        by: lease.holder().to_owned(),
        at: iso::format(&now),
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        changes: work.changes.iter().map(|(what, number)| ((*what).to_owned(), *number)).collect(),
        left: work.left_count,
    };
    let note = serde_json::to_string(&applied).expect("a note has only plain fields");
    let keys = [raw.key(SCHEMA), lease.key().to_owned()];
    let noted = raw
        .run(&RECORD, &keys, |command| {
            command.arg(lease.holder()).arg(migration.number).arg(migration.min_reader);
            command.arg(field(migration)).arg(&note);
        })
        .await?;
    match noted {
        deadpool_redis::redis::Value::Int(1) => Ok(applied),
        _ => Err(MigrateError::LeaseLost),
    }
}

fn field(migration: &Migration) -> String {
    format!("applied:{}", migration.number)
}
