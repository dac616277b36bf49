//! What an archive may cost, and the count of what it has cost so far.

use std::time::{Duration, Instant};

use super::refusal::{Refusal, shown};

/// Archives in archives are never followed deeper than this, whatever the limits say.
const MAX_NESTING: u32 = 8;

/// What an archive may cost. Sizes are bytes. The archives inside an archive share its limits: entries,
/// names, expanded bytes and time are counted over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The file itself.
    pub file_bytes: u64,
    /// Entries, files and directories together.
    pub entries: u64,
    /// All names together, once as written and once as they are compared.
    pub names_bytes: u64,
    /// All files together, expanded.
    pub total_bytes: u64,
    /// One file, expanded.
    pub entry_bytes: u64,
    /// How many times larger a file, or all files together, may be than their compressed form.
    pub ratio: u64,
    /// Up to this expanded size the ratio is not judged: a small file of zeros is no bomb.
    pub ratio_floor_bytes: u64,
    /// One path.
    pub path_bytes: usize,
    /// Components of one path.
    pub depth: usize,
    /// Levels of archives inside the archive: at 0 it may hold none. At most 8.
    pub nesting: u32,
    /// The whole inspection. Honest archives of these sizes take a few seconds; data made to be slow takes
    /// up to 0.2 µs for each byte and expands to nothing.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 256 << 20,
            entries: 20_000,
            names_bytes: 6 << 20,
            total_bytes: 512 << 20,
            entry_bytes: 256 << 20,
            ratio: 100,
            ratio_floor_bytes: 8 << 20,
            path_bytes: 1024,
            depth: 64,
            nesting: 2,
            time: Duration::from_secs(30),
        }
    }
}

/// What one upload has cost so far, over all levels of archives inside it.
pub(super) struct Tally<'a> {
    pub(super) limits: &'a Limits,
    file_bytes: u64,
    entries: u64,
    names: u64,
    expanded: u64,
    /// None if it is too far away to be told.
    deadline: Option<Instant>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(limits: &'a Limits, file_bytes: u64) -> Result<Self, Refusal> {
        if file_bytes > limits.file_bytes {
            let what = format!("the file has {file_bytes} bytes");
            return Err(Refusal::BombSize { what, limit: limits.file_bytes });
        }
        let deadline = Instant::now().checked_add(limits.time);
        Ok(Self { limits, file_bytes, entries: 0, names: 0, expanded: 0, deadline })
    }

    pub(super) fn nesting(&self) -> u32 {
        self.limits.nesting.min(MAX_NESTING)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn expanded(&self) -> u64 {
        self.expanded
    }

    /// Counts the entries that an end record promises.
    pub(super) fn entries(&mut self, entries: u64) -> Result<(), Refusal> {
        self.entries = self.entries.saturating_add(entries);
        if self.entries > self.limits.entries {
            return Err(Refusal::BombEntries {
                what: format!("{} entries", self.entries),
                limit: format!("{} entries", self.limits.entries),
            });
        }
        Ok(())
    }

    /// Counts the memory of a name.
    pub(super) fn name(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.names = self.names.saturating_add(bytes as u64);
        if self.names > self.limits.names_bytes {
            return Err(Refusal::BombEntries {
                what: "long names".to_owned(),
                limit: format!("{} bytes of names", self.limits.names_bytes),
            });
        }
        Ok(())
    }

    /// Judges the size that an entry declares. The expansion holds it to that size.
    pub(super) fn declared(&self, path: &str, size: u64, compressed: u64) -> Result<(), Refusal> {
        if size > self.limits.entry_bytes {
            let what = format!("{} expands to {size} bytes", shown(path.as_bytes()));
            return Err(Refusal::BombSize { what, limit: self.limits.entry_bytes });
        }
        if self.too_dense(size, compressed) {
            return Err(Refusal::BombRatio { what: shown(path.as_bytes()), limit: self.limits.ratio });
        }
        Ok(())
    }

    /// Judges what an archive declares in all, on top of what has been expanded.
    pub(super) fn declared_in_all(&self, size: u64) -> Result<(), Refusal> {
        self.in_all(self.expanded.saturating_add(size))
    }

    /// Counts bytes that were expanded.
    pub(super) fn expand(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.expanded = self.expanded.saturating_add(bytes as u64);
        self.in_all(self.expanded)
    }

    fn in_all(&self, expanded: u64) -> Result<(), Refusal> {
        if expanded > self.limits.total_bytes {
            let what = format!("all files together expand to {expanded} bytes or more");
            return Err(Refusal::BombSize { what, limit: self.limits.total_bytes });
        }
        if self.too_dense(expanded, self.file_bytes) {
            return Err(Refusal::BombRatio { what: "the archive".to_owned(), limit: self.limits.ratio });
        }
        Ok(())
    }

    fn too_dense(&self, size: u64, compressed: u64) -> bool {
        size > self.limits.ratio_floor_bytes && size > compressed.saturating_mul(self.limits.ratio)
    }
}
