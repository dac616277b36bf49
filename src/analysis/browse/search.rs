//! Search for a pattern in all files.

use std::time::{Duration, Instant};

use regex::{Regex, RegexBuilder};

use super::{Answer, BrowseError, MAX_ANSWER_BYTES, MAX_ROWS, counted, glob, shown};
use crate::analysis::{FileEntry, Files, generated, text};

/// The longest pattern, in bytes.
const PATTERN_BYTES: usize = 1_000;
/// The largest compiled pattern, in bytes. Time for a byte of text is in proportion to it at worst.
const PROGRAM_BYTES: usize = 1 << 20;
/// Bytes of one file that are searched.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes that are searched in all.
const TOTAL_BYTES: u64 = 256 << 20;
/// Bytes of one line that are searched.
const LINE_BYTES: usize = 16 << 10;
/// How long a search may take.
const TIME: Duration = Duration::from_secs(10);
/// Characters that are shown of a line, and those of them that come before what was found.
const LINE_CHARS: usize = 240;
const CHARS_BEFORE: usize = 80;

/// What to search for.
#[derive(Debug, Clone, Default)]
pub struct Search<'a> {
    /// A regular expression of the `regex` crate, for single lines; a plain text when it is none.
    pub pattern: &'a str,
    /// Takes the pattern as plain text anyway.
    pub is_literal: bool,
    /// The files to be searched. Without it, folders that tools made are passed over.
    pub glob: Option<&'a str>,
    /// The most lines in the answer, up to [`MAX_ROWS`].
    pub limit: usize,
}

/// The lines that a pattern is found in, as `path:line: text`, by path and line.
pub fn search(files: &dyn Files, search: &Search) -> Result<String, BrowseError> {
    let mut notes = Vec::new();
    let regex = compile(search, &mut notes)?;
    let glob = search.glob.filter(|text| !text.trim().is_empty()).map(glob).transpose()?;
    let mut chosen: Vec<&FileEntry> = files
        .list()
        .iter()
        .filter(|entry| match &glob {
            // A model may leave out the folder that everything is in.
            Some(glob) => {
                let below = entry.path.split_once('/').map_or("", |(_, below)| below);
                glob.is_match(&entry.path) || glob.is_match(below)
            }
            None => !generated::leads_through(&entry.path),
        })
        .collect();
    if chosen.is_empty() && glob.is_some() {
        return Ok("no file fits the glob".to_owned());
    }
    chosen.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut run = Run {
        regex,
        started: Instant::now(),
        limit: search.limit.clamp(1, MAX_ROWS),
        answer: Answer::new(MAX_ANSWER_BYTES),
        hits: 0,
        long_lines: 0,
        stopped: None,
    };
    let (mut read, mut searched, mut partly, mut with_hits) = (0u64, 0u64, 0u64, 0u64);
    for entry in &chosen {
        if read >= TOTAL_BYTES {
            run.stopped = Some("enough was read: name a glob");
        }
        if run.stopped.is_some() {
            break;
        }
        let Ok(bytes) = files.read(&entry.path, FILE_BYTES) else { continue };
        read += bytes.len() as u64;
        let Some(content) = text::decode(&bytes) else { continue };
        searched += 1;
        partly += u64::from(entry.size > bytes.len() as u64);
        let before = run.hits;
        run.file(&entry.path, &content);
        with_hits += u64::from(run.hits > before);
    }
    if run.hits == 0 && run.stopped.is_none() {
        notes.push(format!("nothing found in {}", counted(searched, "file")));
    } else {
        notes.push(format!("{} in {}", counted(run.hits, "match"), counted(with_hits, "file")));
    }
    notes.extend(run.stopped.map(|why| format!("stopped because {why}")));
    if partly > 0 {
        notes.push(format!("only the first {FILE_BYTES} bytes of {} were searched", counted(partly, "file")));
    }
    if run.long_lines > 0 {
        let lines = counted(run.long_lines, "line");
        notes.push(format!("only the first {LINE_BYTES} bytes of {lines} were searched"));
    }
    Ok(run.answer.end(&format!("({})", notes.join("; "))))
}

fn compile(search: &Search, notes: &mut Vec<String>) -> Result<Regex, BrowseError> {
    let bad = |reason: String| BrowseError::BadPattern { reason };
    if search.pattern.is_empty() {
        return Err(bad("it is empty".to_owned()));
    }
    if search.pattern.len() > PATTERN_BYTES {
        return Err(bad(format!("it is longer than {PATTERN_BYTES} bytes")));
    }
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PROGRAM_BYTES).nest_limit(50).build();
    let literal = || build(&regex::escape(search.pattern)).map_err(|error| bad(error.to_string()));
    if search.is_literal {
        return literal();
    }
    match build(search.pattern) {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(bad("it is too large once compiled: use smaller numbers of repetitions".to_owned()))
        }
        Err(_) => {
            notes.push("the pattern is no regular expression and was taken as plain text".to_owned());
            literal()
        }
    }
}

struct Run {
    regex: Regex,
    started: Instant,
    limit: usize,
    answer: Answer,
    hits: u64,
    long_lines: u64,
    stopped: Option<&'static str>,
}

impl Run {
    fn file(&mut self, path: &str, content: &str) {
        for (number, line) in (1u64..).zip(content.lines()) {
            if self.started.elapsed() > TIME {
                self.stopped = Some("it took too long: name a glob or a simpler pattern");
                return;
            }
            let mut end = line.len().min(LINE_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            self.long_lines += u64::from(end < line.len());
            let Some(hit) = self.regex.find(&line[..end]) else { continue };
            if self.hits >= self.limit as u64
                || !self.answer.line(&format!("{}:{number}: {}", shown(path), around(line, hit.start())))
            {
                self.stopped =
                    Some("there are more matches than may be shown: name a glob or a narrower pattern");
                return;
            }
            self.hits += 1;
        }
    }
}

/// A line, or the part of it around a place.
fn around(line: &str, at: usize) -> String {
    let before = line[..at].char_indices().rev().nth(CHARS_BEFORE).map_or(0, |(start, _)| start);
    // A short line is shown from its begin.
    let start = if line.chars().nth(LINE_CHARS).is_none() { 0 } else { before };
    let (kept, is_cut) = text::cut(&line[start..], LINE_CHARS);
    let safe: String = kept.chars().map(|c| if text::is_unsafe(c) { ' ' } else { c }).collect();
    format!("{}{}{}", if start > 0 { "…" } else { "" }, safe.trim(), if is_cut { "…" } else { "" })
}
