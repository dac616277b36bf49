//! SQLite stores on a clock that the test turns.

use std::sync::Arc;

use async_trait::async_trait;
use productforge::{
    clock::ManualClock,
    store::{
        Store,
        sqlite::{Location, SqliteStore},
    },
};
use tempfile::TempDir;

use super::harness::Harness;

struct SqliteHarness {
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    /// Where the file is; `None` in memory.
    folder: Option<TempDir>,
}

/// A store in memory.
pub async fn memory() -> Option<Box<dyn Harness>> {
    Some(open(None))
}

/// A store in a file of its own.
pub async fn file() -> Option<Box<dyn Harness>> {
    Some(open(Some(tempfile::tempdir().unwrap())))
}

fn open(folder: Option<TempDir>) -> Box<dyn Harness> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let store = open_store(&clock, &folder);
    Box::new(SqliteHarness { clock, store, folder })
}

fn open_store(clock: &Arc<ManualClock>, folder: &Option<TempDir>) -> Arc<dyn Store> {
    let location = match folder {
        Some(folder) => Location::File(folder.path().join("store.db")),
        None => Location::Memory,
    };
    Arc::new(SqliteStore::open(location, clock.clone()).unwrap())
}

#[async_trait]
impl Harness for SqliteHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn age(&self, ms: u64) {
        self.clock.advance(ms as i64);
    }

    async fn reopen(&mut self) -> bool {
        if self.folder.is_none() {
            return false;
        }
        self.store.close().await;
        self.store = open_store(&self.clock, &self.folder);
        true
    }
}
