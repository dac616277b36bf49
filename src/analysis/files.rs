//! Where the files to be looked at come from.

use std::{collections::BTreeMap, io};

/// A file of an archive or of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// From the root, with `/` between the parts and none in front: `src/main.rs`.
    pub path: String,
    /// In bytes.
    pub size: u64,
}

/// Files that can be listed and read. Names and bytes are taken to be hostile.
pub trait Files {
    /// All files, without the folders. The order does not matter.
    fn list(&self) -> &[FileEntry];

    /// The first `limit` bytes of a file, or all of it when it is shorter.
    ///
    /// Fails with [`io::ErrorKind::NotFound`] for a path that is not listed.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;
}

/// Files that are in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    entries: Vec<FileEntry>,
    contents: BTreeMap<String, Vec<u8>>,
}

impl MemoryFiles {
    /// These files; of two with the same path the later one stays.
    pub fn new<P: Into<String>, C: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, C)>) -> Self {
        let contents: BTreeMap<String, Vec<u8>> =
            files.into_iter().map(|(path, content)| (path.into(), content.into())).collect();
        let entries = contents
            .iter()
            .map(|(path, content)| FileEntry { path: path.clone(), size: content.len() as u64 })
            .collect();
        Self { entries, contents }
    }
}

impl Files for MemoryFiles {
    fn list(&self) -> &[FileEntry] {
        &self.entries
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let content = self.contents.get(path).ok_or(io::ErrorKind::NotFound)?;
        let end = usize::try_from(limit).unwrap_or(usize::MAX).min(content.len());
        Ok(content[..end].to_vec())
    }
}
