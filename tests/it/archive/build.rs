//! Zip files made byte by byte, with every field open to lies.

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};

/// Says in a field of 16 or 32 bits that the value is in the zip64 record.
const WIDE: u32 = u32::MAX;

/// What follows the data of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptor {
    Marked,
    Bare,
    Marked64,
    Bare64,
}

/// An entry. `None` in a field stands for the truth.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    pub data: Vec<u8>,
    /// The data as it stands in the file.
    pub packed: Option<Vec<u8>>,
    pub method: u16,
    pub local_method: Option<u16>,
    pub flags: u16,
    pub local_flags: Option<u16>,
    pub crc: Option<u32>,
    pub local_crc: Option<u32>,
    pub size: Option<u64>,
    pub local_size: Option<u64>,
    pub compressed: Option<u64>,
    pub local_compressed: Option<u64>,
    pub extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub disk: u16,
    pub made_by: u16,
    pub attributes: u32,
    pub at: Option<u64>,
    pub descriptor: Option<Descriptor>,
    /// Sizes and position stand in zip64 fields.
    pub zip64: bool,
    /// Bytes before the local header.
    pub gap: Vec<u8>,
    pub in_file: bool,
    pub in_directory: bool,
}

/// What the headers of an entry say.
struct Made {
    packed: Vec<u8>,
    crc: u32,
    compressed: u64,
    size: u64,
}

/// A deflated file.
pub fn entry(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Entry {
    Entry {
        name: name.as_ref().to_vec(),
        local_name: None,
        data: data.as_ref().to_vec(),
        packed: None,
        method: 8,
        local_method: None,
        flags: 0,
        local_flags: None,
        crc: None,
        local_crc: None,
        size: None,
        local_size: None,
        compressed: None,
        local_compressed: None,
        extra: Vec::new(),
        local_extra: Vec::new(),
        comment: Vec::new(),
        disk: 0,
        made_by: 3 << 8 | 20,
        attributes: 0o100_644 << 16,
        at: None,
        descriptor: None,
        zip64: false,
        gap: Vec::new(),
        in_file: true,
        in_directory: true,
    }
}

/// A stored file.
pub fn stored(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Entry {
    entry(name, data).with(|e| e.method = 0)
}

/// A directory. The name has to end with `/`.
pub fn directory(name: impl AsRef<[u8]>) -> Entry {
    stored(name, "").with(|e| e.attributes = 0o040_755 << 16 | 0x10)
}

/// A file with this Unix mode.
pub fn special(name: &str, mode: u32, data: &str) -> Entry {
    stored(name, data).with(|e| e.attributes = mode << 16)
}

impl Entry {
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// With a descriptor, the flag that says so, and local fields of zero.
    pub fn streamed(self, descriptor: Descriptor) -> Self {
        self.with(|e| {
            e.flags |= 1 << 3;
            e.descriptor = Some(descriptor);
            (e.local_crc, e.local_size, e.local_compressed) = (Some(0), Some(0), Some(0));
        })
    }

    fn packed(&self) -> Vec<u8> {
        match &self.packed {
            Some(packed) => packed.clone(),
            None if self.method == 8 => deflated(&self.data),
            None => self.data.clone(),
        }
    }

    /// What the headers say unless they lie. Packs once, which is slow.
    fn made(&self) -> Made {
        let packed = self.packed();
        let mut crc = Crc::new();
        crc.update(&self.data);
        Made {
            crc: self.crc.unwrap_or_else(|| crc.sum()),
            compressed: self.compressed.unwrap_or(packed.len() as u64),
            size: self.size.unwrap_or(self.data.len() as u64),
            packed,
        }
    }

    fn local(&self, made: &Made) -> Vec<u8> {
        let Made { crc, compressed, size, .. } = *made;
        let local_crc = self.local_crc.unwrap_or(crc);
        let local_compressed = self.local_compressed.unwrap_or(compressed);
        let local_size = self.local_size.unwrap_or(size);
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut extra = self.local_extra.clone();
        if self.zip64 {
            extra.extend(field(1, &[local_size.to_le_bytes(), local_compressed.to_le_bytes()].concat()));
        }
        let narrow = |value: u64| if self.zip64 { WIDE } else { value as u32 };
        let mut out = b"PK\x03\x04".to_vec();
        out.extend(45_u16.to_le_bytes());
        out.extend(self.local_flags.unwrap_or(self.flags).to_le_bytes());
        out.extend(self.local_method.unwrap_or(self.method).to_le_bytes());
        out.extend(0x5b21_6000_u32.to_le_bytes());
        out.extend(local_crc.to_le_bytes());
        out.extend(narrow(local_compressed).to_le_bytes());
        out.extend(narrow(local_size).to_le_bytes());
        out.extend((name.len() as u16).to_le_bytes());
        out.extend((extra.len() as u16).to_le_bytes());
        out.extend(name);
        out.extend(extra);
        out.extend(&made.packed);
        if let Some(Descriptor::Marked | Descriptor::Marked64) = self.descriptor {
            out.extend(b"PK\x07\x08");
        }
        match self.descriptor {
            Some(Descriptor::Marked | Descriptor::Bare) => {
                out.extend(crc.to_le_bytes());
                out.extend((compressed as u32).to_le_bytes());
                out.extend((size as u32).to_le_bytes());
            }
            Some(Descriptor::Marked64 | Descriptor::Bare64) => {
                out.extend(crc.to_le_bytes());
                out.extend(compressed.to_le_bytes());
                out.extend(size.to_le_bytes());
            }
            None => {}
        }
        out
    }

    fn central(&self, made: &Made, at: u64) -> Vec<u8> {
        let Made { crc, compressed, size, .. } = *made;
        let at = self.at.unwrap_or(at);
        let mut extra = self.extra.clone();
        if self.zip64 {
            extra.extend(field(1, &[size, compressed, at].map(u64::to_le_bytes).concat()));
        }
        let narrow = |value: u64| if self.zip64 { WIDE } else { value as u32 };
        let mut out = b"PK\x01\x02".to_vec();
        out.extend(self.made_by.to_le_bytes());
        out.extend(45_u16.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend(0x5b21_6000_u32.to_le_bytes());
        out.extend(crc.to_le_bytes());
        out.extend(narrow(compressed).to_le_bytes());
        out.extend(narrow(size).to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((extra.len() as u16).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend(self.disk.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(self.attributes.to_le_bytes());
        out.extend(narrow(at).to_le_bytes());
        out.extend(&self.name);
        out.extend(extra);
        out.extend(&self.comment);
        out
    }
}

/// An archive. `None` in a field stands for the truth.
#[derive(Debug, Clone, Default)]
pub struct Zip {
    pub entries: Vec<Entry>,
    /// Before everything, and not counted in positions unless `shifted`.
    pub before: Vec<u8>,
    pub shifted: bool,
    pub before_directory: Vec<u8>,
    pub after_directory: Vec<u8>,
    pub comment: Vec<u8>,
    pub comment_len: Option<u16>,
    pub after: Vec<u8>,
    pub disk: u16,
    pub directory_disk: u16,
    pub entries_here: Option<u16>,
    pub count: Option<u16>,
    pub directory_len: Option<u32>,
    pub directory_at: Option<u32>,
    /// A zip64 end record and locator; the plain one refers to them.
    pub zip64: bool,
    pub zip64_count: Option<u64>,
    pub zip64_at: Option<u64>,
    pub zip64_more: Vec<u8>,
    pub zip64_disks: u32,
}

/// An archive of these entries.
pub fn zip(entries: impl IntoIterator<Item = Entry>) -> Zip {
    Zip { entries: entries.into_iter().collect(), zip64_disks: 1, ..Zip::default() }
}

impl Zip {
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.before.clone();
        let shift = if self.shifted { 0 } else { out.len() as u64 };
        let mut directory = Vec::new();
        let mut count = 0_u64;
        for entry in &self.entries {
            out.extend(&entry.gap);
            let at = out.len() as u64 - shift;
            let made = entry.made();
            if entry.in_file {
                out.extend(entry.local(&made));
            }
            if entry.in_directory {
                directory.extend(entry.central(&made, at));
                count += 1;
            }
        }
        out.extend(&self.before_directory);
        let directory_at = out.len() as u64 - shift;
        out.extend(&directory);
        out.extend(&self.after_directory);
        if self.zip64 {
            self.end64(&mut out, shift, count, directory.len() as u64, directory_at);
        }
        out.extend(b"PK\x05\x06");
        let short = if self.zip64 { u16::MAX } else { count as u16 };
        let long = |value: u64| if self.zip64 { WIDE } else { value as u32 };
        out.extend(self.disk.to_le_bytes());
        out.extend(self.directory_disk.to_le_bytes());
        out.extend(self.entries_here.or(self.count).unwrap_or(short).to_le_bytes());
        out.extend(self.count.unwrap_or(short).to_le_bytes());
        out.extend(self.directory_len.unwrap_or(long(directory.len() as u64)).to_le_bytes());
        out.extend(self.directory_at.unwrap_or(long(directory_at)).to_le_bytes());
        out.extend(self.comment_len.unwrap_or(self.comment.len() as u16).to_le_bytes());
        out.extend(&self.comment);
        out.extend(&self.after);
        out
    }

    fn end64(&self, out: &mut Vec<u8>, shift: u64, count: u64, directory_len: u64, directory_at: u64) {
        let at = self.zip64_at.unwrap_or(out.len() as u64 - shift);
        out.extend(b"PK\x06\x06");
        out.extend((44 + self.zip64_more.len() as u64).to_le_bytes());
        out.extend([45, 3, 45, 0]);
        out.extend([0; 8]);
        let count = self.zip64_count.unwrap_or(count);
        for value in [count, count, directory_len, directory_at] {
            out.extend(value.to_le_bytes());
        }
        out.extend(&self.zip64_more);
        out.extend(b"PK\x06\x07");
        out.extend(0_u32.to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend(self.zip64_disks.to_le_bytes());
    }
}

/// An extra field.
pub fn field(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat()
}

/// The Info-ZIP field with another form of the name.
pub fn unicode_path(header_name: &[u8], name: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(header_name);
    field(0x7075, &[&[1][..], &crc.sum().to_le_bytes(), name].concat())
}

pub fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}
