//! The local copies of a bucket's blobs: bounded in bytes, downloaded once, shared by the processes of a node.
//!
//! All that there is to know is in the file system, under locks that end with whoever held them:
//!
//! - `.lock` is held for each look at the cache and each change of it, never while bytes move
//! - a file under its name is whole; who uses it holds a shared lock, and it is given up under an exclusive one
//! - a file in `.partial` is being downloaded by who holds its lock, and already has its final length, so that
//!   what is on its way counts too; without a lock it is a leftover

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use super::hex;
use crate::blobs::{
    BlobError, LocalFile,
    files::{self, Temporary, failed},
};

/// Stands between the name and the digest in the name of a file; no name has it.
const MARK: char = '@';
/// How much of a digest tells the versions of one name apart.
const VERSION_CHARS: usize = 32;

/// A folder of local copies.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    partial: PathBuf,
    limit: u64,
}

/// Which content of which name.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// SHA-256 in lower-case hexadecimal digits.
    pub(super) digest: String,
}

/// What the cache has to say to somebody who wants a blob.
pub(super) enum Claim {
    Hit(LocalFile),
    /// Somebody is downloading it.
    Busy,
    /// All that could make room is in use.
    NoRoom,
    /// Nobody else: the asker has to download it.
    Mine(Box<Download>),
}

/// A file that is being downloaded.
pub(super) struct Download {
    /// Before the file: its name goes while the lock is held, so that it is never the next one's that goes.
    temporary: Temporary,
    file: File,
    hash: Sha256,
    written: u64,
    wanted: Wanted,
    cache: Cache,
}

impl Cache {
    pub(super) fn open(root: PathBuf, limit: u64) -> Result<Self, BlobError> {
        let partial = root.join(files::PARTIAL);
        fs::create_dir_all(&partial).map_err(|e| failed("creating the cache", &root, &e))?;
        Ok(Self { root, partial, limit })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> BlobError {
        move |e| failed(doing, &self.root, &e)
    }

    fn lock(&self) -> Result<File, BlobError> {
        let locked = || -> io::Result<File> {
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).open(self.root.join(".lock"))?;
            file.lock()?;
            Ok(file)
        };
        locked().map_err(self.failed("locking the cache"))
    }

    /// Looks for the blob, and makes room for it when it is not there.
    pub(super) fn claim(&self, wanted: &Wanted) -> Result<Claim, BlobError> {
        if wanted.bytes > self.limit {
            return Err(BlobError::TooLarge {
                bytes: wanted.bytes,
                limit: self.limit,
                place: format!("the cache {}", self.root.display()),
            });
        }
        let _lock = self.lock()?;
        let key = format!("{}{MARK}{}", wanted.name, wanted.digest.get(..VERSION_CHARS).unwrap_or(""));
        let entry = self.root.join(&key);
        if let Ok(file) = File::open(&entry)
            && file.metadata().is_ok_and(|meta| meta.len() == wanted.bytes)
        {
            file.lock_shared().map_err(self.failed("locking a file of the cache"))?;
            // The time of use, by which the oldest is found.
            let _ = file.set_modified(SystemTime::now());
            return Ok(Claim::Hit(LocalFile::new(entry, wanted.bytes, Some(file))));
        }
        let partial = self.partial.join(&key);
        if partial.exists() && !give_up(&partial) {
            return Ok(Claim::Busy);
        }
        if !self.make_room(wanted.bytes)? {
            return Ok(Claim::NoRoom);
        }
        let created = || -> io::Result<Box<Download>> {
            let file = File::create_new(&partial)?;
            let temporary = Temporary::at(partial.clone());
            file.lock()?;
            file.set_len(wanted.bytes)?;
            Ok(Box::new(Download {
                temporary,
                file,
                hash: Sha256::new(),
                written: 0,
                wanted: wanted.clone(),
                cache: self.clone(),
            }))
        };
        created().map(Claim::Mine).map_err(self.failed("creating a file in the cache"))
    }

    /// Gives up what was used least lately, until there is room. False when all that is left is in use.
    fn make_room(&self, bytes: u64) -> Result<bool, BlobError> {
        let mut copies = Vec::new();
        for folder in [&self.root, &self.partial] {
            for entry in fs::read_dir(folder).map_err(self.failed("listing the cache"))?.flatten() {
                if let Ok(meta) = entry.metadata()
                    && meta.is_file()
                    && entry.file_name().to_string_lossy().contains(MARK)
                {
                    copies.push((
                        meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                        meta.len(),
                        entry.path(),
                    ));
                }
            }
        }
        let mut used: u64 = copies.iter().map(|(_, bytes, _)| bytes).sum();
        copies.sort();
        for (_, freed, path) in copies {
            if used.saturating_add(bytes) <= self.limit {
                break;
            }
            if give_up(&path) {
                used -= freed;
            }
        }
        Ok(used.saturating_add(bytes) <= self.limit)
    }

    /// Removes what is here of a name; what is in use stays until it makes room for something else.
    pub(super) fn forget(&self, name: &str) -> Result<(), BlobError> {
        let _lock = self.lock()?;
        for entry in fs::read_dir(&self.root).map_err(self.failed("listing the cache"))?.flatten() {
            let is_of_name =
                entry.file_name().to_str().and_then(|f| f.split_once(MARK)).is_some_and(|(n, _)| n == name);
            if is_of_name {
                give_up(&entry.path());
            }
        }
        Ok(())
    }
}

/// Removes a file that nobody holds. Only under the lock of the cache.
fn give_up(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return !path.exists() };
    match file.try_lock() {
        Ok(()) => fs::remove_file(path).is_ok(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

impl Download {
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Appends. More than was announced is not written.
    pub(super) fn write(&mut self, chunk: &[u8], place: &str) -> Result<(), BlobError> {
        self.written = self.written.saturating_add(chunk.len() as u64);
        if self.written > self.wanted.bytes {
            return Err(self.damaged(place, format!("more than its {} bytes came", self.wanted.bytes)));
        }
        self.hash.update(chunk);
        self.file.write_all(chunk).map_err(self.cache.failed("writing a file of the cache"))
    }

    /// Checks size and digest, and makes the file a copy in the cache.
    pub(super) fn finish(self, place: &str) -> Result<LocalFile, BlobError> {
        if self.written != self.wanted.bytes {
            return Err(
                self.damaged(place, format!("{} of its {} bytes came", self.written, self.wanted.bytes))
            );
        }
        if hex(&self.hash.clone().finalize()) != self.wanted.digest {
            return Err(
                self.damaged(place, "its SHA-256 is another than that of the file that was put".to_owned())
            );
        }
        self.file.sync_all().map_err(self.cache.failed("writing a file of the cache"))?;
        let _lock = self.cache.lock()?;
        let Some(key) = self.temporary.path().file_name().map(ToOwned::to_owned) else {
            return Err(self.cache.failed("naming a file of the cache")(ErrorKind::InvalidInput.into()));
        };
        let entry = self.cache.root.join(key);
        let in_cache = self.cache.failed("moving a file into the cache");
        self.temporary.keep_as(&entry).map_err(&in_cache)?;
        // Nobody can come between: that takes the lock of the cache.
        self.file.unlock().and_then(|()| self.file.lock_shared()).map_err(&in_cache)?;
        let _ = self.file.set_modified(SystemTime::now());
        Ok(LocalFile::new(entry, self.wanted.bytes, Some(self.file)))
    }

    fn damaged(&self, place: &str, detail: String) -> BlobError {
        BlobError::Damaged { name: self.wanted.name.clone(), place: place.to_owned(), detail }
    }
}
