//! A file that is being received: written as it comes, measured and digested on the way.

use std::io;

use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::{fs::File, io::AsyncWriteExt};

use crate::{blobs::BlobError, service::ServiceError};

/// The most bytes that wait to be written.
const BUFFER_BYTES: usize = 256 << 10;

/// A file on its way in. Dropping it leaves nothing behind.
pub struct Incoming {
    file: File,
    path: TempPath,
    digest: Sha256,
    size: u64,
    limit: u64,
}

/// A file that has come in whole.
pub(super) struct Received {
    pub path: TempPath,
    pub size: u64,
    pub sha256: String,
}

impl Incoming {
    /// In this folder, of at most so many bytes.
    pub(super) async fn begin(folder: &std::path::Path, limit: u64) -> Result<Self, ServiceError> {
        let place = folder.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            tempfile::Builder::new()
                .prefix("incoming-")
                .tempfile_in(&place)
                .map(tempfile::NamedTempFile::into_parts)
        });
        let made = made.await.map_err(io::Error::other).and_then(|made| made);
        let (file, path) = made.map_err(|e| failed(&e, folder))?;
        let mut file = File::from_std(file);
        file.set_max_buf_size(BUFFER_BYTES);
        Ok(Self { file, path, digest: Sha256::new(), size: 0, limit })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`ServiceError::TooLarge`] as soon as there are more than allowed.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(ServiceError::TooLarge { limit: self.limit });
        }
        self.digest.update(bytes);
        self.file.write_all(bytes).await.map_err(|e| failed(&e, &self.path))
    }

    /// The whole file is there.
    pub(super) async fn end(mut self) -> Result<Received, ServiceError> {
        self.file.flush().await.map_err(|e| failed(&e, &self.path))?;
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Received { path: self.path, size: self.size, sha256 })
    }
}

/// What an error of the disk means.
pub(in crate::service) fn failed(error: &io::Error, place: &std::path::Path) -> ServiceError {
    let place = place.parent().unwrap_or(place).display().to_string();
    ServiceError::Blob(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full { place },
        _ => BlobError::Io { doing: "writing an upload", place, detail: error.to_string() },
    })
}
