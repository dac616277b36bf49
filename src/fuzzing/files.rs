//! Uploaded archives, and what is in them.

use std::{
    cell::RefCell,
    io::{Cursor, Read, Seek, SeekFrom, Write},
    time::Duration,
};

use tempfile::NamedTempFile;

use crate::{
    analysis::{self, Files, MemoryFiles, browse, citation, findings, report},
    archive::{Archive, Contents, Limits, ReadError, inspect},
};

const LIMITS: Limits = Limits {
    file_bytes: 1 << 20,
    entries: 200,
    names_bytes: 64 << 10,
    total_bytes: 1 << 20,
    entry_bytes: 512 << 10,
    ratio: 100,
    ratio_floor_bytes: 64 << 10,
    path_bytes: 256,
    depth: 16,
    nesting: 2,
    time: Duration::from_secs(10),
};

thread_local! {
    /// One file for all inputs.
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// What is accepted keeps to the limits, has paths that lead nowhere else, is read whole as it was declared, and is
/// what another reader of zip files sees.
pub fn archive(data: &[u8]) {
    FILE.with_borrow_mut(|file| {
        let file = file.get_or_insert_with(|| NamedTempFile::new().expect("a temporary file"));
        let handle = file.as_file_mut();
        handle.set_len(0).and_then(|()| handle.seek(SeekFrom::Start(0))).expect("an empty file");
        handle.write_all(data).expect("the bytes are written");
        match inspect(file.path(), &LIMITS) {
            Ok(contents) => accepted(file, contents, data),
            Err(refusal) => {
                let why = refusal.to_string();
                assert!(!why.is_empty() && !why.contains('\0') && why.len() <= 2_000, "{why:?}");
            }
        }
    });
}

fn accepted(file: &NamedTempFile, contents: Contents, data: &[u8]) {
    assert!(contents.members().len() as u64 <= LIMITS.entries);
    assert!(contents.total_bytes <= LIMITS.total_bytes && contents.inspected_bytes <= LIMITS.total_bytes);
    let stored = serde_json::to_string(&contents).expect("contents are plain fields");
    assert_eq!(
        serde_json::from_str::<Contents>(&stored).ok().as_ref(),
        Some(&contents),
        "stored and read again"
    );
    let archive = Archive::open(file.path(), contents).expect("what is accepted opens");
    let mut ours = Vec::new();
    for member in archive.members() {
        let path = &member.path;
        assert!(path.len() <= LIMITS.path_bytes && path.split('/').count() <= LIMITS.depth);
        assert!(
            !path.contains(['\\', '\0']) && path.split('/').all(|part| !matches!(part, "" | "." | "..")),
            "{path:?}"
        );
        let content = archive.read(path, LIMITS.entry_bytes).expect("what is accepted is read");
        assert_eq!(content.len() as u64, member.size);
        let start = archive.read_start(path, 3).expect("its beginning too");
        assert!(start.len() == content.len().min(3) && content.starts_with(&start));
        if let Some(less) = member.size.checked_sub(1) {
            assert!(matches!(archive.read(path, less), Err(ReadError::TooLarge { .. })));
        }
        ours.push((path.clone(), content));
    }
    assert_eq!(ours, theirs(data), "another reader sees something else");
}

fn theirs(data: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(data)).expect("the other reader opens it");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        if entry.is_file() {
            let name = entry.name().expect("its name").into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            files.push((name, content));
        }
    }
    files.sort_unstable();
    files
}

/// Every file is accounted for, every citation that holds names a line that can be read, answers have their bounds.
///
/// The bytes are files, each `path`, 0, content, 0.
pub fn analysis(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let mut all = Vec::new();
    while let (Some(path), Some(content)) = (parts.next(), parts.next()) {
        all.push((String::from_utf8_lossy(path).into_owned(), content.to_vec()));
    }
    let words = String::from_utf8_lossy(data);
    let files = MemoryFiles::new(all);
    let analysed = analysis::analyse(&files, &analysis::Limits::default());
    let totals = &analysed.totals;
    assert_eq!(totals.files, files.list().len() as u64);
    assert_eq!(totals.files, totals.ignored_files + totals.text_files + totals.binary_files);
    assert_eq!(analysed.tree.files, totals.files - totals.ignored_files);
    for row in &analysed.languages {
        assert_eq!(row.lines, row.code + row.comments + row.blanks, "{}", row.name);
    }
    let stored = serde_json::to_value(&analysed).expect("an analysis is plain fields");
    let again: analysis::Analysis = serde_json::from_value(stored.clone()).expect("and is read again");
    assert_eq!(serde_json::to_value(&again).ok(), Some(stored));
    let report = report::markdown(&analysed);
    assert!(!report.contains("</"), "HTML in a report");

    let mut end = 0;
    for mention in citation::find(&words) {
        assert!(mention.start >= end && mention.end <= words.len());
        assert!(words[mention.start..mention.end].contains(&mention.path));
        end = mention.end;
    }
    let _ = findings::parse(&words, &files);
    for file in files.list().iter().take(3) {
        let answers = [
            browse::list(&files, &file.path, None, 100),
            browse::read_range(&files, &file.path, Some(1), None, 1_000),
            browse::search(
                &files,
                &browse::Search { pattern: &file.path, is_literal: false, glob: None, limit: 10 },
            ),
        ];
        for answer in answers {
            let text = answer.unwrap_or_else(|error| error.to_string());
            assert!(text.len() <= browse::MAX_ANSWER_BYTES + 500);
        }
    }
}
