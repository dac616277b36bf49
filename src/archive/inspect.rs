//! The inspection of a whole archive and of the archives inside it.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use tempfile::{SpooledData, spooled_tempfile_in};

use super::{
    collisions,
    contents::{Contents, Member},
    directory::{self, Entry},
    end,
    expand::{Broken, Stream, Workspace},
    limits::{Limits, Tally},
    local,
    refusal::{Refusal, shown},
    source::Source,
};

/// Bytes expanded at once.
const CHUNK_BYTES: usize = 64 << 10;
/// An archive inside the archive up to this size is held in memory, a larger one in a temporary file.
const IN_MEMORY_BYTES: usize = 512 << 10;

/// Proves that a file is one plain zip archive that costs no more than the limits allow, by reading all
/// of it once.
///
/// Takes at most some 10 MB of memory whatever the file is, and time by the bytes that
/// are read and expanded, which are bounded, as is the time itself. A zip inside the zip, told by content, is inspected in the same way; a large one as a temporary file
/// without a name in the folder of the upload.
///
/// # Errors
/// The first [`Refusal`] that was found; [`Refusal::Unreadable`] if it was not the file's fault.
pub fn inspect(path: &Path, limits: &Limits) -> Result<Contents, Refusal> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Refusal::NotAZip);
    }
    let len = metadata.len();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut work = Work { tally: Tally::new(limits, len)?, folder };
    let mut members = Vec::new();
    let mut keep = |entry, archive| members.push(Member::new(entry, archive));
    archive(&file, len, 0, &mut work, &mut keep).map_err(changing)?;
    Ok(Contents::new(len, work.tally.expanded(), members))
}

/// What all levels share.
struct Work<'a> {
    tally: Tally<'a>,
    /// Where temporary files go: where there was room for the upload.
    folder: &'a Path,
}

/// All positions were inside the file when its length was taken.
fn changing(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Unreadable(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Refusal::Truncated { detail: "it became shorter while it was read".to_owned() }
        }
        refusal => refusal,
    }
}

/// Inspects an archive, `level` archives deep, and hands over its files with whether each is an archive.
fn archive<S: Source + ?Sized>(
    source: &S,
    len: u64,
    level: u32,
    work: &mut Work<'_>,
    keep: &mut dyn FnMut(Entry, bool),
) -> Result<(), Refusal> {
    let end = end::find(source, len)?;
    let mut entries = directory::read(source, &end, &mut work.tally)?;
    collisions::check(entries.iter().map(|entry| &*entry.path), &mut work.tally)?;
    let starts = local::check(source, &mut entries, &end)?;
    if entries.iter().all(Entry::is_directory) {
        return Err(Refusal::Empty);
    }

    let mut space = Workspace::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    for (entry, data_at) in entries.into_iter().zip(starts) {
        let stream = Stream::new(source, &entry, data_at, &mut space).until(work.tally.deadline());
        let is_archive = expand(&entry, stream, &mut chunk, level, work)?;
        if !entry.is_directory() {
            keep(entry, is_archive);
        }
    }
    Ok(())
}

/// Expands an entry, and inspects it if it is an archive, which it returns.
fn expand<S: Source + ?Sized>(
    entry: &Entry,
    mut stream: Stream<'_, S>,
    chunk: &mut [u8],
    level: u32,
    work: &mut Work<'_>,
) -> Result<bool, Refusal> {
    let limit = work.tally.limits.time;
    let broken = |broken| broken_entry(entry, broken, limit);
    let mut made = stream.fill(chunk).map_err(broken)?;
    let is_archive = entry.size >= end::END_BYTES as u64 && end::begins_archive(&chunk[..made]);
    if is_archive && level >= work.tally.nesting() {
        return Err(Refusal::BombNesting {
            entry: shown(entry.path.as_bytes()),
            limit: work.tally.nesting(),
        });
    }
    let mut copy = is_archive.then(|| spooled_tempfile_in(IN_MEMORY_BYTES, work.folder));
    loop {
        work.tally.expand(made)?;
        if let Some(copy) = &mut copy {
            copy.write_all(&chunk[..made])?;
        }
        if made < chunk.len() {
            break;
        }
        made = stream.fill(chunk).map_err(broken)?;
    }

    let Some(copy) = copy else { return Ok(false) };
    let mut ignore = |_, _| {};
    let inspected = match copy.into_inner() {
        SpooledData::InMemory(bytes) => {
            let bytes = bytes.into_inner();
            archive(bytes.as_slice(), entry.size, level + 1, work, &mut ignore)
        }
        SpooledData::OnDisk(file) => archive(&file, entry.size, level + 1, work, &mut ignore),
    };
    match inspected {
        // An empty archive is nothing to work on, but no harm inside another one.
        Ok(()) | Err(Refusal::Empty) => Ok(true),
        Err(refusal @ Refusal::Unreadable(_)) => Err(refusal),
        Err(refusal) => {
            Err(Refusal::Nested { entry: shown(entry.path.as_bytes()), refusal: Box::new(refusal) })
        }
    }
}

fn broken_entry(entry: &Entry, broken: Broken, limit: Duration) -> Refusal {
    let name = shown(entry.path.as_bytes());
    match broken {
        Broken::Stream(what) => Refusal::corrupt(format!("the entry {name} is broken, {what}")),
        Broken::Size => Refusal::HeaderMismatch { entry: name, field: "size" },
        Broken::Checksum => Refusal::BadChecksum { entry: name },
        Broken::Late => Refusal::BombTime { entry: name, limit },
        Broken::Io(error) => error.into(),
    }
}
