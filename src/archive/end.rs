//! The end record: where the central directory lies and how many entries it has.

use super::{
    refusal::Refusal,
    source::{Fields, Source},
};

pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
const END64: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const LOCATOR64: u32 = u32::from_le_bytes(*b"PK\x06\x07");
const SPLIT: [u8; 4] = *b"PK\x07\x08";
const SPLIT_IN_ONE: [u8; 4] = *b"PK00";

/// Bytes of an end record without its comment.
pub(super) const END_BYTES: usize = 22;
const LOCATOR64_BYTES: u64 = 20;
const END64_BYTES: u64 = 56;

/// What the end record says, proven as far as it can be without the directory.
#[derive(Debug)]
pub(super) struct End {
    pub(super) directory_at: u64,
    pub(super) directory_end: u64,
    pub(super) entries: u64,
}

/// Whether a file that begins so claims to be an archive.
pub(super) fn begins_archive(head: &[u8]) -> bool {
    head.starts_with(&LOCAL) || head.starts_with(&END)
}

/// The fields that the end record and its zip64 form share.
#[derive(Debug)]
struct Fieldset {
    disk: u64,
    directory_disk: u64,
    entries_here: u64,
    entries: u64,
    directory_len: u64,
    directory_at: u64,
}

/// Finds the one end record of a file of `len` bytes.
///
/// It is the last one in the file and its comment ends with the file: readers that look for it from the
/// front, from the back, or by the length of its comment, all find this one.
pub(super) fn find<S: Source + ?Sized>(source: &S, len: u64) -> Result<End, Refusal> {
    if len == 0 {
        return Err(Refusal::Empty);
    }
    let mut head = [0; 8];
    let head_len = head.len().min(usize::try_from(len).unwrap_or(usize::MAX));
    source.fill_at(&mut head[..head_len], 0)?;
    if head.starts_with(&SPLIT) || (head.starts_with(&SPLIT_IN_ONE) && head.ends_with(&LOCAL)) {
        return Err(Refusal::MultiDisk);
    }

    let tail_at = len.saturating_sub((END_BYTES + usize::from(u16::MAX)) as u64);
    let mut tail = vec![0; usize::try_from(len - tail_at).unwrap_or_default()];
    source.fill_at(&mut tail, tail_at)?;
    let in_tail = place(&tail, head.starts_with(&LOCAL))?;
    let end_at = tail_at + in_tail as u64;
    let plain = end_fields(tail.get(in_tail..).unwrap_or_default());

    if [plain.disk, plain.directory_disk].iter().any(|disk| !matches!(disk, 0 | 0xFFFF)) {
        return Err(Refusal::MultiDisk);
    }
    if !begins_archive(&head) {
        return Err(Refusal::polyglot("something lies before the first entry"));
    }

    let (fields, directory_end) = match zip64(source, end_at)? {
        Some((wide, at)) => (widened(&plain, wide)?, at),
        None => (plain, end_at),
    };
    if fields.disk != 0 || fields.directory_disk != 0 || fields.entries_here != fields.entries {
        return Err(Refusal::MultiDisk);
    }
    match fields.directory_at.checked_add(fields.directory_len) {
        Some(end) if end == directory_end => {}
        Some(end) if end < directory_end => {
            return Err(Refusal::polyglot("something lies between the directory and the end record"));
        }
        _ => return Err(Refusal::corrupt("the directory does not end where the end record begins")),
    }
    if fields.entries == 0 {
        return Err(Refusal::Empty);
    }
    Ok(End { directory_at: fields.directory_at, directory_end, entries: fields.entries })
}

/// Where in the tail of the file the end record begins.
fn place(tail: &[u8], begins_with_entry: bool) -> Result<usize, Refusal> {
    let lost = || match begins_with_entry {
        true => Refusal::Truncated { detail: "no end record is at its end".to_owned() },
        false => Refusal::NotAZip,
    };
    let mut marks = tail.windows(END.len()).enumerate().filter(|(_, w)| *w == END).map(|(at, _)| at);
    let last = marks.next_back().ok_or_else(lost)?;
    // One whose comment would reach to the end of the file, with another one inside.
    if marks.any(|at| comment_end(tail, at) == Some(tail.len())) {
        return Err(Refusal::polyglot("it has two end records"));
    }
    match comment_end(tail, last) {
        Some(end) if end == tail.len() => Ok(last),
        Some(end) if end < tail.len() => {
            Err(Refusal::polyglot(format!("{} bytes lie after the end record", tail.len() - end)))
        }
        Some(_) => Err(Refusal::Truncated { detail: "its comment is not complete".to_owned() }),
        None => Err(lost()),
    }
}

fn comment_end(tail: &[u8], at: usize) -> Option<usize> {
    let record = tail.get(at..at + END_BYTES)?;
    Some(at + END_BYTES + usize::from(Fields(&record[20..]).u16()))
}

fn end_fields(record: &[u8]) -> Fieldset {
    let mut fields = Fields(record.get(4..).unwrap_or_default());
    Fieldset {
        disk: fields.u16().into(),
        directory_disk: fields.u16().into(),
        entries_here: fields.u16().into(),
        entries: fields.u16().into(),
        directory_len: fields.u32().into(),
        directory_at: fields.u32().into(),
    }
}

/// The zip64 end record and where it begins, if the end record at `end_at` has one before it.
fn zip64<S: Source + ?Sized>(source: &S, end_at: u64) -> Result<Option<(Fieldset, u64)>, Refusal> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR64_BYTES) else { return Ok(None) };
    let mut locator = [0; LOCATOR64_BYTES as usize];
    source.fill_at(&mut locator, locator_at)?;
    let mut fields = Fields(&locator);
    if fields.u32() != LOCATOR64 {
        return Ok(None);
    }
    let (disk, at, disks) = (fields.u32(), fields.u64(), fields.u32());
    if disk != 0 || disks > 1 {
        return Err(Refusal::MultiDisk);
    }

    let misplaced = || Refusal::corrupt("its zip64 end record is not where it should be");
    if at.checked_add(END64_BYTES).is_none_or(|end| end > locator_at) {
        return Err(misplaced());
    }
    let mut record = [0; END64_BYTES as usize];
    source.fill_at(&mut record, at)?;
    let mut fields = Fields(&record);
    let (mark, rest) = (fields.u32(), fields.u64());
    if mark != END64 || rest.checked_add(12).and_then(|len| at.checked_add(len)) != Some(locator_at) {
        return Err(misplaced());
    }
    // The longer form, version 2, exists to describe an encrypted directory.
    if rest > END64_BYTES - 12 {
        return Err(Refusal::Encrypted { what: "the directory of the archive".to_owned() });
    }
    let _versions = fields.u32();
    let wide = Fieldset {
        disk: fields.u32().into(),
        directory_disk: fields.u32().into(),
        entries_here: fields.u64(),
        entries: fields.u64(),
        directory_len: fields.u64(),
        directory_at: fields.u64(),
    };
    Ok(Some((wide, at)))
}

/// The zip64 fields, if each field of the plain record refers to them or says the same.
fn widened(plain: &Fieldset, wide: Fieldset) -> Result<Fieldset, Refusal> {
    const SHORT: u64 = 0xFFFF;
    const LONG: u64 = 0xFFFF_FFFF;
    let pairs = [
        (plain.disk, wide.disk, SHORT),
        (plain.directory_disk, wide.directory_disk, SHORT),
        (plain.entries_here, wide.entries_here, SHORT),
        (plain.entries, wide.entries, SHORT),
        (plain.directory_len, wide.directory_len, LONG),
        (plain.directory_at, wide.directory_at, LONG),
    ];
    if pairs.iter().any(|(plain, wide, refers)| plain != wide && plain != refers) {
        return Err(Refusal::polyglot("its two end records contradict each other"));
    }
    Ok(wide)
}
