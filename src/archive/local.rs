//! Local headers: that they say what the directory says, and that the entries fill the file.

use super::{
    directory::{Entry, flag},
    end::{End, LOCAL},
    extra,
    refusal::{Refusal, shown},
    source::{Fields, Source},
};

const DESCRIPTOR: u32 = u32::from_le_bytes(*b"PK\x07\x08");
pub(super) const LOCAL_BYTES: usize = 30;
/// Flags that have to be the same in both headers. The others tell how hard the packer tried.
const SAME: u16 = flag::ENCRYPTED | flag::DESCRIPTOR | flag::PATCH | flag::STRONG | flag::MASKED;

/// Compares all local headers with the directory. Afterwards the entries are in the order of the file,
/// and between the start of the file and the directory each byte belongs to exactly one of them.
///
/// Returns where the data of each entry begins.
pub(super) fn check<S: Source + ?Sized>(
    source: &S,
    entries: &mut [Entry],
    end: &End,
) -> Result<Vec<u64>, Refusal> {
    entries.sort_unstable_by_key(|entry| entry.at);
    if entries.first().is_some_and(|first| first.at != 0) {
        return Err(Refusal::polyglot("something lies before the first entry"));
    }
    let mut buffer = Vec::new();
    let mut starts = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let next = entries.get(index + 1);
        let bound = Bound {
            at: next.map_or(end.directory_at, |next| next.at.min(end.directory_at)),
            name: next.filter(|next| next.at < end.directory_at).map(|next| &*next.path),
        };
        let header = header(source, entry, &bound, &mut buffer)?;
        let data_end = bound.fits(entry, header.data_at.checked_add(entry.compressed))?;
        tail(source, entry, &header, data_end, bound.at)?;
        starts.push(header.data_at);
    }
    Ok(starts)
}

/// Where the data of an entry begins, if its local header still says what the directory said.
pub(super) fn data_at<S: Source + ?Sized>(source: &S, entry: &Entry, end: u64) -> Result<u64, Refusal> {
    let bound = Bound { at: end, name: None };
    let header = header(source, entry, &bound, &mut Vec::new())?;
    bound.fits(entry, header.data_at.checked_add(entry.compressed))?;
    Ok(header.data_at)
}

/// Where the next thing begins: another entry or the directory.
struct Bound<'a> {
    at: u64,
    name: Option<&'a str>,
}

impl Bound<'_> {
    fn fits(&self, entry: &Entry, end: Option<u64>) -> Result<u64, Refusal> {
        end.filter(|end| *end <= self.at).ok_or_else(|| Refusal::OverlappingEntries {
            entry: shown(entry.path.as_bytes()),
            other: self.name.map_or_else(|| "the directory".to_owned(), |name| shown(name.as_bytes())),
        })
    }
}

struct Header {
    data_at: u64,
    /// It has the checksum and both sizes, whatever its flags say.
    complete: bool,
}

fn header<S: Source + ?Sized>(
    source: &S,
    entry: &Entry,
    bound: &Bound<'_>,
    buffer: &mut Vec<u8>,
) -> Result<Header, Refusal> {
    let mut record = [0; LOCAL_BYTES];
    let names_at = bound.fits(entry, entry.at.checked_add(LOCAL_BYTES as u64))?;
    source.fill_at(&mut record, entry.at)?;
    if !record.starts_with(&LOCAL) {
        let detail = format!("no header is where {} should begin", shown(entry.path.as_bytes()));
        return Err(Refusal::corrupt(detail));
    }
    let mut fields = Fields(&record[LOCAL.len()..]);
    let _version_needed = fields.u16();
    let (flags, method) = (fields.u16(), fields.u16());
    let _changed_at = fields.u32();
    let crc32 = fields.u32();
    let (compressed, size) = (fields.u32(), fields.u32());
    let (name_len, extra_len) = (usize::from(fields.u16()), usize::from(fields.u16()));

    let data_at = bound.fits(entry, names_at.checked_add((name_len + extra_len) as u64))?;
    buffer.resize(name_len + extra_len, 0);
    source.fill_at(buffer, names_at)?;
    let (name, extra) = buffer.split_at(name_len);
    if name != entry.path.as_bytes() {
        return Err(Refusal::mismatch(&entry.path, "name"));
    }
    // For ASCII the UTF-8 flag says nothing, and some packers set it in one place only.
    let same = if entry.path.is_ascii() { SAME } else { SAME | flag::UTF8 };
    if (flags ^ entry.flags) & same != 0 {
        return Err(Refusal::mismatch(&entry.path, "flags"));
    }
    if method != entry.method.number() {
        return Err(Refusal::mismatch(&entry.path, "method"));
    }

    let extra = extra::read(name, extra)?;
    let mut wide = Fields(extra.zip64.unwrap_or_default());
    let mut widen = |field: u32| match field {
        u32::MAX => wide.more().unwrap_or(u64::from(u32::MAX)),
        field => u64::from(field),
    };
    let (size, compressed) = (widen(size), widen(compressed));
    let complete = (crc32, compressed, size) == (entry.crc32, entry.compressed, entry.size);
    // Packers that write to a stream leave the fields at zero, or fill in those that they know.
    let later = flags & flag::DESCRIPTOR != 0
        && (crc32 == 0 || crc32 == entry.crc32)
        && (compressed == 0 || compressed == entry.compressed)
        && (size == 0 || size == entry.size);
    if !complete && !later {
        let field = if crc32 == entry.crc32 { "size" } else { "checksum" };
        return Err(Refusal::mismatch(&entry.path, field));
    }
    Ok(Header { data_at, complete })
}

/// What lies between the data of an entry and the next thing: its descriptor or nothing.
fn tail<S: Source + ?Sized>(
    source: &S,
    entry: &Entry,
    header: &Header,
    data_end: u64,
    next_at: u64,
) -> Result<(), Refusal> {
    let len = next_at - data_end;
    let has_descriptor = entry.flags & flag::DESCRIPTOR != 0;
    let (marked, wide) = match len {
        // The flag without a descriptor: some packers do so for directories and empty files.
        0 if !has_descriptor || header.complete => return Ok(()),
        12 => (false, false),
        16 => (true, false),
        20 => (false, true),
        24 => (true, true),
        0 => return Err(Refusal::mismatch(&entry.path, "descriptor")),
        _ => return Err(gap(entry)),
    };
    if !has_descriptor {
        return Err(gap(entry));
    }
    let mut record = [0; 24];
    let record = &mut record[..usize::try_from(len).unwrap_or_default().min(24)];
    source.fill_at(record, data_end)?;
    let mut fields = Fields(record);
    let mark = if marked { fields.u32() } else { DESCRIPTOR };
    let crc32 = fields.u32();
    let (compressed, size) = match wide {
        true => (fields.u64(), fields.u64()),
        false => (fields.u32().into(), fields.u32().into()),
    };
    if mark != DESCRIPTOR || (crc32, compressed, size) != (entry.crc32, entry.compressed, entry.size) {
        return Err(Refusal::mismatch(&entry.path, "descriptor"));
    }
    Ok(())
}

fn gap(entry: &Entry) -> Refusal {
    Refusal::polyglot(format!("bytes after {} belong to no entry", shown(entry.path.as_bytes())))
}
