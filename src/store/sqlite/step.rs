//! What a step works with while it runs.

use std::cell::Cell;

use rusqlite::{CachedStatement, Connection};

use crate::store::{StoreError, UnixMs};

/// One step of the contract under way: inside a transaction (or a savepoint of the writer's), at one
/// moment of the store's clock.
pub(super) struct Step<'c> {
    conn: &'c Connection,
    /// The time at which all of the step happens.
    pub now: UnixMs,
    made_ready: Cell<bool>,
}

impl<'c> Step<'c> {
    pub fn new(conn: &'c Connection, now: UnixMs) -> Self {
        Self { conn, now, made_ready: Cell::new(false) }
    }

    /// A statement, prepared once per connection.
    pub fn sql(&self, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
        Ok(self.conn.prepare_cached(sql)?)
    }

    /// The id that the last insert gave.
    pub fn last_id(&self) -> i64 {
        self.conn.last_insert_rowid()
    }

    /// For what is not a statement: the settings of the connection.
    pub fn conn(&self) -> &'c Connection {
        self.conn
    }

    /// This long from now; a length beyond all time ends with time.
    pub fn after(&self, ms: u64) -> UnixMs {
        self.now.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Notes that a payload can be taken once this step is committed.
    pub fn note_ready(&self) {
        self.made_ready.set(true);
    }

    pub fn made_ready(&self) -> bool {
        self.made_ready.get()
    }
}
