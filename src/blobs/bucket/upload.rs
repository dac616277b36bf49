//! A local file on its way into a bucket: in one request, or in parts.

use std::{fs::File, io::Seek, path::Path};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use object_store::{
    Attribute, Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, UploadPart,
    aws::AmazonS3, path::Path as Key,
};
use sha2::{Digest as _, Sha256};

use super::{DIGEST, failure, hex};
use crate::blobs::{
    BlobError,
    files::{self, blocking, failed},
};

/// The size of a part and of the largest file that goes in one request. S3 takes parts from 5 MiB.
pub(super) const PART_BYTES: usize = 8 * 1024 * 1024;
/// S3 takes no more.
pub(super) const MAX_PARTS: u64 = 10_000;
/// Parts that are sent at the same time: with the one that is being read, what an upload takes in memory.
const PARTS_AT_ONCE: usize = 2;

/// Sends the file. The digest goes with it, so that a reader can tell whether it got what was put.
pub(super) async fn upload(store: &AmazonS3, key: &Key, place: &str, path: &Path) -> Result<(), BlobError> {
    let at = path.to_owned();
    let (file, bytes, digest) = blocking(path, move || measure(&at)).await?;
    let limit = PART_BYTES as u64 * MAX_PARTS;
    if bytes > limit {
        return Err(BlobError::TooLarge { bytes, limit, place: place.to_owned() });
    }
    let attributes = Attributes::from_iter([(
        Attribute::Metadata(DIGEST.into()),
        object_store::AttributeValue::from(digest),
    )]);
    let bucket = |e: object_store::Error| failure::of_bucket(place, &e);
    let mut source = Source { file: Some(file), left: bytes, path };
    if bytes <= PART_BYTES as u64 {
        let body = source.next().await?.unwrap_or_default();
        let options = PutOptions { attributes, ..PutOptions::default() };
        return store.put_opts(key, body.into(), options).await.map(drop).map_err(bucket);
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let mut parts = Parts(Some(store.put_multipart_opts(key, options).await.map_err(bucket)?));
    let sent = send(&mut parts, &mut source, place).await;
    match sent {
        Ok(()) => {
            parts.0 = None;
            Ok(())
        }
        Err(e) => {
            if let Some(mut upload) = parts.0.take()
                && let Err(e) = upload.abort().await
            {
                log::warn!("an upload to {place} cannot be aborted: {}", failure::of_bucket(place, &e));
            }
            Err(e)
        }
    }
}

async fn send(parts: &mut Parts, source: &mut Source<'_>, place: &str) -> Result<(), BlobError> {
    let bucket = |e: object_store::Error| failure::of_bucket(place, &e);
    let Some(upload) = parts.0.as_mut() else { return Ok(()) };
    let mut running = FuturesUnordered::<UploadPart>::new();
    while let Some(part) = source.next().await? {
        if running.len() >= PARTS_AT_ONCE
            && let Some(done) = running.next().await
        {
            done.map_err(bucket)?;
        }
        running.push(upload.put_part(part.into()));
    }
    while let Some(done) = running.next().await {
        done.map_err(bucket)?;
    }
    upload.complete().await.map(drop).map_err(bucket)
}

/// An upload in parts that is aborted unless it is taken out: parts cost money until somebody does.
struct Parts(Option<Box<dyn MultipartUpload>>);

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { upload.abort().await });
        }
    }
}

/// The open file from its beginning, its length, and the SHA-256 of its content.
fn measure(path: &Path) -> Result<(File, u64, String), BlobError> {
    let reading = |e: std::io::Error| failed("reading the finished file", path, &e);
    files::length(path)?;
    let mut file = File::open(path).map_err(reading)?;
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; files::CHUNK_BYTES]);
    loop {
        let n = files::read_some(&mut file, &mut chunk).map_err(reading)?;
        if n == 0 {
            break;
        }
        hash.update(&chunk[..n]);
        bytes += n as u64;
    }
    file.rewind().map_err(reading)?;
    Ok((file, bytes, hex(&hash.finalize())))
}

/// The file as parts.
struct Source<'a> {
    /// Away while it is being read.
    file: Option<File>,
    left: u64,
    path: &'a Path,
}

impl Source<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        let Some(mut file) = self.file.take().filter(|_| self.left > 0) else { return Ok(None) };
        let (wanted, path) =
            (PART_BYTES.min(usize::try_from(self.left).unwrap_or(PART_BYTES)), self.path.to_owned());
        let (file, part) = blocking(self.path, move || {
            let mut part = vec![0; wanted];
            let n = files::read_some(&mut file, &mut part)
                .map_err(|e| failed("reading the finished file", &path, &e))?;
            if n < wanted {
                let detail = "it became shorter while it was read".to_owned();
                return Err(BlobError::Io {
                    doing: "reading the finished file",
                    place: path.display().to_string(),
                    detail,
                });
            }
            Ok((file, Bytes::from(part)))
        })
        .await?;
        self.left -= part.len() as u64;
        self.file = Some(file);
        Ok(Some(part))
    }
}
