//! What both engines do with local files: durable moves, temporary files, meanings of errors.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use super::BlobError;

/// The folder of temporary files inside of another; no blob can be called this.
pub(super) const PARTIAL: &str = ".partial";

/// Temporary files older than this belong to nobody that still runs.
const STALE_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How much is read from a file at once.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// What an error of the file system means for a blob.
pub(super) fn failed(doing: &'static str, place: &Path, error: &io::Error) -> BlobError {
    let place = place.display().to_string();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BlobError::Full { place },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => BlobError::Denied {
            place,
            detail: error.to_string(),
            remedy: "give the user that this process runs as the right to read and write there",
        },
        // A folder that is mounted from another machine.
        ErrorKind::StaleNetworkFileHandle
        | ErrorKind::TimedOut
        | ErrorKind::NotConnected
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown => BlobError::Unreachable { place, detail: error.to_string() },
        _ => BlobError::Io { doing, place, detail: error.to_string() },
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(BlobError::Io {
            doing: "the work on files",
            place: place.display().to_string(),
            detail: e.to_string(),
        }),
    }
}

/// Creates a folder with its folder of temporary files, and removes what is stale in that.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, BlobError> {
    let partial = folder.join(PARTIAL);
    fs::create_dir_all(&partial).map_err(|e| failed("creating the folder", &partial, &e))?;
    let entries = fs::read_dir(&partial).map_err(|e| failed("reading the folder", &partial, &e))?;
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|m| now.duration_since(m).ok());
        // A backup has a folder of its own there.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let remove = if is_folder { fs::remove_dir_all } else { fs::remove_file };
        if age.is_some_and(|age| age > STALE_AFTER)
            && let Err(e) = remove(entry.path())
        {
            log::warn!("the stale {} cannot be removed: {e}", entry.path().display());
        }
    }
    Ok(partial)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Not every file system can do it.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// The length of a regular file that is to be put.
pub(super) fn length(file: &Path) -> Result<u64, BlobError> {
    let meta = fs::symlink_metadata(file).map_err(|e| failed("reading the finished file", file, &e))?;
    if meta.is_file() {
        Ok(meta.len())
    } else {
        Err(BlobError::NotAFile { path: file.display().to_string() })
    }
}

/// A file under a name of its own that is removed unless it is kept.
pub(super) struct Temporary(Option<PathBuf>);

impl Temporary {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(Some(folder.join(Uuid::new_v4().simple().to_string())))
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self(Some(path))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Moves the file to where it stays.
    pub(super) fn keep_as(mut self, target: &Path) -> io::Result<()> {
        fs::rename(self.path(), target)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Says to work on another thread that nobody waits for it any more.
#[derive(Default)]
pub(super) struct Waiting(Arc<AtomicBool>);

impl Waiting {
    pub(super) fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Copies a file durably, or stops with `Interrupted` between two chunks.
pub(super) fn copy(from: &Path, to: &Path, given_up: &AtomicBool) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create_new(to)?);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if given_up.load(Ordering::Relaxed) {
            return Err(ErrorKind::Interrupted.into());
        }
        match read_some(&mut from, &mut chunk)? {
            0 => return to.sync_all(),
            n => to.write_all(&chunk[..n])?,
        }
    }
}

/// Fills the buffer, or as much of it as the file has.
pub(super) fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
