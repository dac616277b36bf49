//! One look at every file.

use std::cmp::Reverse;

use super::{
    Analysis, EntryPoint, FileEntry, Files, Licence, LicenceSource, Limits, Secret, SizedFile, Truncated,
    entry_points, ignored,
    languages::{self, Sums},
    licences, manifests,
    marks::{self, Frameworks},
    secrets, text, tree,
};

/// Secrets and entry points that are kept until those to be shown are chosen, as a multiple of these.
const KEPT: usize = 10;

/// Says all that can be said about these files.
///
/// Takes as long as it takes to read and scan
/// [`Limits::total_bytes`]; files that cannot be read are counted in
/// [`Totals::unreadable_files`](super::Totals::unreadable_files).
pub fn analyse(files: &dyn Files, limits: &Limits) -> Analysis {
    let listed = files.list();
    let sorted = ignored::sort_out(listed, files, limits);
    let mut look = Look {
        files,
        limits,
        found: Analysis { truncated: sorted.truncated, ..Analysis::default() },
        sums: Sums::default(),
        frameworks: Frameworks::default(),
        dependencies: 0,
        dependencies_left_out: 0,
        entry_points_left_out: 0,
        secrets_left_out: 0,
        partly_read: 0,
        unread: 0,
    };
    // A secret in a file that should not have been sent is one all the same.
    let names = listed.iter().take(limits.files).filter_map(|entry| secrets::of_name(&entry.path));
    look.found.secrets.extend(names.take(limits.rows));
    for entry in &sorted.kept {
        look.file(entry);
    }
    let root = tree::common_root(sorted.kept.iter().map(|entry| entry.path.as_str()));
    let found = &mut look.found;
    found.tree = tree::tree(&sorted.kept, root, limits, &mut found.truncated);
    found.root = root.map(|root| text::path(root, limits.text_chars));
    found.ignored = sorted.ignored;
    found.totals.files = listed.len() as u64;
    found.totals.bytes = listed.iter().map(|entry| entry.size).fold(0, u64::saturating_add);
    found.totals.ignored_files = found.ignored.iter().map(|ignored| ignored.files).sum();
    found.totals.ignored_bytes =
        found.ignored.iter().map(|ignored| ignored.bytes).fold(0, u64::saturating_add);
    let mut largest = sorted.kept.clone();
    largest.sort_by_key(|entry| Reverse(entry.size));
    largest.truncate(limits.largest_files);
    found.largest_files =
        largest.iter().map(|entry| SizedFile { path: entry.path.clone(), bytes: entry.size }).collect();
    look.finish(sorted.kept.len())
}

struct Look<'f> {
    files: &'f dyn Files,
    limits: &'f Limits,
    found: Analysis,
    sums: Sums,
    frameworks: Frameworks,
    dependencies: usize,
    dependencies_left_out: usize,
    entry_points_left_out: usize,
    secrets_left_out: usize,
    /// Files of which only the begin was read.
    partly_read: u64,
    /// Files that were not read because enough was.
    unread: u64,
}

impl Look<'_> {
    fn file(&mut self, entry: &FileEntry) {
        let path = entry.path.as_str();
        self.found.lock_files.extend(manifests::lock_file(path));
        self.found.ci.extend(marks::ci(path));
        self.found.docs.extend(marks::doc(path));
        let left = self.limits.total_bytes.saturating_sub(self.found.totals.read_bytes);
        if left == 0 && entry.size > 0 {
            self.unread += 1;
            return;
        }
        let limit = self.limits.file_bytes.min(left);
        let Ok(mut bytes) = self.files.read(path, limit) else {
            self.found.totals.unreadable_files += 1;
            return;
        };
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        self.found.totals.read_bytes += bytes.len() as u64;
        let is_whole = bytes.len() as u64 >= entry.size;
        self.partly_read += u64::from(!is_whole);
        match text::decode(&bytes) {
            Some(content) => self.text(entry, &content, is_whole),
            None => self.found.totals.binary_files += 1,
        }
    }

    fn text(&mut self, entry: &FileEntry, content: &str, is_whole: bool) {
        let path = entry.path.as_str();
        self.found.totals.text_files += 1;
        let language = languages::detect(path, content);
        let lines = language.map(|syntax| languages::count(content, syntax));
        if let Some((syntax, lines)) = language.zip(lines) {
            self.sums.add(syntax, lines, entry.size);
        }
        if manifests::is_manifest(path) && is_whole {
            self.manifest(path, content);
        }
        self.entry_points(entry_points::find(path, content));
        let is_test = marks::is_test(path, content);
        if is_test {
            self.found.tests.files += 1;
            self.found.tests.lines += lines.map_or(0, |lines| lines.all());
            self.found.tests.paths.push(path.to_owned());
            self.frameworks.of_file(path, content);
        }
        if licences::is_licence_file(path) {
            self.found.licences.push(Licence {
                path: path.to_owned(),
                spdx: licences::of_text(content).map(str::to_owned),
                source: LicenceSource::File,
                declared: None,
            });
        }
        // Lock files are full of checksums, which look like secrets.
        if manifests::lock_file(path).is_none() {
            let (found, left_out) = secrets::find(path, content, is_test);
            self.secrets_left_out += left_out;
            self.secrets(found);
        }
    }

    fn manifest(&mut self, path: &str, content: &str) {
        let Some(mut read) = manifests::read(path, content, self.limits) else { return };
        let room = self.limits.total_dependencies - self.dependencies;
        let over = read.manifest.dependencies.len().saturating_sub(room);
        read.manifest.dependencies.truncate(room);
        self.dependencies += read.manifest.dependencies.len();
        self.dependencies_left_out += read.left_out + over;
        self.frameworks.of_manifest(&read.manifest);
        if let Some(declared) = &read.manifest.licence {
            self.found.licences.push(Licence {
                path: path.to_owned(),
                spdx: licences::of_name(declared),
                source: LicenceSource::Manifest,
                declared: Some(declared.clone()),
            });
        }
        let entry = |(kind, why)| EntryPoint { path: path.to_owned(), line: None, kind, why };
        self.entry_points(read.commands.into_iter().map(entry).collect());
        self.found.manifests.push(read.manifest);
    }

    fn entry_points(&mut self, found: Vec<EntryPoint>) {
        let room = self.limits.rows.saturating_mul(KEPT).saturating_sub(self.found.entry_points.len());
        self.entry_points_left_out += found.len().saturating_sub(room);
        self.found.entry_points.extend(found.into_iter().take(room));
    }

    fn secrets(&mut self, found: Vec<Secret>) {
        let kept = self.limits.rows.saturating_mul(KEPT);
        let secrets = &mut self.found.secrets;
        secrets.extend(found);
        if secrets.len() > kept.saturating_mul(2) {
            secrets.sort_by_key(|secret| secret.severity);
            self.secrets_left_out += secrets.len() - kept;
            secrets.truncate(kept);
        }
    }

    /// Sorts, cuts, and says what was cut. `kept` is the number of files that are not ignored.
    fn finish(mut self, kept: usize) -> Analysis {
        let (limits, found) = (self.limits, &mut self.found);
        found.languages = self.sums.rows();
        found.tests.frameworks = self.frameworks.rows();
        found.ignored.sort_by_key(|row| (Reverse(row.bytes), row.path.clone()));
        found.secrets.sort_by(|a, b| (a.severity, &a.path, a.line).cmp(&(b.severity, &b.path, b.line)));
        // Those nearer to the root matter more.
        let depth = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        found.manifests.sort_by_key(|row| depth(&row.path));
        found.licences.sort_by_key(|row| depth(&row.path));
        found.docs.sort_by_key(|row| depth(&row.path));
        found.entry_points.sort_by_key(|row| (row.kind, depth(&row.path)));
        let truncated = &mut found.truncated;
        let mut rows = |what: &str, kept: usize, total: usize| {
            if kept < total {
                let (kept, total) = (kept as u64, total as u64);
                truncated.push(Truncated { what: what.to_owned(), kept, total });
            }
        };
        macro_rules! cut {
            ($($what:literal $list:expr, $left_out:expr;)*) => {
                $(
                    let total = $list.len().saturating_add($left_out);
                    $list.truncate(limits.rows);
                    rows($what, $list.len(), total);
                    for row in &mut $list {
                        shorten(&mut row.path, limits);
                    }
                )*
            };
        }
        cut! {
            "ignored" found.ignored, 0;
            "manifests" found.manifests, 0;
            "lock_files" found.lock_files, 0;
            "entry_points" found.entry_points, self.entry_points_left_out;
            "ci" found.ci, 0;
            "docs" found.docs, 0;
            "licences" found.licences, 0;
            "secrets" found.secrets, self.secrets_left_out;
            "largest_files" found.largest_files, 0;
        }
        let tests = found.tests.paths.len();
        found.tests.paths.truncate(limits.rows);
        found.tests.paths.iter_mut().for_each(|path| shorten(path, limits));
        found.tests.frameworks.iter_mut().for_each(|row| shorten(&mut row.path, limits));
        rows("tests", found.tests.paths.len(), tests);
        rows("dependencies", self.dependencies, self.dependencies.saturating_add(self.dependencies_left_out));
        let unread = usize::try_from(self.unread).unwrap_or(usize::MAX);
        rows("files_read", kept.saturating_sub(unread), kept);
        let partly = usize::try_from(self.partly_read).unwrap_or(usize::MAX);
        rows(
            "files_read_whole",
            kept.saturating_sub(unread).saturating_sub(partly),
            kept.saturating_sub(unread),
        );
        self.found
    }
}

fn shorten(path: &mut String, limits: &Limits) {
    *path = text::path(path, limits.text_chars);
}
