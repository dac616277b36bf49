//! The way back: a backup takes the place of the embedded store of a node on which no server runs.
//!
//! ```text
//! manifest ─▶ the store is ours alone, empty or --force ─▶ room ─▶ all parts beside it, digests, database proved
//!    ─▶ files of uploads moved in (a file without a document harms nobody) ─▶ the database renamed: done
//! ```
//!
//! That rename is the only step that counts. A crash before it leaves the old store as it was; what was unpacked
//! is removed by the next restore or the next start ([`tidy`]), files of uploads that no document names by the
//! auditor. Leases in a backup belong to nobody: the next start gives their jobs back.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use zip::{ZipArchive, result::ZipError};

use super::{
    digest,
    manifest::{DATABASE, FORMAT, FORMAT_VERSION, MANIFEST, Manifest, Part, UPLOADS},
    owner::give_to_owner,
    room,
};
use crate::{
    blobs::{Blobs, Folder, check_name},
    clock::SystemClock,
    store::{
        Store, StoreError,
        sqlite::{self, Exclusive, Location, SCHEMA, SqliteStore},
    },
};

/// The most bytes that a manifest may have.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;
/// What stands before the name of a folder in which a backup is unpacked.
const UNPACKED: &str = ".restore-";

/// What a backup is to take the place of.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file of the embedded store.
    pub database: PathBuf,
    /// The folder of uploads.
    pub uploads: PathBuf,
}

/// What became of it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Restored {
    pub manifest: Manifest,
    /// Where the store that was there before is kept.
    pub kept: Option<PathBuf>,
}

/// Why a backup was not restored. The store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error(
        "{} is no whole backup: it has no end. It was cut off while it was made or copied; take another one",
        .0.display()
    )]
    CutOff(PathBuf),
    #[error("{} is no backup of ProductForge: {why}", file.display())]
    Foreign { file: PathBuf, why: &'static str },
    #[error(
        "this backup was made by version {version}, in a newer form than this program reads: use that version"
    )]
    Newer { version: String },
    #[error("the backup is damaged: {part}: {why}. Nothing was restored; take another one")]
    Damaged { part: String, why: String },
    #[error(
        "there is a store at {} already; --force puts the backup in its place, and keeps it beside as a file",
        .0.display()
    )]
    Occupied(PathBuf),
    #[error("the store cannot be had: {why}; if a server runs on {}, stop it first", database.display())]
    InUse { database: PathBuf, why: StoreError },
    #[error(
        "the backup needs {needed} bytes in {} and only {free} are free: make room, or restore elsewhere",
        folder.display()
    )]
    NoRoom { folder: PathBuf, needed: u64, free: u64 },
    #[error("it cannot be written: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] crate::blobs::BlobError),
}

/// A backup that was opened, and what it says of itself.
struct Opened {
    archive: ZipArchive<BufReader<File>>,
    manifest: Manifest,
}

/// Reads a backup from its beginning to its end and holds every part against its digest. Writes nothing.
pub fn check(file: &Path) -> Result<Manifest, RestoreError> {
    let mut opened = open(file)?;
    for part in opened.manifest.parts.clone() {
        copy_part(&mut opened.archive, &part, &mut io::sink())?;
    }
    Ok(opened.manifest)
}

/// Restores a backup; blocks for as long as that takes. See the module for what a crash leaves.
pub async fn restore(file: &Path, place: &Place, force: bool) -> Result<Restored, RestoreError> {
    let mut opened = open(file)?;
    let _ours = Exclusive::take(&place.database)
        .map_err(|why| RestoreError::InUse { database: place.database.clone(), why })?;
    // By its own name, so that a link goes on to be one.
    let database = fs::canonicalize(&place.database).unwrap_or_else(|_| place.database.clone());
    if !force && fs::metadata(&database).is_ok_and(|meta| meta.len() > 0) {
        return Err(RestoreError::Occupied(database));
    }
    let folder = database.parent().unwrap_or(Path::new(".")).to_owned();
    tidy(&database);
    room(&folder, opened.manifest.bytes())?;
    let unpacked = tempfile::Builder::new().prefix(UNPACKED).tempdir_in(&folder)?;
    let mut uploads = Vec::new();
    for part in opened.manifest.parts.clone() {
        let at = unpacked.path().join(part.name.trim_start_matches(UPLOADS));
        let mut out = BufWriter::new(private_file(&at)?);
        copy_part(&mut opened.archive, &part, &mut out)?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        if let Some(name) = part.name.strip_prefix(UPLOADS) {
            uploads.push((name.to_owned(), at));
        }
    }
    let new = unpacked.path().join(DATABASE);
    prove(&new, &opened.manifest).await?;
    // Before the rename, so that no kill leaves a store that its server cannot open.
    give_to_owner(&folder, &new);
    give_to_owner(&folder, &sqlite::lock_of(&database));
    if !uploads.is_empty() {
        let blobs = Folder::open(&place.uploads).await?;
        for (name, at) in uploads {
            blobs.put(&name, &at).await?;
        }
        give_to_owner(&folder, &place.uploads);
    }
    let kept = sqlite::replace(&database, &new)?;
    if let Some(kept) = &kept {
        give_to_owner(&folder, kept);
    }
    Ok(Restored { manifest: opened.manifest, kept })
}

/// Removes what a restore that died has unpacked beside a database. To be called by whoever has the store alone.
pub fn tidy(database: &Path) {
    let Some(folder) = database.parent() else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNPACKED)
            && let Err(e) = fs::remove_dir_all(entry.path())
        {
            log::warn!("{}, which a restore left behind, cannot be removed: {e}", entry.path().display());
        }
    }
}

/// Whether the first entry of an archive is named as one of a backup.
fn begins_as_a_backup(path: &Path) -> bool {
    /// What stands in front of the name in the head of an entry.
    const BEFORE_NAME: usize = 30;
    let mut head = [0; BEFORE_NAME + DATABASE.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let name = &head[BEFORE_NAME..];
    read.is_ok() && (name == DATABASE.as_bytes() || name.starts_with(UPLOADS.as_bytes()))
}

/// The manifest, and that the parts which it names are there, and no others.
fn open(path: &Path) -> Result<Opened, RestoreError> {
    let unreadable = |why| RestoreError::Unreadable { file: path.to_owned(), why };
    let foreign = |why| RestoreError::Foreign { file: path.to_owned(), why };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut magic = [0; 4];
    let begins = file.read(&mut magic).map_err(unreadable)?;
    if magic[..begins] != *b"PK\x03\x04" {
        return Err(foreign("it is no zip file"));
    }
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| match e {
        ZipError::Io(why) if why.kind() != io::ErrorKind::UnexpectedEof => unreadable(why),
        _ => RestoreError::CutOff(path.to_owned()),
    })?;
    let manifest = match archive.by_name(MANIFEST) {
        Ok(entry) => serde_json::from_reader(entry.take(MAX_MANIFEST_BYTES)),
        // An archive among the uploads has an end of its own, which a reader of what was cut off takes for the whole's.
        Err(_) if begins_as_a_backup(path) => return Err(RestoreError::CutOff(path.to_owned())),
        Err(_) => return Err(foreign("it has no manifest.json")),
    };
    let manifest: serde_json::Value = manifest.map_err(|_| foreign("its manifest.json is no JSON"))?;
    if manifest["format"] != FORMAT {
        return Err(foreign("its manifest.json is of something else"));
    }
    let version = manifest["version"].as_str().unwrap_or("?").to_owned();
    let number = |field: &str| manifest[field].as_u64().unwrap_or(u64::MAX);
    if number("format_version") > u64::from(FORMAT_VERSION) || number("schema") > SCHEMA as u64 {
        return Err(RestoreError::Newer { version });
    }
    let damaged = |why: String| RestoreError::Damaged { part: MANIFEST.to_owned(), why };
    let manifest: Manifest = serde_json::from_value(manifest).map_err(|e| damaged(e.to_string()))?;
    let named: BTreeSet<&str> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
    let is_ours = |name: &str| {
        name == DATABASE || name.strip_prefix(UPLOADS).is_some_and(|blob| check_name(blob).is_ok())
    };
    if let Some(name) = named.iter().find(|name| !is_ours(name)) {
        return Err(damaged(format!("it names a part {name:?}, which no backup has")));
    }
    if !named.contains(DATABASE) || named.len() != manifest.parts.len() {
        return Err(damaged("it does not name the database, and every part once".to_owned()));
    }
    let there: Result<BTreeSet<_>, ZipError> = archive.file_names().collect();
    let there = there.map_err(|e| damaged(e.to_string()))?;
    let there: BTreeSet<&str> = there.iter().map(AsRef::as_ref).filter(|name| *name != MANIFEST).collect();
    if let Some(name) = named.symmetric_difference(&there).next() {
        return Err(damaged(format!("it and the file do not agree about {name:?}")));
    }
    Ok(Opened { archive, manifest })
}

/// Copies one part and holds it against its digest.
fn copy_part(
    archive: &mut ZipArchive<BufReader<File>>,
    part: &Part,
    to: &mut dyn Write,
) -> Result<(), RestoreError> {
    let damaged = |why: String| RestoreError::Damaged { part: part.name.clone(), why };
    let mut entry = archive.by_name(&part.name).map_err(|e| damaged(e.to_string()))?;
    let mut to = Target { to, failed: None };
    let copied = digest::copy(&mut entry, &mut to, part.bytes);
    // An error of the disk that is written to is no fault of the backup.
    if let Some(e) = to.failed {
        return Err(e.into());
    }
    let (bytes, sha256) = copied.map_err(|e| damaged(e.to_string()))?;
    if bytes != part.bytes {
        return Err(damaged(format!("it has {bytes} bytes instead of {}", part.bytes)));
    }
    if sha256 != part.sha256 {
        return Err(damaged("its SHA-256 is not the one that was written down".to_owned()));
    }
    Ok(())
}

/// Remembers that it was the writing that failed.
struct Target<'a> {
    to: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl Write for Target<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|e| {
            let same = io::Error::new(e.kind(), e.to_string());
            self.failed = Some(e);
            same
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// That the database is whole, can be opened by this program (which brings it up to date), and is the one that the
/// manifest tells of.
async fn prove(database: &Path, manifest: &Manifest) -> Result<(), RestoreError> {
    let damaged = |why: String| RestoreError::Damaged { part: DATABASE.to_owned(), why };
    sqlite::prove(database).map_err(|e| damaged(e.to_string()))?;
    let store = SqliteStore::open(Location::File(database.to_owned()), Arc::new(SystemClock))?;
    let depth = store.depth().await;
    store.close().await;
    let leased = manifest.counts.get("jobs_running").copied().unwrap_or_default();
    match depth? {
        depth if depth.leased == leased => Ok(()),
        depth => Err(damaged(format!("{} jobs run in it, and the manifest says {leased}", depth.leased))),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// That the disk has room for it.
fn room(folder: &Path, bytes: u64) -> Result<(), RestoreError> {
    match room::lacking(folder, bytes) {
        Some((needed, free)) => Err(RestoreError::NoRoom { folder: folder.to_owned(), needed, free }),
        None => Ok(()),
    }
}
