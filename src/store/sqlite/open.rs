//! Opening: where the database is, who may have it, and how its connections are set up.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, config::DbConfig};

use crate::store::StoreError;

/// Where the embedded store keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Nowhere: it is gone when the store is dropped.
    Memory,
    /// In this file and its companions `-wal`, `-shm` and `.lock`. The folder is made if need be.
    File(PathBuf),
}

/// Statements that a connection keeps prepared; there are about ninety in all.
const PREPARED: usize = 128;

/// The right to use a database file, held by one process at a time until it is dropped.
///
/// SQLite itself would let a second process in; but wake-ups do not reach it, and two workers on one
/// file are what Redis is for.
pub(super) struct FileLock(#[expect(dead_code, reason = "held, not read")] File);

impl FileLock {
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        // One file, one lock, whatever link it is reached by.
        let database = &std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let path = lock_of(database);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| unavailable(&path, &e.to_string()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(unavailable(database, "it is in use by another process (or store) on this machine"))
            }
            Err(TryLockError::Error(e)) => Err(unavailable(&path, &e.to_string())),
        }
    }
}

/// Makes the folder of a file that is to be opened.
pub(super) fn make_folder(database: &Path) -> Result<(), StoreError> {
    match database.parent() {
        Some(folder) => private_folder(folder).map_err(|e| unavailable(folder, &e.to_string())),
        None => Ok(()),
    }
}

/// Makes the folder for its owner alone: what is stored is nobody else's business. One that is there
/// already stays as it is.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes the file, if it is not there, for its owner alone; SQLite gives its companions the same rights.
fn make_private(database: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(database).map(drop)
}

/// The writer's connection to a file. Every commit is on the disk before it is answered.
pub(super) fn writer(database: &Path) -> Result<Connection, StoreError> {
    make_private(database).map_err(|e| unavailable(database, &e.to_string()))?;
    let conn = connect(database)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    // What would undo a step is short-lived: no file for it.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // A log that grew in a rush is cut back when it is written back.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(conn)
}

/// A connection that can only read.
pub(super) fn reader(database: &Path) -> Result<Connection, StoreError> {
    let conn = connect(database)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// The only connection to a database in memory.
pub(super) fn memory() -> Result<Connection, StoreError> {
    let conn = Connection::open_in_memory()?;
    keep_prepared(&conn)?;
    Ok(conn)
}

fn connect(database: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open(database).map_err(|e| unavailable(database, &e.to_string()))?;
    keep_prepared(&conn)?;
    // Only a backup tool can be in the way, and not for long.
    conn.busy_timeout(Duration::from_secs(5))?;
    Ok(conn)
}

/// Statements are planned once. Without the guarantee SQLite plans many of them anew for every value that
/// is bound to them, which costs more than running them.
fn keep_prepared(conn: &Connection) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(PREPARED);
    Ok(())
}

/// A companion of the file: its name with this ending.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The file whose lock is the right to a database.
pub(super) fn lock_of(database: &Path) -> PathBuf {
    beside(database, ".lock")
}

pub(super) fn unavailable(path: &Path, why: &str) -> StoreError {
    StoreError::Unavailable(format!("{}: {why}", path.display()))
}

/// Makes the names in a file's folder durable.
pub(super) fn sync_folder(database: &Path) -> std::io::Result<()> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// What an error of the file system means for the store.
pub(super) fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            StoreError::Full(format!("{}: {error}", path.display()))
        }
        _ => unavailable(path, &error.to_string()),
    }
}
