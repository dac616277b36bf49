//! Orphans: files that belong to no upload, and which of them may be removed.
//!
//! A store knows only its own uploads. Where it is not the one that the files belong to (a bucket of another installation,
//! a Redis that came up empty, an older backup that was restored), all of them look like orphans. So a file goes only when
//!
//! - the mark beside the files ([`MARK`]) names the installation whose store this is; both are made by the first walk that
//!   knows at least half of the files, which it does where there are none;
//! - it is older than [`ORPHAN_AFTER`]: its upload may be under way;
//! - a walk at least [`SEEN_FOR`] ago found it to be an orphan already: there is time to go back to another store.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use futures_util::TryStreamExt;
use serde::Deserialize;

use super::{Uploads, disk_failed};
use crate::{
    blobs::{BlobError, Blobs, Entry},
    model::new_id,
    service::{ServiceError, records},
    store::{Change, Doc, MAX_BATCH, Store, UnixMs},
};

/// The blob that says which installation the others belong to.
pub const MARK: &str = "productforge-installation";
/// A blob that no document names is an orphan when it is older than this: its upload may be under way.
const ORPHAN_AFTER: Duration = Duration::from_secs(3_600);
/// How long a blob has to have been an orphan before it is removed.
const SEEN_FOR: Duration = Duration::from_secs(24 * 3_600);
/// A longer mark is none of ours.
const MAX_MARK_BYTES: u64 = 200;

/// Whose the files of uploads are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Those of the installation whose store this is.
    This,
    /// Those of another one; or of one that had another store.
    Another,
    /// No mark says it.
    Nobody,
}

impl Owner {
    /// What the mark and the store say.
    pub fn of(mark: Option<&str>, installation: Option<&str>) -> Self {
        match (mark, installation) {
            (None, _) => Self::Nobody,
            (Some(mark), Some(id)) if mark == id => Self::This,
            (Some(_), _) => Self::Another,
        }
    }
}

/// What is wrong where the files belong to another installation.
pub fn foreign(place: &str) -> String {
    format!("the files of uploads in {place} belong to another installation, so none of them is removed")
}

/// What to do about it.
pub const FOREIGN_REMEDY: &str = "set REDIS_URL, REDIS_PREFIX or WORKSPACE_DIR to the store that they belong to, or \
    BLOB_URL or WORKSPACE_DIR to a place of its own; if that store is gone for good, remove the file \
    `productforge-installation` there, and the files that nobody needs";

#[derive(Deserialize)]
struct Installation {
    id: String,
}

#[derive(Deserialize)]
struct Seen {
    first_seen: UnixMs,
}

/// Which installation a store is of, once it has files of uploads.
pub async fn installation(store: &dyn Store) -> Result<Option<String>, ServiceError> {
    let found = records::load::<Installation>(store, records::installation_key()).await?;
    Ok(found.map(|(installation, _)| installation.id))
}

/// Which installation the mark beside the blobs names.
pub async fn mark(blobs: &dyn Blobs) -> Result<Option<String>, ServiceError> {
    let content = match blobs.read(MARK).await {
        Ok(content) => content,
        Err(BlobError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if content.bytes > MAX_MARK_BYTES {
        return Ok(Some(String::new()));
    }
    let parts: Vec<_> = content.stream.try_collect().await?;
    Ok(Some(String::from_utf8_lossy(&parts.concat()).trim().to_owned()))
}

/// Whose the files are.
pub async fn owner(store: &dyn Store, blobs: &dyn Blobs) -> Result<Owner, ServiceError> {
    let (mark, id) = (mark(blobs).await?, installation(store).await?);
    Ok(Owner::of(mark.as_deref(), id.as_deref()))
}

/// What is wrong and what to do where the files belong to another installation.
pub(in crate::service) async fn foreign_files(
    store: &dyn Store,
    blobs: &dyn Blobs,
) -> Result<Option<String>, ServiceError> {
    match owner(store, blobs).await? {
        Owner::Another => Ok(Some(format!("{}: {FOREIGN_REMEDY}", foreign(&blobs.check().await.place)))),
        Owner::This | Owner::Nobody => Ok(None),
    }
}

impl Uploads {
    /// Removes blobs that no document names: of uploads that were never accepted, because a process died. How
    /// many.
    pub async fn sweep_orphans(&self) -> Result<usize, ServiceError> {
        let store = self.base.store.as_ref();
        match owner(store, self.blobs()).await? {
            Owner::This => {
                self.told.store(false, Ordering::Relaxed);
                self.sweep().await
            }
            Owner::Another => {
                if !self.told.swap(true, Ordering::Relaxed)
                    && let Some(wrong) = foreign_files(store, self.blobs()).await?
                {
                    log::warn!("{wrong}");
                }
                Ok(0)
            }
            Owner::Nobody => {
                if self.most_are_known().await? {
                    self.claim().await?;
                } else if !self.told.swap(true, Ordering::Relaxed) {
                    let place = self.blobs().check().await.place;
                    log::warn!(
                        "most of the files of uploads in {place} belong to no upload of this store, so none of them \
                         is removed: {FOREIGN_REMEDY}"
                    );
                }
                // What was claimed is swept by the next walk, which sees whether another claimed it as well.
                Ok(0)
            }
        }
    }

    /// Says in the store and beside the blobs that they belong together.
    async fn claim(&self) -> Result<(), ServiceError> {
        let store = self.base.store.as_ref();
        let id = match installation(store).await? {
            Some(id) => id,
            None => {
                let key = records::installation_key();
                let change = Change::new().expect(key, None).put(records::put_installation(&new_id()));
                // Another process may have been faster: what stands there holds.
                let _ = store.apply(change).await?;
                let Some(id) = installation(store).await? else { return Ok(()) };
                id
            }
        };
        let staging = self.blobs().staging().to_owned();
        let place = staging.clone();
        let written = tokio::task::spawn_blocking(move || {
            let file = tempfile::Builder::new().prefix("mark-").tempfile_in(&place)?.into_temp_path();
            std::fs::write(&file, format!("{id}\n")).map(|()| file)
        });
        let written = written.await.map_err(std::io::Error::other).and_then(|written| written);
        let file = written.map_err(|e| disk_failed(&e, &staging))?;
        self.blobs().put(MARK, &file).await?;
        // The file has been moved away: nothing is left to be removed.
        let _ = file.keep();
        Ok(())
    }

    /// Whether at least half of the blobs belong to uploads of this store.
    async fn most_are_known(&self) -> Result<bool, ServiceError> {
        let (mut after, mut known, mut unknown): (Option<String>, usize, usize) = (None, 0, 0);
        loop {
            let entries = self.blobs().list(after.as_deref(), MAX_BATCH).await?;
            let Some(last) = entries.last() else { return Ok(known >= unknown) };
            after = Some(last.name.clone());
            let named: Vec<_> = entries.iter().filter(|entry| id_of(entry).is_some()).collect();
            for found in self.uploads_of(&named).await? {
                *(if found.is_some() { &mut known } else { &mut unknown }) += 1;
            }
        }
    }

    async fn sweep(&self) -> Result<usize, ServiceError> {
        let (mut after, mut removed): (Option<String>, usize) = (None, 0);
        loop {
            let entries = self.blobs().list(after.as_deref(), MAX_BATCH).await?;
            let Some(last) = entries.last() else { return Ok(removed) };
            after = Some(last.name.clone());
            let old = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age > ORPHAN_AFTER);
            // Other files may be there, which are nobody's to remove.
            let candidates: Vec<_> =
                entries.iter().filter(|entry| old(entry.modified) && id_of(entry).is_some()).collect();
            let found = self.uploads_of(&candidates).await?;
            let orphans = candidates.into_iter().zip(found).filter(|(_, found)| found.is_none());
            removed += self.remove_orphans(&orphans.map(|(entry, _)| entry).collect::<Vec<_>>()).await?;
        }
    }

    /// Removes those of one page that have been orphans for long enough, and remembers the others; how many went.
    async fn remove_orphans(&self, orphans: &[&Entry]) -> Result<usize, ServiceError> {
        let (store, now) = (self.base.store.as_ref(), self.base.clock.now_ms());
        let keys: Vec<_> = orphans.iter().map(|entry| records::orphan_key(&entry.name)).collect();
        let mut removed = 0;
        let mut change = Change::new();
        for (entry, seen) in orphans.iter().zip(store.get(&keys).await?) {
            let name = entry.name.as_str();
            // One that cannot be read is begun anew.
            let seen = seen.and_then(|doc| doc.parse::<Seen>().ok());
            let Some(seen) = seen else {
                change = change.put(records::put_orphan(name, now));
                continue;
            };
            if now - seen.first_seen < SEEN_FOR.as_millis() as UnixMs {
                continue;
            }
            if let Err(error) = self.blobs().delete(name).await {
                self.passed_over.passed_over(&format!("file {name}"), error.into())?;
                continue;
            }
            log::warn!(blob = name; "a file that belongs to no upload was removed");
            change = change.delete(records::orphan_key(name));
            removed += 1;
        }
        if !change.put.is_empty() || !change.delete.is_empty() {
            let _ = store.apply(change).await?;
        }
        Ok(removed)
    }

    /// The documents of the uploads that blobs are named after.
    async fn uploads_of(&self, entries: &[&Entry]) -> Result<Vec<Option<Doc>>, ServiceError> {
        let keys: Vec<_> = entries.iter().filter_map(|entry| id_of(entry)).map(records::upload_key).collect();
        Ok(self.base.store.get(&keys).await?)
    }
}

/// The id of the upload that a blob is named after.
fn id_of(entry: &Entry) -> Option<&str> {
    entry.name.split_once('_').map(|(id, _)| id).filter(|id| uuid::Uuid::parse_str(id).is_ok())
}
