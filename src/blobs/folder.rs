//! Blobs as files in one folder of this node.

use std::{
    collections::BinaryHeap,
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{
    BlobError, Blobs, Check, Content, Entry, LocalFile, MAX_PAGE, Stat, check_name,
    files::{self, Temporary, Waiting, blocking, failed},
};

/// The folder engine. Several processes of one node may share a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// On the same file system, so that a rename is all that a put takes.
    partial: PathBuf,
}

impl Folder {
    /// Creates the folder when it is not there, and removes what puts of more than a day ago left behind.
    pub async fn open(root: &Path) -> Result<Self, BlobError> {
        let root = root.to_owned();
        blocking(&root.clone(), move || Self::open_blocking(&root)).await
    }

    /// The same on a thread that may wait.
    pub fn open_blocking(root: &Path) -> Result<Self, BlobError> {
        Ok(Self { root: root.to_owned(), partial: files::prepare(root)? })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let this = self.clone();
        blocking(&self.root, move || work(&this)).await
    }

    fn path(&self, name: &str) -> Result<PathBuf, BlobError> {
        check_name(name)?;
        Ok(self.root.join(name))
    }

    fn missing(&self, name: &str) -> BlobError {
        BlobError::Missing { name: name.to_owned(), place: self.root.display().to_string(), only_here: true }
    }

    fn put_now(&self, target: &Path, file: &Path, given_up: &AtomicBool) -> Result<(), BlobError> {
        let here = |doing| move |e: io::Error| failed(doing, &self.root, &e);
        files::length(file)?;
        File::open(file)
            .and_then(|f| f.sync_all())
            .map_err(|e| failed("writing the finished file", file, &e))?;
        if given_up.load(Ordering::Relaxed) {
            return Err(here("moving the file in")(ErrorKind::Interrupted.into()));
        }
        match fs::rename(file, target) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                let temporary = Temporary::in_folder(&self.partial);
                files::copy(file, temporary.path(), given_up).map_err(here("copying the file in"))?;
                temporary.keep_as(target).map_err(here("moving the file in"))?;
                if let Err(e) = fs::remove_file(file) {
                    log::warn!("{} was put and cannot be removed: {e}", file.display());
                }
            }
            Err(e) => return Err(here("moving the file in")(e)),
        }
        files::sync_folder(&self.root).map_err(here("writing the folder"))
    }

    /// The open file and its length.
    fn open_now(&self, name: &str, path: &Path) -> Result<(File, u64), BlobError> {
        let opened = File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta)));
        match opened {
            Ok((file, meta)) if meta.is_file() => Ok((file, meta.len())),
            Ok(_) => Err(self.missing(name)),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(self.missing(name)),
            Err(e) => Err(failed("opening the upload", path, &e)),
        }
    }

    fn list_now(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, BlobError> {
        let at = |e: io::Error| failed("listing the folder", &self.root, &e);
        let mut first = BinaryHeap::new();
        for entry in fs::read_dir(&self.root).map_err(at)? {
            let Ok(name) = entry.map_err(at)?.file_name().into_string() else { continue };
            if check_name(&name).is_err() || after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            let is_early = first.len() < limit || first.peek().is_some_and(|last| name < *last);
            // Only now: a look at the file for every name would make a page as dear as the whole folder.
            if is_early && fs::symlink_metadata(self.root.join(&name)).is_ok_and(|meta| meta.is_file()) {
                first.push(name);
                if first.len() > limit {
                    first.pop();
                }
            }
        }
        let entry = |name: String| {
            // Gone in the meantime: no entry.
            let meta = fs::symlink_metadata(self.root.join(&name)).ok()?;
            Some(Entry { name, bytes: meta.len(), modified: meta.modified().ok()? })
        };
        Ok(first.into_sorted_vec().into_iter().filter_map(entry).collect())
    }

    fn try_write(&self) -> Result<(), BlobError> {
        let temporary = Temporary::in_folder(&self.partial);
        let text = b"productforge";
        fs::write(temporary.path(), text).map_err(|e| failed("writing a test file", &self.partial, &e))?;
        match fs::read(temporary.path()) {
            Ok(read) if read == text => Ok(()),
            Ok(_) => Err(failed("reading a test file back", &self.partial, &ErrorKind::InvalidData.into())),
            Err(e) => Err(failed("reading a test file back", &self.partial, &e)),
        }
    }
}

#[async_trait]
impl Blobs for Folder {
    fn staging(&self) -> &Path {
        &self.partial
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), BlobError> {
        let (target, file, waiting) = (self.path(name)?, file.to_owned(), Waiting::default());
        let given_up = waiting.given_up();
        self.with(move |this| this.put_now(&target, &file, &given_up)).await
    }

    async fn fetch(&self, name: &str) -> Result<LocalFile, BlobError> {
        let (path, name) = (self.path(name)?, name.to_owned());
        self.with(move |this| {
            let (_, bytes) = this.open_now(&name, &path)?;
            Ok(LocalFile::new(path, bytes, None))
        })
        .await
    }

    async fn read(&self, name: &str) -> Result<Content, BlobError> {
        let (path, name) = (self.path(name)?, name.to_owned());
        let (at, asked) = (path.clone(), name.clone());
        let (file, bytes) = self.with(move |this| this.open_now(&asked, &at)).await?;
        let chunks = stream::try_unfold((file, bytes), move |(mut file, left)| {
            let (path, name) = (path.clone(), name.clone());
            async move {
                if left == 0 {
                    return Ok(None);
                }
                let place = path.clone();
                let (file, chunk) = blocking(&path, move || {
                    let mut chunk =
                        vec![0; files::CHUNK_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX))];
                    let n = files::read_some(&mut file, &mut chunk)
                        .map_err(|e| failed("reading the upload", &place, &e))?;
                    chunk.truncate(n);
                    Ok((file, Bytes::from(chunk)))
                })
                .await?;
                if chunk.is_empty() {
                    let detail = format!("it ends {left} bytes early");
                    return Err(BlobError::Damaged { name, place: path.display().to_string(), detail });
                }
                let left = left - chunk.len() as u64;
                Ok(Some((chunk, (file, left))))
            }
        });
        Ok(Content { bytes, stream: chunks.boxed() })
    }

    async fn delete(&self, name: &str) -> Result<(), BlobError> {
        let path = self.path(name)?;
        self.with(move |this| match fs::remove_file(&path) {
            Ok(()) => {
                files::sync_folder(&this.root).map_err(|e| failed("writing the folder", &this.root, &e))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed("deleting the upload", &path, &e)),
        })
        .await
    }

    async fn stat(&self, name: &str) -> Result<Option<Stat>, BlobError> {
        let path = self.path(name)?;
        self.with(move |_| match fs::symlink_metadata(&path) {
            Ok(meta) => Ok(meta.is_file().then_some(Stat { bytes: meta.len() })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("looking for the upload", &path, &e)),
        })
        .await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, BlobError> {
        let after = after.map(str::to_owned);
        self.with(move |this| this.list_now(after.as_deref(), limit.min(MAX_PAGE))).await
    }

    fn are_files_of_this_node(&self) -> bool {
        true
    }

    async fn check(&self) -> Check {
        let read = self.with(|this| this.list_now(None, 1).map(drop)).await;
        let write = self.with(Self::try_write).await;
        Check { place: self.root.display().to_string(), read, write }
    }
}
