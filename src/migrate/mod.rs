//! Migrations of a Redis database: which there are, which version a database has, and how it comes to
//! the newest one.
//!
//! `migrations-redis/` describes them and holds their scripts; its README says what a migration has to keep
//! to. `schema` keeps the version, `lease` sees to it that one process migrates while the others wait,
//! `adopt` is the first migration; `copy` moves whole stores. The embedded store migrates itself when it is opened.

mod adopt;
pub mod copy;
#[doc(hidden)]
pub mod fuzzing;
mod lease;
mod report;
mod schema;
pub mod start;

use std::{sync::LazyLock, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;

pub use report::{Applied, Change, Left, MigrationReport, Report, State, Work};

use crate::store::{StoreError, redis::RedisStore};

use adopt::Adoption;
use lease::Lease;
use schema::Schema;

/// A database that another process migrates is looked at again after this time.
const LOOK: Duration = Duration::from_millis(250);
/// How often is said that another process migrates.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long a process waits for another one that migrates, and lives.
pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is known of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Migration {
    /// 1, 2, 3, …
    number: u32,
    name: String,
    /// The lowest version that a program must know to use the database afterwards.
    min_reader: u32,
}

/// In order. Never edit one that was released.
static MIGRATIONS: LazyLock<Vec<Migration>> = LazyLock::new(|| {
    [include_str!("../../migrations-redis/0001_adopt_legacy/migration.toml")]
        .map(|text| toml::from_str(text).expect("the descriptions are part of the program and tested"))
        .to_vec()
});

/// The newest version that this program knows.
pub fn known() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

/// Whether changes are made or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Check,
    Apply,
}

/// Why a database was not brought to the newest version.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(
        "the database has schema version {version}, which programs can use that know version {min_reader}; this \
         one knows {known}: use a newer productforge"
    )]
    TooNew { version: u32, min_reader: u32, known: u32 },
    #[error(
        "{holder} has been migrating the database for longer than {} seconds: wait for it, or end it and try again",
        .patience.as_secs()
    )]
    Busy { holder: String, patience: Duration },
    /// Somebody else goes on with it.
    #[error("the lease to migrate was lost, because Redis or this process did not answer in time; try again")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MigrateError {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::LeaseLost | Self::Store(StoreError::Unavailable(_) | StoreError::Full(_)))
    }
}

/// Says what [`apply`] would do now. Changes nothing.
pub async fn check(store: &RedisStore) -> Result<Report, MigrateError> {
    let raw = store.raw()?;
    let schema = Schema::read(&raw).await?;
    schema.usable()?;
    let mut report = schema.report(true);
    for migration in pending(&schema) {
        let work = Adoption::new(store, &raw, Mode::Check, None).run().await?;
        report.migrations.push(MigrationReport::pending(migration, work));
    }
    Ok(report)
}

/// Brings the database to the newest version that this program knows, or waits, at most this long, for
/// whoever does so already. A database that is newer and may be used is left as it is.
pub async fn apply(store: &RedisStore, patience: Duration) -> Result<Report, MigrateError> {
    let raw = store.raw()?;
    let begun = Instant::now();
    let mut say_at = begun;
    let lease = loop {
        let schema = Schema::read(&raw).await?;
        schema.usable()?;
        if pending(&schema).next().is_none() {
            return Ok(schema.report(false));
        }
        match Lease::take(&raw).await? {
            Ok(lease) => break lease,
            Err(holder) if begun.elapsed() > patience => return Err(MigrateError::Busy { holder, patience }),
            Err(holder) => {
                if Instant::now() >= say_at {
                    log::info!("{holder} migrates the database; waiting for it");
                    say_at = Instant::now() + SAY_EVERY;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    };
    let done = migrate(store, &lease).await;
    lease.release().await;
    done
}

async fn migrate(store: &RedisStore, lease: &Lease) -> Result<Report, MigrateError> {
    let raw = store.raw()?;
    // The version may have changed between the look and the lease.
    let schema = Schema::read(&raw).await?;
    schema.usable()?;
    let mut report = schema.report(false);
    for migration in pending(&schema) {
        log::info!("migrating the database to version {}: {}", migration.number, migration.name);
        let begun = Instant::now();
        let work = Adoption::new(store, &raw, Mode::Apply, Some(lease)).run().await?;
        let applied = schema::record(&raw, lease, migration, &work, begun.elapsed()).await?;
        log::info!("the database has schema version {}: {}", migration.number, work.summary());
        report.version = migration.number;
        report.min_reader = migration.min_reader;
        report.migrations.push(MigrationReport::applied(migration, work, applied));
    }
    Ok(report)
}

fn pending(schema: &Schema) -> impl Iterator<Item = &'static Migration> {
    let version = schema.version;
    MIGRATIONS.iter().filter(move |migration| migration.number > version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_a_gap_and_can_be_read_by_earlier_programs() {
        for (migration, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.number, number);
            assert!(migration.min_reader <= number, "{migration:?}");
        }
        assert_eq!(known() as usize, MIGRATIONS.len());
    }
}
