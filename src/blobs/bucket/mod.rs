//! Blobs as objects in a bucket of an S3 server, with local copies of those that are worked with.

mod address;
mod cache;
mod client;
mod failure;
mod upload;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{
    Attribute, GetOptions, GetResult, ObjectStore, ObjectStoreExt,
    aws::AmazonS3,
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path as Key,
};
use uuid::Uuid;

use super::{
    BlobError, Blobs, Check, Content, Entry, LocalFile, MAX_PAGE, Stat, check_name,
    files::{self, blocking},
};
use cache::{Cache, Claim, Download, Wanted};

pub use address::Address;
pub use client::Keys;

/// The metadata of an object that tells the SHA-256 of its content.
const DIGEST: &str = "sha256";
/// How much of a download is gathered before it is written.
const WRITE_BYTES: usize = 1024 * 1024;
/// How often a wait looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// A listing that has no end after so many pages comes from no honest server.
const MAX_PAGES: usize = 1_000;

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All local copies together, in bytes.
    pub cache_bytes: u64,
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an answer begins or goes on.
    pub silence: Duration,
    /// For one put or fetch with all that is tried again.
    pub transfer: Duration,
    /// For room in a cache that is full of files in use.
    pub room: Duration,
    /// How often a request that failed for the moment is sent again.
    pub retries: usize,
    /// Before the second try; it doubles from then on, up to [`Limits::longest_pause`].
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache_bytes: 2 * 1024 * 1024 * 1024,
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            transfer: Duration::from_secs(15 * 60),
            room: Duration::from_secs(30),
            retries: 4,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// The S3 engine.
#[derive(Debug)]
pub struct Bucket {
    store: AmazonS3,
    prefix: Key,
    place: String,
    limits: Limits,
    cache: Cache,
    staging: PathBuf,
}

impl Bucket {
    /// Sets the client up, and the folder with `cache` and `.partial` in it. Nobody is connected to yet.
    pub async fn open(
        address: Address,
        keys: Keys,
        folder: &Path,
        limits: Limits,
    ) -> Result<Self, BlobError> {
        let store = client::connect(&address, keys, &limits)?;
        let at = folder.to_owned();
        let (staging, cache) = blocking(folder, move || {
            let staging = files::prepare(&at)?;
            Ok((staging, Cache::open(at.join("cache"), limits.cache_bytes)?))
        })
        .await?;
        Ok(Self {
            store,
            prefix: Key::from(address.prefix.as_str()),
            place: address.place(),
            limits,
            cache,
            staging,
        })
    }

    fn key(&self, name: &str) -> Result<Key, BlobError> {
        check_name(name)?;
        Ok(self.prefix.clone().join(name))
    }

    async fn head(&self, name: &str) -> Result<GetResult, BlobError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let head = self.store.get_opts(&self.key(name)?, options).await;
        head.map_err(|e| failure::of_object(name, &self.place, &e))
    }

    async fn fetch_once(&self, name: &str) -> Result<LocalFile, BlobError> {
        let head = self.head(name).await?;
        let Some(digest) = head.attributes.get(&Attribute::Metadata(DIGEST.into())).filter(|d| is_digest(d))
        else {
            let detail = "it does not tell its SHA-256: something else has put it there".to_owned();
            return Err(BlobError::Damaged { name: name.to_owned(), place: self.place.clone(), detail });
        };
        let wanted = Wanted { name: name.to_owned(), bytes: head.meta.size, digest: digest.to_string() };
        let mut no_room_since = None;
        loop {
            let (cache, asked) = (self.cache.clone(), wanted.clone());
            match blocking(self.cache.root(), move || cache.claim(&asked)).await? {
                Claim::Hit(file) => return Ok(file),
                Claim::Mine(download) => return self.download(download, head.meta.e_tag).await,
                Claim::Busy => no_room_since = None,
                Claim::NoRoom => {
                    if no_room_since.get_or_insert_with(Instant::now).elapsed() >= self.limits.room {
                        let place = self.cache.root().display().to_string();
                        return Err(BlobError::CacheBusy { limit: self.limits.cache_bytes, place });
                    }
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whenever this is dropped, the file on its way is removed, and the next one may download.
    async fn download(
        &self,
        mut download: Box<Download>,
        version: Option<String>,
    ) -> Result<LocalFile, BlobError> {
        let name = download.wanted().name.clone();
        let failed = |e: object_store::Error| failure::of_object(&name, &self.place, &e);
        let options = GetOptions { if_match: version, ..GetOptions::default() };
        let mut chunks = self.store.get_opts(&self.key(&name)?, options).await.map_err(failed)?.into_stream();
        let mut gathered = Vec::with_capacity(WRITE_BYTES);
        loop {
            let chunk = chunks.try_next().await.map_err(failed)?;
            let is_last = chunk.is_none();
            gathered.extend_from_slice(&chunk.unwrap_or_default());
            if gathered.len() >= WRITE_BYTES || is_last {
                let place = self.place.clone();
                (download, gathered) = blocking(self.cache.root(), move || {
                    download.write(&gathered, &place)?;
                    gathered.clear();
                    Ok((download, gathered))
                })
                .await?;
            }
            if is_last {
                let place = self.place.clone();
                return blocking(self.cache.root(), move || download.finish(&place)).await;
            }
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, BlobError>> + Send,
    ) -> Result<T, BlobError> {
        tokio::time::timeout(self.limits.transfer, work).await.unwrap_or_else(|_| {
            let detail = format!("it took longer than {} s", self.limits.transfer.as_secs());
            Err(BlobError::Unreachable { place: self.place.clone(), detail })
        })
    }

    async fn try_write(&self) -> Result<(), BlobError> {
        let key = self.prefix.clone().join(format!(".check-{}", Uuid::new_v4().simple()));
        let failed = |e: object_store::Error| failure::of_bucket(&self.place, &e);
        let text = Bytes::from_static(b"productforge");
        self.store.put(&key, text.clone().into()).await.map_err(failed)?;
        let read = async { self.store.get_range(&key, 0..text.len() as u64).await }.await;
        // Whatever was read: nothing is left behind.
        self.store.delete(&key).await.map_err(failed)?;
        if read.map_err(failed)? == text {
            return Ok(());
        }
        let detail = "it gave back something else than was put".to_owned();
        Err(BlobError::Refused { place: self.place.clone(), detail })
    }
}

#[async_trait]
impl Blobs for Bucket {
    fn staging(&self) -> &Path {
        &self.staging
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), BlobError> {
        let key = self.key(name)?;
        self.in_time(upload::upload(&self.store, &key, &self.place, file)).await?;
        if let Err(e) = tokio::fs::remove_file(file).await {
            log::warn!("{} was put and cannot be removed: {e}", file.display());
        }
        Ok(())
    }

    async fn fetch(&self, name: &str) -> Result<LocalFile, BlobError> {
        self.in_time(async {
            match self.fetch_once(name).await {
                // Replaced in the meantime, or broken on the way: the second look tells.
                Err(BlobError::Damaged { .. }) => self.fetch_once(name).await,
                other => other,
            }
        })
        .await
    }

    async fn read(&self, name: &str) -> Result<Content, BlobError> {
        let (place, asked) = (self.place.clone(), name.to_owned());
        let result = self.store.get_opts(&self.key(name)?, GetOptions::default()).await;
        let result = result.map_err(|e| failure::of_object(name, &self.place, &e))?;
        let bytes = result.meta.size;
        let stream = result.into_stream().map_err(move |e| failure::of_object(&asked, &place, &e));
        Ok(Content { bytes, stream: stream.boxed() })
    }

    async fn delete(&self, name: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.key(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failure::of_bucket(&self.place, &e)),
        }
        let (cache, name) = (self.cache.clone(), name.to_owned());
        blocking(self.cache.root(), move || cache.forget(&name)).await
    }

    async fn stat(&self, name: &str) -> Result<Option<Stat>, BlobError> {
        match self.head(name).await {
            Ok(head) => Ok(Some(Stat { bytes: head.meta.size })),
            Err(BlobError::Missing { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, BlobError> {
        let limit = limit.min(MAX_PAGE);
        let prefix =
            if self.prefix.as_ref().is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let mut found: Vec<Entry> = Vec::new();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let options = PaginatedListOptions {
                offset: after.map(|after| format!("{prefix}{after}")),
                delimiter: Some("/".into()),
                max_keys: Some(MAX_PAGE),
                page_token: token,
                ..PaginatedListOptions::default()
            };
            let asked = (!prefix.is_empty()).then_some(prefix.as_str());
            let page = self.store.list_paginated(asked, options).await;
            let page = page.map_err(|e| failure::of_bucket(&self.place, &e))?;
            for object in page.result.objects {
                // Nothing behind the prefix: a mark that stands for a folder.
                let mut parts = object.location.prefix_match(&self.prefix).into_iter().flatten();
                let Some(name) = parts.next() else { continue };
                let name = name.as_ref();
                // Not every server knows where to begin.
                if check_name(name).is_ok() && after.is_none_or(|after| name > after) && found.len() < limit {
                    let modified = SystemTime::from(object.last_modified);
                    found.push(Entry { name: name.to_owned(), bytes: object.size, modified });
                }
            }
            token = page.page_token;
            if token.is_none() || found.len() >= limit {
                return Ok(found);
            }
        }
        let detail = format!("its listing has no end after {MAX_PAGES} pages");
        Err(BlobError::Refused { place: self.place.clone(), detail })
    }

    async fn check(&self) -> Check {
        let read = self.list(None, 1).await.map(drop);
        Check { place: self.place.clone(), read, write: self.try_write().await }
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
