//! What is in a folder.

use std::collections::BTreeMap;

use super::{Answer, BrowseError, MAX_ANSWER_BYTES, MAX_ROWS, counted, glob, shown};
use crate::analysis::{FileEntry, Files, places::Places, places::normal};

/// Lists a folder: its folders with their numbers of files, then its files with their sizes.
///
/// With a glob, all files below the folder that it fits; a glob without a slash is for names, others are relative
/// to the folder. The empty path is the folder that everything is in. `limit` is the most rows, up to [`MAX_ROWS`].
pub fn list(
    files: &dyn Files,
    folder: &str,
    pattern: Option<&str>,
    limit: usize,
) -> Result<String, BrowseError> {
    let limit = limit.clamp(1, MAX_ROWS);
    let places = Places::new(files);
    let asked = normal(folder);
    let all = files.list();
    let exists = |prefix: &str| all.iter().any(|entry| entry.path.starts_with(prefix));
    let mut prefix = if asked.is_empty() { String::new() } else { format!("{asked}/") };
    if !exists(&prefix) && !all.is_empty() {
        if let Some(file) = places.file(folder) {
            return Err(BrowseError::NoFolder {
                path: format!("{} (it is a file: read it)", shown(&file.path)),
            });
        }
        prefix = places.root.map(|root| format!("{root}/{prefix}")).unwrap_or(prefix);
        if !exists(&prefix) {
            return Err(BrowseError::NoFolder { path: shown(&asked) });
        }
    }
    let mut inside: Vec<(&str, &FileEntry)> =
        all.iter().filter_map(|entry| Some((entry.path.strip_prefix(prefix.as_str())?, entry))).collect();
    inside.sort_unstable_by_key(|(rest, _)| *rest);
    let rows = match pattern.filter(|pattern| !pattern.trim().is_empty()) {
        Some(pattern) => {
            let glob = glob(pattern)?;
            let fitting = inside.iter().filter(|(rest, _)| glob.is_match(rest));
            fitting.map(|(_, entry)| file_row(entry)).collect()
        }
        None => children(&prefix, &inside),
    };
    let mut answer = Answer::new(MAX_ANSWER_BYTES);
    let shown_rows = rows.iter().take(limit).take_while(|row| answer.line(row)).count();
    let note = match (shown_rows, rows.len() - shown_rows) {
        (0, 0) if pattern.is_some() => "no file fits".to_owned(),
        (0, 0) => "the folder is empty".to_owned(),
        (_, 0) => String::new(),
        (_, more) => format!("({more} more of {}: name a folder or a narrower glob)", rows.len()),
    };
    Ok(answer.end(&note))
}

fn file_row(entry: &FileEntry) -> String {
    format!("{}  {}", shown(&entry.path), counted(entry.size, "byte"))
}

fn children(prefix: &str, inside: &[(&str, &FileEntry)]) -> Vec<String> {
    let mut folders: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut rows = Vec::new();
    for (rest, entry) in inside {
        match rest.split_once('/') {
            Some((folder, _)) => {
                let (files, bytes) = folders.entry(folder).or_default();
                *files += 1;
                *bytes = bytes.saturating_add(entry.size);
            }
            None => rows.push(file_row(entry)),
        }
    }
    let folder = |(name, (files, bytes)): (&str, (u64, u64))| {
        format!(
            "{}/  {}, {}",
            shown(&format!("{prefix}{name}")),
            counted(files, "file"),
            counted(bytes, "byte")
        )
    };
    folders.into_iter().map(folder).chain(rows).collect()
}
