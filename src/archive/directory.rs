//! The central directory: what it says about each entry.

use std::io::{BufReader, Read};

use super::{
    end::End,
    extra,
    limits::Tally,
    names,
    refusal::{Refusal, shown},
    source::{Fields, Source, Window},
};

const CENTRAL: u32 = u32::from_le_bytes(*b"PK\x01\x02");
/// Stands before a directory that is encrypted.
const DECRYPTION: u32 = u32::from_le_bytes(*b"PK\x06\x08");
pub(super) const CENTRAL_BYTES: usize = 46;

/// Flags of an entry.
pub(super) mod flag {
    pub(in crate::archive) const ENCRYPTED: u16 = 1;
    /// Sizes and checksum follow the data.
    pub(in crate::archive) const DESCRIPTOR: u16 = 1 << 3;
    pub(in crate::archive) const PATCH: u16 = 1 << 5;
    pub(in crate::archive) const STRONG: u16 = 1 << 6;
    pub(in crate::archive) const UTF8: u16 = 1 << 11;
    pub(in crate::archive) const MASKED: u16 = 1 << 13;
}

/// How the data of an entry is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

impl Method {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflated => 8,
        }
    }
}

/// What the directory says about one entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Ends with `/` for a directory.
    pub(super) path: Box<str>,
    pub(super) flags: u16,
    pub(super) method: Method,
    pub(super) crc32: u32,
    pub(super) compressed: u64,
    pub(super) size: u64,
    /// Where the local header begins.
    pub(super) at: u64,
}

impl Entry {
    pub(super) fn is_directory(&self) -> bool {
        self.path.ends_with('/')
    }
}

/// Reads the whole directory. Names, kinds, methods and declared sizes are proven.
pub(super) fn read<S: Source + ?Sized>(
    source: &S,
    end: &End,
    tally: &mut Tally<'_>,
) -> Result<Vec<Entry>, Refusal> {
    tally.entries(end.entries)?;
    let len = end.directory_end - end.directory_at;
    if end.entries > len / CENTRAL_BYTES as u64 {
        return Err(Refusal::corrupt("the directory is shorter than its entries"));
    }

    let window = Window { source, at: end.directory_at, end: end.directory_end };
    let mut reader = BufReader::with_capacity(16 << 10, window);
    let mut left = len;
    let mut entries = Vec::with_capacity(usize::try_from(end.entries).unwrap_or_default());
    let mut declared = 0_u64;
    let mut rest = Vec::new();
    for _ in 0..end.entries {
        let entry = next(&mut reader, &mut left, &mut rest, tally)?;
        declared = declared.saturating_add(entry.size);
        entries.push(entry);
    }
    if left != 0 {
        return Err(Refusal::corrupt("the directory has more than the entries that the end record counts"));
    }
    tally.declared_in_all(declared)?;
    Ok(entries)
}

fn next(
    reader: &mut impl Read,
    left: &mut u64,
    rest: &mut Vec<u8>,
    tally: &mut Tally<'_>,
) -> Result<Entry, Refusal> {
    let short = || Refusal::corrupt("an entry of the directory is not complete");
    let mut record = [0; CENTRAL_BYTES];
    *left = left.checked_sub(CENTRAL_BYTES as u64).ok_or_else(short)?;
    reader.read_exact(&mut record)?;
    let mut fields = Fields(&record);
    match fields.u32() {
        CENTRAL => {}
        DECRYPTION => return Err(Refusal::Encrypted { what: "the directory of the archive".to_owned() }),
        _ => return Err(Refusal::corrupt("the directory has something that is no entry")),
    }
    let _made_by = fields.u16();
    let _version_needed = fields.u16();
    let flags = fields.u16();
    let method = fields.u16();
    let _changed_at = fields.u32();
    let crc32 = fields.u32();
    let (compressed, size) = (fields.u32(), fields.u32());
    let (name_len, extra_len, comment_len) = (fields.u16(), fields.u16(), fields.u16());
    let disk = fields.u16();
    let _internal = fields.u16();
    let attributes = fields.u32();
    let at = fields.u32();

    let name_len = usize::from(name_len);
    let rest_len = name_len + usize::from(extra_len) + usize::from(comment_len);
    *left = left.checked_sub(rest_len as u64).ok_or_else(short)?;
    rest.resize(rest_len, 0);
    reader.read_exact(rest)?;
    let (name, after) = rest.split_at(name_len);
    let extra = after.get(..usize::from(extra_len)).unwrap_or_default();

    if flags & (flag::ENCRYPTED | flag::STRONG | flag::MASKED) != 0 || method == 99 {
        return Err(Refusal::Encrypted { what: shown(name) });
    }
    let path = names::checked(name, tally.limits)?;
    tally.name(path.len())?;
    extra::special(name, (attributes >> 16) as u16)?;
    let extra = extra::read(name, extra)?;
    let method = match method {
        0 if flags & flag::PATCH == 0 => Method::Stored,
        8 if flags & flag::PATCH == 0 => Method::Deflated,
        method => return Err(Refusal::UnsupportedMethod { entry: shown(name), method }),
    };

    let mut wide = Fields(extra.zip64.unwrap_or_default());
    let mut widen = |field: u32| match field {
        u32::MAX => wide.more().unwrap_or(u64::from(u32::MAX)),
        field => u64::from(field),
    };
    let (size, compressed, at) = (widen(size), widen(compressed), widen(at));
    let disk = match disk {
        u16::MAX if wide.rest().len() >= 4 => wide.u32(),
        disk => disk.into(),
    };
    if disk != 0 {
        return Err(Refusal::MultiDisk);
    }

    let entry = Entry { path: path.into(), flags, method, crc32, compressed, size, at };
    kind_agrees(&entry, attributes)?;
    if method == Method::Stored && compressed != size {
        return Err(Refusal::mismatch(path, "size"));
    }
    tally.declared(path, size, compressed)?;
    Ok(entry)
}

/// A directory is one by its name and by its attributes, and has no content.
fn kind_agrees(entry: &Entry, attributes: u32) -> Result<(), Refusal> {
    const DOS_DIRECTORY: u32 = 0x10;
    let by_attributes = attributes >> 28 == 0o04 || attributes & DOS_DIRECTORY != 0;
    if (by_attributes && !entry.is_directory()) || (entry.is_directory() && entry.size != 0) {
        return Err(Refusal::mismatch(&entry.path, "kind (file or directory)"));
    }
    Ok(())
}
