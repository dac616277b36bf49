//! A look at a database file from outside, by a process that does not open the store.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{open, schema};
use crate::store::StoreError;

/// The most faults that are named.
const FAULTS: u32 = 5;

/// How a database file was found. Nothing was changed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// There is no file yet.
    Absent,
    /// A running process has it, so it was left alone.
    InUse,
    /// SQLite's own check (`PRAGMA quick_check`) found nothing.
    Sound { schema: usize, known: usize, bytes: u64 },
    /// What that check found, a sentence each.
    Damaged(Vec<String>),
    /// It is too large to be looked through in the time given.
    TooLarge { bytes: u64 },
}

/// Looks through a database file for at most `limit`.
pub fn inspect(database: &Path, limit: Duration) -> Result<Inspection, StoreError> {
    let bytes = match std::fs::metadata(database) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Inspection::Absent),
        Err(e) => return Err(open::unavailable(database, &e.to_string())),
    };
    if is_locked(database) {
        return Ok(Inspection::InUse);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    let handle = conn.get_interrupt_handle();
    let (done, ended) = mpsc::channel::<()>();
    let timer = thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let found = look(&conn, bytes);
    // The timer has ended by itself if it was it that interrupted.
    let _ = done.send(());
    let _ = timer.join();
    found
}

fn look(conn: &Connection, bytes: u64) -> Result<Inspection, StoreError> {
    let faults = conn.prepare(&format!("PRAGMA quick_check({FAULTS})")).and_then(|mut check| {
        check.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
    });
    let faults = match faults {
        Ok(faults) => faults,
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            return Ok(Inspection::TooLarge { bytes });
        }
        Err(e) => match StoreError::from(e) {
            StoreError::Corrupt { why, .. } => return Ok(Inspection::Damaged(vec![why])),
            other => return Err(other),
        },
    };
    match faults.as_slice() {
        [only] if only == "ok" => {
            Ok(Inspection::Sound { schema: schema::version(conn)?, known: schema::NEWEST, bytes })
        }
        _ => Ok(Inspection::Damaged(faults)),
    }
}

/// Whether a process holds the lock. It is let go of at once, so that nobody is kept from starting.
fn is_locked(database: &Path) -> bool {
    let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let lock = File::open(open::beside(&database, ".lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
