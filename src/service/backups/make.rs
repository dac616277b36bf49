//! The making of a backup.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use tempfile::TempDir;
use tokio::runtime::Handle;
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{
    NOT_EMBEDDED, digest,
    manifest::{DATABASE, FORMAT, FORMAT_VERSION, MANIFEST, Manifest, Part, UPLOADS},
    room,
};
use crate::{
    blobs::{BlobError, Blobs, LocalFile},
    model::{Timestamp, Upload},
    service::{Foundation, ServiceError, records, system::VERSION, uploads},
    store::{
        Change, IndexName, Kind, ListQuery, MAX_BATCH, Store, StoreError,
        sqlite::{Location, SCHEMA, SqliteStore},
    },
};

/// The engine whose store is a file.
const EMBEDDED: &str = "sqlite";
/// What stands before the name of a folder with a copy of the database.
const COPIED: &str = "backup-";
/// Those that a backup counts.
const COUNTED: [(&str, Kind); 7] = [
    ("agents", records::AGENT),
    ("workflows", records::WORKFLOW),
    ("jobs", records::JOB),
    ("results", records::RESULT),
    ("dead_jobs", records::DEAD_JOB),
    ("reports", records::REPORT),
    ("uploads", records::UPLOAD),
];

/// What became of the files of uploads.
#[derive(Default)]
struct Files {
    parts: Vec<Part>,
    left_out: Vec<String>,
    missing: Vec<String>,
}

/// All that was kept at one moment, in a file of its own that is gone with it.
pub struct Snapshot {
    store: SqliteStore,
    /// What it was taken of.
    live: Arc<dyn Store>,
    /// Goes after the store that lies in it.
    folder: TempDir,
    blobs: Arc<dyn Blobs>,
    made_at: Timestamp,
}

impl Snapshot {
    pub(super) async fn take(base: &Foundation) -> Result<Self, ServiceError> {
        let blobs = base.uploads.blobs.clone();
        let staging = blobs.staging();
        let report = base.store.check().await?;
        if report.engine != EMBEDDED {
            return Err(ServiceError::Conflict(NOT_EMBEDDED.to_owned()));
        }
        // What is free in the database is not copied.
        let bytes = report.size.map_or(0, |size| size.bytes.saturating_sub(size.free.unwrap_or_default()));
        if let Some((needed, free)) = room::lacking(staging, bytes) {
            return Err(ServiceError::NoRoom(format!(
                "a backup first makes a copy of the database, which needs {needed} bytes in {}, and only {free} are \
                 free: make room",
                staging.display()
            )));
        }
        let folder = tempfile::Builder::new().prefix(COPIED).tempdir_in(staging);
        let folder = folder.map_err(|e| uploads::disk_failed(&e, staging))?;
        let file = folder.path().join(DATABASE);
        let made_at = base.clock.now();
        if !base.store.snapshot(&file).await? {
            return Err(ServiceError::Conflict(NOT_EMBEDDED.to_owned()));
        }
        // It is ours alone, and small beside the disk: opened like any other, so that nothing here knows tables.
        let clock = base.clock.clone();
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(Location::File(file), clock));
        let store = opened.await.map_err(|e| StoreError::Unavailable(e.to_string()))??;
        Ok(Self { store, live: base.store.clone(), folder, blobs, made_at })
    }

    /// `productforge-backup-2026-11-27T101530Z.zip`
    pub fn file_name(&self) -> String {
        format!("productforge-backup-{}.zip", self.made_at.format("%Y-%m-%dT%H%M%SZ"))
    }

    /// Writes the backup, on a thread that may wait. After an error it is no backup.
    pub fn write(self, runtime: &Handle, out: &mut dyn Write) -> io::Result<Manifest> {
        let mut archive = ZipWriter::new_stream(out);
        let included = self.blobs.are_files_of_this_node();
        let Files { mut parts, left_out, missing } = match included {
            true => self.write_uploads(runtime, &mut archive)?,
            false => Files::default(),
        };
        let counts = runtime.block_on(self.counts()).map_err(io::Error::other)?;
        runtime.block_on(self.store.close());
        let options = options().compression_method(CompressionMethod::Deflated).compression_level(Some(1));
        archive.start_file(DATABASE, options).map_err(failed)?;
        let mut database = File::open(self.folder.path().join(DATABASE))?;
        let (bytes, sha256) = digest::copy(&mut database, &mut archive, u64::MAX)?;
        parts.push(Part { name: DATABASE.to_owned(), bytes, sha256 });
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            version: VERSION.to_owned(),
            made_at: self.made_at,
            schema: SCHEMA,
            uploads_included: included,
            counts,
            left_out,
            missing,
            parts,
        };
        archive.start_file(MANIFEST, options).map_err(failed)?;
        archive.write_all(&serde_json::to_vec_pretty(&manifest)?)?;
        archive.finish().map_err(failed)?;
        Ok(manifest)
    }

    /// The files of all uploads that the snapshot knows. One that was removed since is taken out of the snapshot, too;
    /// one that the store still knows has lost its file, and that is said.
    fn write_uploads<W: Write>(
        &self,
        runtime: &Handle,
        archive: &mut ZipWriter<zip::write::StreamWriter<W>>,
    ) -> io::Result<Files> {
        let mut files = Files::default();
        let mut after = None;
        loop {
            let query = ListQuery::newest(records::UPLOAD, MAX_BATCH).after(after);
            let page = runtime.block_on(self.store.list(&query)).map_err(io::Error::other)?;
            for doc in &page.docs {
                let upload: Upload = match doc.parse() {
                    Ok(upload) => upload,
                    Err(e) => {
                        log::warn!("a backup has the document of an upload that cannot be read: {e}");
                        continue;
                    }
                };
                match runtime.block_on(self.file_of(&upload))? {
                    Some((mut file, _held)) => files.parts.push(write_upload(&upload, &mut file, archive)?),
                    None if runtime.block_on(self.is_still_there(&upload))? => {
                        log::warn!(upload_id = upload.upload_id.as_str();
                            "the file of an upload is missing; the backup has the upload without it");
                        files.missing.push(upload.upload_id);
                    }
                    None => {
                        let gone = Change::new()
                            .delete(records::upload_key(&upload.upload_id))
                            .delete(records::contents_key(&upload.upload_id))
                            .delete(records::analysis_key(&upload.upload_id));
                        let taken_out = runtime.block_on(self.store.apply(gone)).map_err(io::Error::other)?;
                        taken_out.map_err(|refusal| io::Error::other(format!("{refusal:?}")))?;
                        files.left_out.push(upload.upload_id);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(files);
            }
        }
    }

    /// The open file of an upload, and what holds it; nothing where there is none.
    async fn file_of(&self, upload: &Upload) -> io::Result<Option<(File, LocalFile)>> {
        let held = match self.blobs.fetch(upload.blob_name()).await {
            Ok(held) => held,
            Err(BlobError::Missing { .. } | BlobError::BadName { .. }) => return Ok(None),
            Err(e) => return Err(io::Error::other(e)),
        };
        match File::open(held.path()) {
            Ok(file) => Ok(Some((file, held))),
            // It was removed in between.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether the store that the snapshot was taken of knows an upload now.
    async fn is_still_there(&self, upload: &Upload) -> io::Result<bool> {
        let found = self.live.get(&[records::upload_key(&upload.upload_id)]).await;
        Ok(found.map_err(io::Error::other)?.iter().any(Option::is_some))
    }

    async fn counts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts = BTreeMap::new();
        for (name, kind) in COUNTED {
            counts.insert(name.to_owned(), self.store.count(&IndexName::all(kind)).await?);
        }
        let depth = self.store.depth().await?;
        counts.insert("jobs_running".to_owned(), depth.leased);
        counts.insert("jobs_waiting".to_owned(), depth.open().saturating_sub(depth.leased));
        Ok(counts)
    }
}

/// Removes the copies that backups which died have left where files are received. To be called by whoever has the
/// embedded store alone.
pub fn tidy_snapshots(staging: &Path) {
    for entry in fs::read_dir(staging).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(COPIED)
            && let Err(e) = fs::remove_dir_all(entry.path())
        {
            log::warn!("{}, which a backup left behind, cannot be removed: {e}", entry.path().display());
        }
    }
}

fn write_upload<W: Write>(
    upload: &Upload,
    file: &mut File,
    archive: &mut ZipWriter<zip::write::StreamWriter<W>>,
) -> io::Result<Part> {
    let name = format!("{UPLOADS}{}", upload.blob_name());
    // An archive is compressed already.
    archive.start_file(&name, options().compression_method(CompressionMethod::Stored)).map_err(failed)?;
    let (bytes, sha256) = digest::copy(file, archive, u64::MAX)?;
    if upload.sha256.as_ref().is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
        log::warn!(upload_id = upload.upload_id.as_str();
            "the file of an upload is not what was uploaded; the backup has it as it is");
    }
    Ok(Part { name, bytes, sha256 })
}

/// Sizes are not known before: every file may be large.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().large_file(true)
}

fn failed(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}
