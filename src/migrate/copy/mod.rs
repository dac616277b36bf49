//! Copying a whole store into another one, of the same engine or the other.
//!
//! Three walks: the source is read and added up (`summary`), then read again and written, then the target is
//! read and compared. Each write notes in the same step how far it got, so that a copy that was cut off is
//! gone on with, and a program that finds the note in a store does not work on it.

mod summary;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use summary::{Counts, Group};

use crate::{
    service::records,
    store::{Change, DocKey, Item, Kind, ListQuery, MAX_BATCH, Put, Store, StoreError},
};

use summary::Summary;

/// The kind of the note; its id is `progress`.
const COPY: Kind = Kind("copy");
/// How much one write takes at the most, beyond its first item.
const BATCH_BYTES: usize = 4 << 20;
/// The most keys that are named as left behind.
const MOST_TOLD: usize = 1_000;

/// A store and what it is called.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub store: &'a dyn Store,
    /// Engine and place, without a password.
    pub name: &'a str,
    /// Nobody else can have it: then workers that it knows of are dead.
    pub is_ours: bool,
}

/// Where a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The source is added up.
    Counting,
    Copying,
    /// The target is compared.
    Comparing,
}

/// Is told how many items a phase has had, and of how many if that is known.
pub trait Watcher {
    fn at(&mut self, phase: Phase, items: u64, of: Option<u64>);
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub from: String,
    pub to: String,
    /// Whether it went on with one that had been cut off.
    pub resumed: bool,
    /// How many of each are on both sides.
    pub groups: Vec<Counts>,
    /// Digest over all documents with their indexes, the same on both sides, as hexadecimal digits.
    pub documents_digest: String,
    /// What is stored in the source under names of ours and was not copied, the first 1,000.
    pub left_behind: Vec<(String, String)>,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(
        "{name} is in use: {workers} workers are alive ({first}). Stop them, and the servers, and try again; one \
             that died without a word is forgotten after a minute"
    )]
    InUse { name: String, workers: usize, first: String },
    #[error("source and target are the same: {0}")]
    Same(String),
    #[error(
        "{0} is not empty. Empty it, or add to it with --force: documents of the same name are replaced, jobs \
             are put behind those that wait"
    )]
    NotEmpty(String),
    #[error("{name} holds a part of a copy from {source_name}. Go on with that one, or empty it first")]
    OtherCopy { name: String, source_name: String },
    #[error(
        "{0} holds a part of a copy. Run the same `productforge copy` again to finish it, or empty the store"
    )]
    Unfinished(String),
    #[error(
        "the copy is not equal to its source: {0}. Nothing may work on either of them while it is made; empty the \
             target and try again"
    )]
    Differs(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a copy got.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    source: String,
    /// Payloads that were written. All else can be written twice.
    payloads: u64,
}

fn progress_key() -> DocKey {
    DocKey::new(COPY, "progress")
}

/// Copies all that `from` keeps into `to`, and compares. With `force` also into one that is not empty.
pub async fn copy(
    from: Side<'_>,
    to: Side<'_>,
    force: bool,
    watcher: &mut (dyn Watcher + Send),
) -> Result<Copied, CopyError> {
    if from.name == to.name {
        return Err(CopyError::Same(from.name.to_owned()));
    }
    refuse_unfinished(from).await?;
    for side in [from, to] {
        refuse_in_use(side).await?;
    }
    let written = begin(from, to, force).await?;
    let source = add_up(from, Phase::Counting, None, watcher).await?;
    transfer(from, to, written.unwrap_or(0), source.items(), watcher).await?;
    let _ = to.store.apply(Change::new().delete(progress_key())).await?;
    let target = add_up(to, Phase::Comparing, Some(source.items()), watcher).await?;
    source.compare(&target, Instant::now(), force).map_err(CopyError::Differs)?;
    Ok(Copied {
        from: from.name.to_owned(),
        to: to.name.to_owned(),
        resumed: written.is_some(),
        groups: source.counts(&target),
        documents_digest: source.documents_digest(),
        left_behind: source.left_behind(MOST_TOLD),
    })
}

/// Whether a store holds a part of a copy, and so is not to be worked on.
pub async fn refuse_unfinished(side: Side<'_>) -> Result<(), CopyError> {
    match progress(side).await? {
        Some(_) => Err(CopyError::Unfinished(side.name.to_owned())),
        None => Ok(()),
    }
}

async fn progress(side: Side<'_>) -> Result<Option<Progress>, StoreError> {
    match side.store.get(&[progress_key()]).await?.pop().flatten() {
        Some(note) => note.parse().map(Some),
        None => Ok(None),
    }
}

async fn refuse_in_use(side: Side<'_>) -> Result<(), CopyError> {
    if side.is_ours {
        return Ok(());
    }
    let workers = side.store.list(&ListQuery::newest(records::WORKER, MAX_BATCH)).await?.docs;
    match workers.first() {
        Some(first) => Err(CopyError::InUse {
            name: side.name.to_owned(),
            workers: workers.len(),
            first: first.key.id.clone(),
        }),
        None => Ok(()),
    }
}

/// How many payloads have been written by an earlier try, if there was one.
async fn begin(from: Side<'_>, to: Side<'_>, force: bool) -> Result<Option<u64>, CopyError> {
    if let Some(earlier) = progress(to).await? {
        if earlier.source == from.name {
            return Ok(Some(earlier.payloads));
        }
        return Err(CopyError::OtherCopy { name: to.name.to_owned(), source_name: earlier.source });
    }
    if !force && !is_empty(to.store).await? {
        return Err(CopyError::NotEmpty(to.name.to_owned()));
    }
    Ok(None)
}

/// Whether nothing is kept. What is there only to say that somebody lived counts as nothing.
pub async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    let mut after = None;
    loop {
        let piece = store.dump(after, MAX_BATCH).await?;
        let matters = |item: &Item| !matches!(item, Item::Document(put) if put.key.kind == records::WORKER);
        if piece.items.iter().any(matters) || !piece.left_out.is_empty() {
            return Ok(false);
        }
        after = piece.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}

async fn add_up(
    side: Side<'_>,
    phase: Phase,
    of: Option<u64>,
    watcher: &mut (dyn Watcher + Send),
) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    let mut after = None;
    loop {
        let piece = side.store.dump(after, MAX_BATCH).await?;
        let now = Instant::now();
        for item in piece.items.iter().filter(|item| !stays(item)) {
            summary.add(item, now);
        }
        summary.leave(piece.left_out);
        watcher.at(phase, summary.items(), of);
        after = piece.next;
        if after.is_none() {
            return Ok(summary);
        }
    }
}

/// The note, and documents that say who lives: in a store at rest nobody does.
fn stays(item: &Item) -> bool {
    matches!(item, Item::Document(put) if put.key.kind == COPY || put.key.kind == records::WORKER)
}

/// Writes all of the source but the payloads that were written before.
async fn transfer(
    from: Side<'_>,
    to: Side<'_>,
    written: u64,
    of: u64,
    watcher: &mut (dyn Watcher + Send),
) -> Result<(), StoreError> {
    let mut progress = Progress { source: from.name.to_owned(), payloads: written };
    let (mut to_pass_over, mut copied) = (written, 0);
    let mut batch: Vec<Item> = Vec::with_capacity(MAX_BATCH);
    let mut bytes = 0;
    let mut after = None;
    loop {
        let piece = from.store.dump(after, MAX_BATCH).await?;
        for item in piece.items.into_iter().filter(|item| !stays(item)) {
            copied += 1;
            if matches!(item, Item::Payload(_)) && to_pass_over > 0 {
                to_pass_over -= 1;
                continue;
            }
            let size = item.bytes();
            if batch.len() + 1 == MAX_BATCH || (!batch.is_empty() && bytes + size > BATCH_BYTES) {
                write(to, &mut batch, &mut progress).await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(item);
        }
        watcher.at(Phase::Copying, copied, Some(of));
        after = piece.next;
        if after.is_none() {
            // Also for a source that keeps nothing: the note is what is removed at the end.
            return write(to, &mut batch, &mut progress).await;
        }
    }
}

async fn write(to: Side<'_>, batch: &mut Vec<Item>, progress: &mut Progress) -> Result<(), StoreError> {
    progress.payloads += batch.iter().filter(|item| matches!(item, Item::Payload(_))).count() as u64;
    batch.push(Item::Document(Put::json(progress_key(), progress)));
    to.store.restore(batch).await?;
    batch.clear();
    Ok(())
}
