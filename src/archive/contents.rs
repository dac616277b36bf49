//! What an inspected archive holds.

use serde::{Deserialize, Serialize};

use super::directory::{Entry, Method};

/// What an inspected archive holds. It can be stored beside the file and used later to read from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Bytes of the archive file.
    pub file_bytes: u64,
    /// Bytes of all files, expanded, without those of archives inside.
    pub total_bytes: u64,
    /// Bytes that were expanded to prove it, with those of archives inside.
    pub inspected_bytes: u64,
    /// Files, sorted by path.
    members: Vec<Member>,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Relative, with `/`, without `..`, unique whatever the case.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Bytes it takes in the archive.
    pub compressed_size: u64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// It is itself a zip archive: an office document, a wheel, a jar.
    pub archive: bool,
    pub(super) flags: u16,
    pub(super) deflated: bool,
    pub(super) at: u64,
}

impl Contents {
    pub(super) fn new(file_bytes: u64, inspected_bytes: u64, mut members: Vec<Member>) -> Self {
        members.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let total_bytes = members.iter().fold(0, |sum: u64, member| sum.saturating_add(member.size));
        Self { file_bytes, total_bytes, inspected_bytes, members }
    }

    /// Files, sorted by path.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The file with this path.
    #[must_use]
    pub fn member(&self, path: &str) -> Option<&Member> {
        let found = self.members.binary_search_by(|member| member.path.as_str().cmp(path));
        found.ok().and_then(|index| self.members.get(index))
    }

    /// The one folder in which all files lie, without `/`, as in the archives of code hosts.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        let (root, _) = self.members.first()?.path.split_once('/')?;
        let inside = |member: &Member| member.path.split_once('/').is_some_and(|(first, _)| first == root);
        self.members.iter().all(inside).then_some(root)
    }
}

impl Member {
    pub(super) fn new(entry: Entry, archive: bool) -> Self {
        Self {
            path: entry.path.into_string(),
            size: entry.size,
            compressed_size: entry.compressed,
            crc32: entry.crc32,
            archive,
            flags: entry.flags,
            deflated: entry.method == Method::Deflated,
            at: entry.at,
        }
    }

    pub(super) fn entry(&self) -> Entry {
        Entry {
            path: self.path.as_str().into(),
            flags: self.flags,
            method: if self.deflated { Method::Deflated } else { Method::Stored },
            crc32: self.crc32,
            compressed: self.compressed_size,
            size: self.size,
            at: self.at,
        }
    }
}
