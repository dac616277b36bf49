//! Paths and lines as models write them, and what they stand for.

use std::collections::HashMap;

use super::{FileEntry, Files, text, tree};

/// As much of a file is read to count its lines or to show some of them.
pub(super) const READ_BYTES: u64 = 16 << 20;

/// How many paths are proposed for one that does not exist.
const NEAREST: usize = 5;
/// Paths that are compared with a wrong one, and the length up to which they are.
const COMPARED: usize = 50_000;
const COMPARED_BYTES: usize = 200;

/// The files by path.
pub(super) struct Places<'f> {
    by_path: HashMap<&'f str, &'f FileEntry>,
    /// The folder that everything is in.
    pub root: Option<&'f str>,
}

impl<'f> Places<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Self {
        let list = files.list();
        Self {
            by_path: list.iter().map(|entry| (entry.path.as_str(), entry)).collect(),
            root: tree::common_root(list.iter().map(|entry| entry.path.as_str())),
        }
    }

    /// The file that a path stands for: itself, or one below the folder that everything is in.
    pub(super) fn file(&self, path: &str) -> Option<&'f FileEntry> {
        if let Some(entry) = self.by_path.get(path) {
            return Some(entry);
        }
        let path = normal(path);
        let below = self.root.map(|root| format!("{root}/{path}"));
        self.by_path.get(path.as_str()).or_else(|| self.by_path.get(below?.as_str())).copied()
    }

    /// Existing paths that are most like a wrong one: those with the same name first.
    pub(super) fn nearest(&self, path: &str) -> Vec<String> {
        let path = normal(path);
        if path.len() > COMPARED_BYTES {
            return Vec::new();
        }
        let name = text::file_name(&path).to_lowercase();
        let mut near: Vec<(usize, &str)> = self
            .by_path
            .keys()
            .take(COMPARED)
            .filter_map(|known| {
                let known_name = text::file_name(known).to_lowercase();
                let differs = usize::from(!known.to_lowercase().ends_with(&path.to_lowercase()));
                if known_name == name {
                    return Some((differs, *known));
                }
                let distance = distance(&known_name, &name)?;
                (distance <= name.chars().count() / 3 + 1).then_some((distance + 1, *known))
            })
            .collect();
        near.sort_unstable();
        near.into_iter().take(NEAREST).map(|(_, known)| text::path(known, COMPARED_BYTES)).collect()
    }
}

/// A path without the ways in which people begin and end it.
pub(super) fn normal(path: &str) -> String {
    let path = path.trim().trim_matches(['`', '"', '\'']).replace('\\', "/");
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// How many characters have to be changed, for names that are short enough to be compared.
fn distance(a: &str, b: &str) -> Option<usize> {
    const MOST: usize = 60;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > MOST || b.len() > MOST || a.len().abs_diff(b.len()) > b.len() / 3 + 1 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (before + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            before = above;
        }
    }
    row.last().copied()
}

/// How many lines a text has; the last one counts without a line feed too.
pub(super) fn line_count(content: &str) -> u64 {
    content.split_inclusive('\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::MemoryFiles;

    #[test]
    fn a_missing_root_is_found() {
        let files = MemoryFiles::new([("p-1/src/a.rs", ""), ("p-1/b.md", "")]);
        let places = Places::new(&files);
        for path in
            ["p-1/src/a.rs", "src/a.rs", "./src/a.rs", "/src/a.rs", "src\\a.rs", "`src/a.rs`", "src//a.rs"]
        {
            assert_eq!(places.file(path).map(|entry| entry.path.as_str()), Some("p-1/src/a.rs"), "{path}");
        }
        assert!(places.file("a.rs").is_none());
    }

    #[test]
    fn wrong_paths_have_neighbours() {
        let files = MemoryFiles::new([("src/engine/lane.rs", ""), ("src/model.rs", ""), ("docs/x.md", "")]);
        let places = Places::new(&files);
        assert_eq!(places.nearest("src/lane.rs"), ["src/engine/lane.rs"]);
        assert_eq!(places.nearest("src/modle.rs"), ["src/model.rs"]);
        assert_eq!(places.nearest("nothing-like-it.java"), [""; 0]);
    }

    #[test]
    fn lines_are_counted_as_editors_do() {
        assert_eq!(["", "a", "a\n", "a\n\n", "\n"].map(line_count), [0, 1, 1, 2, 1]);
    }
}
