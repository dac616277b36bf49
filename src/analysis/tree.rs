//! The folders with their sizes.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{FileEntry, Folder, Limits, Truncated, text};

#[derive(Default)]
struct Node<'a> {
    files: u64,
    bytes: u64,
    folders: BTreeMap<&'a str, Node<'a>>,
}

/// The first part of all paths, when it is the same and a folder.
pub(super) fn common_root<'a>(mut paths: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let root = paths.next()?.split_once('/')?.0;
    paths.all(|path| path.split_once('/').is_some_and(|(first, _)| first == root)).then_some(root)
}

/// The tree of these files below the common root.
pub(super) fn tree(
    files: &[&FileEntry],
    root: Option<&str>,
    limits: &Limits,
    truncated: &mut Vec<Truncated>,
) -> Folder {
    let mut top = Node::default();
    for file in files {
        let path = match root {
            Some(root) => file.path.get(root.len() + 1..).unwrap_or_default(),
            None => &file.path,
        };
        let mut node = &mut top;
        node.add(file.size);
        let folders = path.rsplit_once('/').map(|(folders, _)| folders);
        for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
            node = node.folders.entry(part).or_default();
            node.add(file.size);
        }
    }
    let mut budget = limits.tree_folders;
    let tree = top.shown(root.unwrap_or_default(), limits.tree_depth, limits, &mut budget);
    let (kept, total) = (tree.count(), top.count());
    if kept < total {
        truncated.push(Truncated { what: "tree".to_owned(), kept, total });
    }
    tree
}

impl Node<'_> {
    fn add(&mut self, size: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    fn count(&self) -> u64 {
        self.folders.values().map(|folder| 1 + folder.count()).sum()
    }

    fn shown(&self, name: &str, depth: usize, limits: &Limits, budget: &mut usize) -> Folder {
        let mut inner: Vec<_> = self.folders.iter().collect();
        let room = if depth == 0 { 0 } else { limits.tree_width.min(*budget) };
        if inner.len() > room {
            inner.sort_by_key(|(name, node)| (Reverse(node.bytes), **name));
            inner.truncate(room);
        }
        *budget -= inner.len();
        let folders: Vec<Folder> =
            inner.iter().map(|(name, node)| node.shown(name, depth - 1, limits, budget)).collect();
        Folder {
            name: text::shown(name, limits.text_chars),
            files: self.files,
            bytes: self.bytes,
            more_folders: (self.folders.len() - folders.len()) as u64,
            folders,
        }
    }
}

impl Folder {
    fn count(&self) -> u64 {
        self.folders.iter().map(|folder| 1 + folder.count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(paths: &[String]) -> Vec<FileEntry> {
        paths.iter().map(|path| FileEntry { path: path.clone(), size: 1 }).collect()
    }

    #[test]
    fn a_common_folder_is_one_that_holds_everything() {
        assert_eq!(common_root(["p/a", "p/b/c"].into_iter()), Some("p"));
        assert_eq!(common_root(["p/a", "q/a"].into_iter()), None);
        assert_eq!(common_root(["p/a", "b"].into_iter()), None);
        assert_eq!(common_root(["a"].into_iter()), None);
        assert_eq!(common_root([].into_iter()), None);
    }

    #[test]
    fn sums_are_those_of_all_below() {
        let entries = entries(&["p/a".into(), "p/b/c".into(), "p/b/d/e".into()]);
        let files: Vec<&FileEntry> = entries.iter().collect();
        let tree = tree(&files, Some("p"), &Limits::default(), &mut Vec::new());
        assert_eq!((tree.name.as_str(), tree.files, tree.folders.len()), ("p", 3, 1));
        assert_eq!((tree.folders[0].name.as_str(), tree.folders[0].files), ("b", 2));
    }

    #[test]
    fn depth_and_width_are_bounded() {
        let wide = (0..3_000).map(|n| format!("{}/{n}/x", n % 60));
        let paths: Vec<String> = wide.chain([format!("{}x", "d/".repeat(100))]).collect();
        let entries = entries(&paths);
        let files: Vec<&FileEntry> = entries.iter().collect();
        let limits = Limits::default();
        let mut truncated = Vec::new();
        let tree = tree(&files, None, &limits, &mut truncated);
        assert_eq!((tree.folders.len(), tree.more_folders), (limits.tree_width, 21));
        assert!(tree.count() <= limits.tree_folders as u64);
        assert_eq!(truncated[0].what, "tree");
    }
}
