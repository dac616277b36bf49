//! A folder for uploads that is gone with its test.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use productforge::blobs::{BlobError, Blobs, Check, Content, Entry, Folder, LocalFile, Stat};
use tempfile::TempDir;

/// A folder engine in a folder of its own.
pub struct TempBlobs {
    folder: Folder,
    root: TempDir,
}

impl TempBlobs {
    pub fn new() -> Arc<Self> {
        let root = tempfile::tempdir().unwrap();
        Arc::new(Self { folder: Folder::open_blocking(root.path()).unwrap(), root })
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Every file below the folder, finished or not.
    pub fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => walk(&entry.path(), found),
                    false => found.push(entry.file_name().to_string_lossy().into_owned()),
                }
            }
        }
        let mut found = Vec::new();
        walk(self.root.path(), &mut found);
        found
    }
}

#[async_trait]
impl Blobs for TempBlobs {
    fn staging(&self) -> &Path {
        self.folder.staging()
    }

    fn are_files_of_this_node(&self) -> bool {
        self.folder.are_files_of_this_node()
    }

    async fn put(&self, name: &str, file: &Path) -> Result<(), BlobError> {
        self.folder.put(name, file).await
    }

    async fn fetch(&self, name: &str) -> Result<LocalFile, BlobError> {
        self.folder.fetch(name).await
    }

    async fn read(&self, name: &str) -> Result<Content, BlobError> {
        self.folder.read(name).await
    }

    async fn delete(&self, name: &str) -> Result<(), BlobError> {
        self.folder.delete(name).await
    }

    async fn stat(&self, name: &str) -> Result<Option<Stat>, BlobError> {
        self.folder.stat(name).await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, BlobError> {
        self.folder.list(after, limit).await
    }

    async fn check(&self) -> Check {
        self.folder.check().await
    }
}
