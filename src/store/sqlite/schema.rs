//! The schema and how a file comes to it: numbered migrations, counted in `PRAGMA user_version`.

use rusqlite::Connection;

use crate::store::StoreError;

/// In order; the first takes a new file to version 1. Never edit one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_pauses_and_claims.sql"),
    include_str!("migrations/0003_tallies.sql"),
];

/// What was added without a new version: programs of this version that do not know it work on beside it, and leave only
/// what it holds undone.
const ADDITIONS: &str = include_str!("migrations/additions.sql");

/// The version that all of them lead to.
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// Brings the database to the newest version, each migration whole or not at all.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let found = version(conn)?;
    let known = NEWEST;
    if found > known {
        return Err(StoreError::Corrupt {
            what: "the schema".into(),
            why: format!("it has version {found}, this program knows up to {known}; use a newer one"),
        });
    }
    for (done, sql) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = conn.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", done as i64 + 1)?;
        transaction.commit()?;
    }
    conn.execute_batch(ADDITIONS)?;
    Ok(())
}

/// The version that the database has.
pub(super) fn version(conn: &Connection) -> Result<usize, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize)
}
