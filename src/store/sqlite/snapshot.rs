//! Whole copies of a database file: made while it is worked on, proved to be whole, put in the place of another.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rusqlite::{InterruptHandle, OpenFlags};

use super::{
    error,
    open::{self, FileLock},
    schema,
};
use crate::store::StoreError;

/// The version of the schema that this program writes.
pub const SCHEMA: usize = schema::NEWEST;

/// The right to a database file without opening it; held until it is dropped.
pub struct Exclusive(#[expect(dead_code, reason = "held, not read")] FileLock);

impl Exclusive {
    /// [`StoreError::Unavailable`] while a process has the store open.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        open::make_folder(database)?;
        FileLock::take(database).map(Self)
    }
}

/// The file whose lock is the right to a database: [`Exclusive`] makes it.
pub fn lock_of(database: &Path) -> PathBuf {
    open::lock_of(database)
}

/// Copies all that is committed at this moment into a new file. It reads one snapshot, so that the writer goes
/// on; what is left over in pages is left out, so the copy is as small as it can be. Ended by dropping the future.
pub(super) async fn take(database: &Path, to: &Path) -> Result<(), StoreError> {
    // A reader that may write elsewhere: the pragma `query_only` would forbid the copy, too.
    let conn = open::reader(database)?;
    conn.pragma_update(None, "query_only", false)?;
    let _stop = Stop(conn.get_interrupt_handle());
    let target = to.to_str().ok_or_else(|| {
        StoreError::Invalid(format!("{} is no name for a copy: it is not UTF-8", to.display()))
    })?;
    let target = target.to_owned();
    let copied = tokio::task::spawn_blocking(move || conn.execute("VACUUM INTO ?1", [target]));
    copied.await.map_err(|_| error::panicked())??;
    Ok(())
}

/// Ends a copy whose caller has gone.
struct Stop(InterruptHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// Proves that a file is a database of ours that this program can read: its schema's version. It is only read.
pub fn prove(database: &Path) -> Result<usize, StoreError> {
    let broken = |why: String| StoreError::Corrupt { what: "the database".into(), why };
    let conn = rusqlite::Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(broken(found));
    }
    let version = schema::version(&conn)?;
    if version == 0 || version > SCHEMA {
        return Err(broken(format!(
            "its schema has version {version}, this program knows 1 to {SCHEMA}; use a newer one"
        )));
    }
    Ok(version)
}

/// Puts a database file in the place of another one, which is kept under a second name, in one step.
///
/// Whatever happens, one of the two is there, whole. Both stand on the same file system and nobody has either open
/// ([`Exclusive`]). Where the old one is kept, if there was one.
pub fn replace(database: &Path, by: &Path) -> Result<Option<PathBuf>, StoreError> {
    let fail = |e: std::io::Error| open::failed(database, &e);
    // What the old one has in its log belongs into its file; the new one must not find another's log beside it.
    let kept = match database.exists() {
        true => {
            let whole = settle(database);
            let kept = free_name(database);
            fs::hard_link(database, &kept).or_else(|_| fs::copy(database, &kept).map(drop)).map_err(fail)?;
            if let Err(why) = whole {
                log::warn!("{} could not be opened ({why}); it is kept as it is", database.display());
            }
            Some(kept)
        }
        false => None,
    };
    for ending in ["-wal", "-shm"] {
        let companion = open::beside(database, ending);
        let moved = match &kept {
            Some(kept) => fs::rename(&companion, open::beside(kept, ending)),
            None => fs::remove_file(&companion),
        };
        match moved {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(fail(e)),
            _ => {}
        }
    }
    File::open(by).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(by, database).map_err(fail)?;
    open::sync_folder(database).map_err(fail)?;
    Ok(kept)
}

/// Writes the log of a database back into its file.
fn settle(database: &Path) -> Result<(), StoreError> {
    let conn = rusqlite::Connection::open(database)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// `productforge.db.before-restore`, with a number where that is taken.
fn free_name(database: &Path) -> PathBuf {
    let name = |number: u32| match number {
        1 => open::beside(database, ".before-restore"),
        number => open::beside(database, &format!(".before-restore-{number}")),
    };
    (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1))
}
