//! What a step works with while it runs.

use std::cell::RefCell;

use rusqlite::{CachedStatement, Connection};

use super::{known::Known, wakeup::News};
use crate::store::{StoreError, UnixMs};

/// One step of the contract under way: inside a transaction (or a savepoint of the writer's), at one
/// moment of the store's clock.
pub(super) struct Step<'c> {
    conn: &'c Connection,
    /// What need not be read from the tables.
    pub known: &'c Known,
    /// The time at which all of the step happens.
    pub now: UnixMs,
    news: RefCell<News>,
}

impl<'c> Step<'c> {
    pub fn new(conn: &'c Connection, known: &'c Known, now: UnixMs) -> Self {
        Self { conn, known, now, news: RefCell::default() }
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
        self.news.borrow_mut().ready = true;
    }

    /// Notes that a stream has one more event once this step is committed.
    pub fn note_event(&self, stream: &str) {
        let mut news = self.news.borrow_mut();
        if !news.streams.contains(stream) {
            news.streams.insert(stream.to_owned());
        }
    }

    /// What was noted.
    pub fn into_news(self) -> News {
        self.news.into_inner()
    }
}
