//! How much is looked at and said.

/// What an analysis may take and how long its lists may be.
///
/// Time follows from the bytes: every byte that is read is looked at a constant number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files that are looked at; more are not even listed.
    pub files: usize,
    /// Folders below one another; files further down are counted and not read.
    pub depth: usize,
    /// Bytes of one file that are read.
    pub file_bytes: u64,
    /// Bytes that are read in all.
    pub total_bytes: u64,
    /// Bytes of a manifest or an ignore file; larger ones are named and not parsed.
    pub manifest_bytes: u64,
    /// Patterns of all ignore files together.
    pub ignore_patterns: usize,
    /// Levels of folders that the tree shows.
    pub tree_depth: usize,
    /// Folders that the tree shows in one folder.
    pub tree_width: usize,
    /// Folders that the tree shows in all.
    pub tree_folders: usize,
    /// Rows of every list.
    pub rows: usize,
    /// Dependencies of one manifest.
    pub dependencies: usize,
    /// Dependencies of all manifests together.
    pub total_dependencies: usize,
    /// Rows of [`Analysis::largest_files`](super::Analysis::largest_files).
    pub largest_files: usize,
    /// Characters of a text that was taken from a file.
    pub text_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 50_000,
            depth: 128,
            file_bytes: 4 << 20,
            total_bytes: 256 << 20,
            manifest_bytes: 1 << 20,
            ignore_patterns: 2_000,
            tree_depth: 6,
            tree_width: 40,
            tree_folders: 500,
            rows: 200,
            dependencies: 300,
            total_dependencies: 3_000,
            largest_files: 20,
            text_chars: 300,
        }
    }
}
