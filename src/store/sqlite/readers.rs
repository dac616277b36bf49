//! Readers: a few connections of their own, so that reads neither wait for the writer nor stop it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::{error, known::Known, open, step::Step};
use crate::{clock::Clock, store::StoreError};

/// How many reads run at once.
const CONNECTIONS: u32 = 4;

/// The connections for reading one file. They are opened when first needed.
pub(super) struct Readers {
    file: PathBuf,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub fn new(file: PathBuf, clock: Arc<dyn Clock>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(CONNECTIONS as usize));
        Arc::new(Self { file, clock, idle: Mutex::default(), permits })
    }

    /// Runs a reading step on one snapshot of the database.
    pub async fn run<T, F>(self: &Arc<Self>, step: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Step) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| error::closed())?;
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let answer = readers.run_here(step);
            drop(permit);
            answer
        })
        .await
        .unwrap_or_else(|_| Err(error::panicked()))
    }

    /// Waits for reads under way and closes the connections.
    pub async fn stop(&self) {
        if let Ok(all) = self.permits.acquire_many(CONNECTIONS).await {
            self.permits.close();
            drop(all);
        }
        self.idle().clear();
    }

    fn run_here<T>(&self, step: impl FnOnce(&Step) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => open::reader(&self.file)?,
        };
        let snapshot = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let answer = step(&Step::new(&snapshot, &Known::default(), self.clock.now_ms()));
        snapshot.finish()?;
        // A connection on which something failed or panicked is dropped instead.
        self.idle().push(conn);
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
