//! Backups of the embedded store: all of it at one moment in one file, made while work goes on.
//!
//! ```text
//! store ──snapshot──▶ a file of its own ──▶ (uploads that have gone meanwhile are taken out) ─┐
//! folder of uploads ──────────────────────────────────────────────────────────────────────────┴▶ zip ─▶ client
//! ```
//!
//! A backup is a zip: the files of uploads, the database, and a [`Manifest`] with the digest of every part, which
//! comes last, so that one that was cut off has none. First the snapshot is taken, then files are read: an upload
//! that is removed in between has neither file nor documents in the backup. A document in it lacks its file only where the
//! store's own does: the manifest names it as missing.
//! Temporary files lie where uploads are received; what a crash leaves there is removed by the next start.
//!
//! How one is read back is in `restore`. A store in Redis has means of its own; see [`NOT_EMBEDDED`].

mod digest;
mod make;
mod manifest;
mod owner;
mod restore;
mod room;

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc},
};

use super::{Foundation, ServiceError, exports::ChunkWriter};

pub use make::{Snapshot, tidy_snapshots};
pub use manifest::{Manifest, Part};
pub use owner::give_to_owner;
pub use restore::{Place, RestoreError, Restored, check, restore, tidy};

/// Why there is no backup of a store that is not embedded, and what to do.
pub const NOT_EMBEDDED: &str = "\
this server keeps its state in Redis, which is backed up by its own means: an append-only file with \
`appendfsync always` or `everysec`, and BGSAVE for a copy (the help page Operations says how). A file that needs no \
Redis is made while no server and no worker runs: `productforge copy --from redis --to sqlite`";

/// Chunks of a backup that wait to be sent.
const CHUNKS_AHEAD: usize = 4;

/// A backup on its way.
pub struct Backup {
    pub file_name: String,
    /// Its bytes; an error breaks it off.
    pub chunks: mpsc::Receiver<io::Result<Bytes>>,
}

#[derive(Clone)]
pub struct Backups {
    base: Arc<Foundation>,
    /// One at a time: each takes the space of the store once more.
    turn: Arc<Semaphore>,
}

impl Backups {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Takes the snapshot, and begins to send it. [`ServiceError::Conflict`] where the store is not embedded, or
    /// another backup is being made.
    pub async fn begin(&self) -> Result<Backup, ServiceError> {
        let turn = self.turn.clone().try_acquire_owned().map_err(|_| {
            ServiceError::Conflict("a backup is being made already; try again when it is done".to_owned())
        })?;
        let snapshot = self.snapshot().await?;
        let file_name = snapshot.file_name();
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut out = ChunkWriter::new(sender);
            match snapshot.write(&runtime, &mut out).and_then(|told| out.end().map(|()| told)) {
                Ok(manifest) => log::info!(bytes = manifest.bytes(); "a backup was made"),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
                    log::warn!("a backup was given up: its client has gone");
                }
                Err(e) => {
                    log::error!("a backup was broken off: {e}");
                    out.fail(e);
                }
            }
        });
        Ok(Backup { file_name, chunks })
    }

    /// All that is kept at this moment, ready to be written as a backup.
    pub async fn snapshot(&self) -> Result<Snapshot, ServiceError> {
        Snapshot::take(&self.base).await
    }
}
