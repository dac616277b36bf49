//! Which files are left out: those that `.gitignore` files name, and those that tools made.

use std::{collections::BTreeMap, path::Path};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{
    FileEntry, Files, Ignored, Limits, Truncated,
    generated::{self, LITTER},
};

/// A pattern that is longer is taken for a mistake or an attack.
const PATTERN_BYTES: usize = 1_000;

/// The files, sorted out.
#[derive(Debug, Default)]
pub(super) struct Sorted<'a> {
    /// By path.
    pub kept: Vec<&'a FileEntry>,
    pub ignored: Vec<Ignored>,
    pub truncated: Vec<Truncated>,
}

#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a str, Folder<'a>>,
    /// Names and entries.
    files: Vec<(&'a str, &'a FileEntry)>,
}

impl<'a> Folder<'a> {
    fn insert(&mut self, entry: &'a FileEntry) {
        let mut folder = self;
        let mut parts = entry.path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                folder.files.push((part, entry));
            } else {
                folder = folder.folders.entry(part).or_default();
            }
        }
    }

    fn names(&self) -> Vec<&'a str> {
        self.files.iter().map(|(name, _)| *name).collect()
    }

    fn sum(&self) -> (u64, u64) {
        let here =
            (self.files.len() as u64, self.files.iter().map(|(_, e)| e.size).fold(0, u64::saturating_add));
        self.folders
            .values()
            .map(Self::sum)
            .fold(here, |(files, bytes), (f, b)| (files + f, bytes.saturating_add(b)))
    }
}

/// Tells files that are kept from those that are ignored.
pub(super) fn sort_out<'a>(entries: &'a [FileEntry], files: &dyn Files, limits: &Limits) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    let seen = entries.len().min(limits.files);
    let mut root = Folder::default();
    let mut too_deep = 0;
    for entry in &entries[..seen] {
        if entry.path.bytes().filter(|b| *b == b'/').count() > limits.depth {
            too_deep += 1;
        } else {
            root.insert(entry);
        }
    }
    let mut cut = |what: &str, kept: usize, total: usize| {
        if kept < total {
            sorted.truncated.push(Truncated {
                what: what.to_owned(),
                kept: kept as u64,
                total: total as u64,
            });
        }
    };
    cut("files", seen, entries.len());
    cut("files_within_depth", seen - too_deep, seen);
    let mut walk =
        Walk { files, limits, patterns: 0, patterns_left_out: 0, rules: Vec::new(), sorted: &mut sorted };
    walk.folder(&root, "");
    let (patterns, left_out) = (walk.patterns, walk.patterns_left_out);
    if left_out > 0 {
        sorted.truncated.push(Truncated {
            what: "ignore_patterns".to_owned(),
            kept: patterns as u64,
            total: (patterns + left_out) as u64,
        });
    }
    sorted.kept.sort_by(|a, b| a.path.cmp(&b.path));
    sorted
}

struct Walk<'w, 'a> {
    files: &'w dyn Files,
    limits: &'w Limits,
    patterns: usize,
    patterns_left_out: usize,
    /// Those of the folders that lead here, the outermost first, with the path of their file.
    rules: Vec<(String, Gitignore)>,
    sorted: &'w mut Sorted<'a>,
}

impl<'a> Walk<'_, 'a> {
    /// `prefix` is empty or ends in `/`.
    fn folder(&mut self, folder: &Folder<'a>, prefix: &str) {
        let outer = self.rules.len();
        if let Some((_, entry)) = folder.files.iter().find(|(name, _)| *name == ".gitignore") {
            let rules = self.read(entry, prefix);
            self.rules.extend(rules.map(|rules| (entry.path.clone(), rules)));
        }
        for (name, entry) in &folder.files {
            let reason = if LITTER.contains(name) {
                Some("left behind by a system".to_owned())
            } else {
                self.named(&entry.path, false)
            };
            match reason {
                Some(reason) => {
                    let row = Ignored { path: entry.path.clone(), reason, files: 1, bytes: entry.size };
                    self.sorted.ignored.push(row);
                }
                None => self.sorted.kept.push(entry),
            }
        }
        let beside = folder.names();
        for (name, inner) in &folder.folders {
            let path = format!("{prefix}{name}");
            let reason = if generated::is_generated(name, &beside, &inner.names()) {
                Some("made by a tool".to_owned())
            } else {
                self.named(&path, true)
            };
            match reason {
                Some(reason) => {
                    let (files, bytes) = inner.sum();
                    self.sorted.ignored.push(Ignored { path: format!("{path}/"), reason, files, bytes });
                }
                None => self.folder(inner, &format!("{path}/")),
            }
        }
        self.rules.truncate(outer);
    }

    /// Which ignore file names this path. The innermost file that says anything decides.
    fn named(&self, path: &str, is_folder: bool) -> Option<String> {
        let decided = self.rules.iter().rev().find_map(|(file, rules)| {
            let answer = rules.matched(path, is_folder);
            (!answer.is_none()).then(|| answer.is_ignore().then(|| format!("named in {file}")))
        });
        decided.flatten()
    }

    fn read(&mut self, entry: &FileEntry, prefix: &str) -> Option<Gitignore> {
        let bytes = self.files.read(&entry.path, self.limits.manifest_bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut builder = GitignoreBuilder::new(Path::new(prefix.trim_end_matches('/')));
        for line in text.trim_start_matches('\u{feff}').lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() > PATTERN_BYTES || self.patterns >= self.limits.ignore_patterns {
                self.patterns_left_out += 1;
                continue;
            }
            self.patterns += 1;
            // A pattern that cannot be understood ignores nothing, as it does with git.
            let _ = builder.add_line(None, line);
        }
        builder.build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::MemoryFiles;

    fn kept(files: &[(&str, &str)]) -> Vec<String> {
        let files = MemoryFiles::new(files.iter().copied());
        let limits = Limits::default();
        sort_out(files.list(), &files, &limits).kept.iter().map(|entry| entry.path.clone()).collect()
    }

    #[test]
    fn ignore_files_count_at_every_level() {
        let kept = kept(&[
            (".gitignore", "*.log\n/out/\n!keep.log\n# c\n\nsub/x\n"),
            ("a.log", ""),
            ("keep.log", ""),
            ("out/a", ""),
            ("sub/out/a", ""),
            ("sub/x", ""),
            ("sub/.gitignore", "!a.log\nb\n"),
            ("sub/a.log", ""),
            ("sub/b", ""),
            ("b", ""),
        ]);
        assert_eq!(kept, [".gitignore", "b", "keep.log", "sub/.gitignore", "sub/a.log", "sub/out/a"]);
    }

    #[test]
    fn ignore_files_work_below_a_common_folder() {
        let kept = kept(&[("p/.gitignore", "/a\nb/\n"), ("p/a", ""), ("p/c/a", ""), ("p/c/b/x", "")]);
        assert_eq!(kept, ["p/.gitignore", "p/c/a"]);
    }

    #[test]
    fn folders_of_tools_need_their_marks() {
        let kept = kept(&[
            ("Cargo.toml", ""),
            ("target/a", ""),
            ("src/target/a", ""),
            ("web/node_modules/a/b", ""),
            ("x/__pycache__/a", ""),
            ("env/pyvenv.cfg", ""),
            ("env/a", ""),
            (".DS_Store", ""),
        ]);
        assert_eq!(kept, ["Cargo.toml", "src/target/a"]);
    }

    #[test]
    fn hostile_ignore_files_are_bounded() {
        let patterns = "{a,b,c}{d,e,f}[a-z]**/*?\n".repeat(50_000);
        let long = format!("{}\n[\n{{\n!\n\\\n", "x".repeat(100_000));
        let files =
            MemoryFiles::new([(".gitignore", patterns), ("a/.gitignore", long), ("a/b", String::new())]);
        let limits = Limits::default();
        let sorted = sort_out(files.list(), &files, &limits);
        assert_eq!(sorted.kept.len(), 3);
        assert!(sorted.truncated.iter().any(|row| row.what == "ignore_patterns"));
    }
}
