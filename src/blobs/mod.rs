//! Blobs: where the bytes of uploaded files are kept, one file by one name.
//!
//! [`Folder`] keeps them in a folder of this node, [`Bucket`] in a bucket of an S3 server that all nodes
//! see. A blob is whole or not there: a put that is cut off, by whatever, leaves nothing under its name.
//! Putting a name again replaces the blob.

mod bucket;
mod error;
mod files;
mod folder;
mod name;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use bucket::{Address, Bucket, Keys, Limits};
pub use error::BlobError;
pub use folder::Folder;
pub use name::{MAX_NAME_BYTES, check_name};

/// The most entries that one [`Blobs::list`] gives.
pub const MAX_PAGE: usize = 1_000;

/// A store of blobs.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Where a file may be written that is to be put: from here the folder engine takes it without a copy.
    /// What is left here is removed at the first start after a day.
    fn staging(&self) -> &Path;

    /// Moves a finished file in under this name, durably. The file is gone afterwards; after an error it is
    /// still there, and the same put may be tried again. Dropping the future leaves either the whole blob or none.
    async fn put(&self, name: &str, file: &Path) -> Result<(), BlobError>;

    /// The blob as a local file that can be opened and sought in, as long as the answer is held.
    async fn fetch(&self, name: &str) -> Result<LocalFile, BlobError>;

    /// The blob as a stream. An error in the middle of it ends it: what came before is no whole blob.
    async fn read(&self, name: &str) -> Result<Content, BlobError>;

    /// Removes the blob. No error when it is gone already.
    async fn delete(&self, name: &str) -> Result<(), BlobError>;

    /// Whether the blob is there, and how large it is.
    async fn stat(&self, name: &str) -> Result<Option<Stat>, BlobError>;

    /// The blobs with names after this one in the order of their bytes, at most `limit` and at most
    /// [`MAX_PAGE`]; none means that there are no more.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, BlobError>;

    /// Whether the blobs are files of this node, which a backup of the node has to have.
    fn are_files_of_this_node(&self) -> bool {
        false
    }

    /// Tries to read and to write, and leaves nothing behind.
    async fn check(&self) -> Check;
}

/// How large a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub bytes: u64,
}

/// A blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// When it was put, by the clock of the store.
    pub modified: SystemTime,
}

/// A blob that is being read.
pub struct Content {
    /// How many bytes the stream gives unless it fails.
    pub bytes: u64,
    pub stream: BoxStream<'static, Result<Bytes, BlobError>>,
}

/// A blob on this node's disk. As long as this is held, no cache gives up the file.
#[derive(Debug)]
pub struct LocalFile {
    path: PathBuf,
    bytes: u64,
    /// Holds the lock that keeps the file in a cache.
    _lease: Option<File>,
}

impl LocalFile {
    fn new(path: PathBuf, bytes: u64, lease: Option<File>) -> Self {
        Self { path, bytes, _lease: lease }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What [`Blobs::check`] found. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The folder, or `s3://bucket/prefix at https://endpoint`.
    pub place: String,
    pub read: Result<(), BlobError>,
    pub write: Result<(), BlobError>,
}

/// Where blobs are to be kept.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder engine's blobs, or the S3 engine's cache and staged files.
    pub folder: PathBuf,
    /// `s3://bucket/prefix?endpoint=…&region=…`; without it the folder is the store.
    pub url: Option<String>,
    /// What the S3 server knows us by; needed with a URL.
    pub keys: Option<Keys>,
    pub limits: Limits,
}

/// The store that the configuration asks for. Folders are created; an S3 server is not asked yet.
pub async fn open(config: Config) -> Result<Arc<dyn Blobs>, BlobError> {
    let Some(url) = &config.url else {
        return Ok(Arc::new(Folder::open(&config.folder).await?));
    };
    let address = Address::parse(url)?;
    let keys = config.keys.ok_or_else(|| {
        BlobError::BadUrl(
            "it needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and one of them is not set".to_owned(),
        )
    })?;
    Ok(Arc::new(Bucket::open(address, keys, &config.folder, config.limits).await?))
}
