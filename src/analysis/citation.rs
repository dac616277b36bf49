//! Mentions of places in files, such as `src/a.rs:12`: found in texts, and checked.

use std::{collections::HashMap, sync::LazyLock};

use regex::{Captures, Regex};

use super::{
    Files,
    places::{Places, READ_BYTES, line_count},
    text,
};

/// Mentions that are looked for in one text.
pub const MAX_MENTIONS: usize = 500;
/// Bytes of a text in which mentions are looked for.
const TEXT_BYTES: usize = 1 << 20;
/// The longest mention, in bytes.
const MENTION_BYTES: usize = 1_200;
/// The longest path that is repeated, in characters.
const PATH_CHARS: usize = 1_000;

/// Endings of host names: `example.com:443` is no file.
const HOSTS: &[&str] = &["com", "org", "net", "io", "dev", "local", "localhost", "internal"];

/// A place that a text speaks of, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Where it begins and ends in the text, in bytes.
    pub start: usize,
    pub end: usize,
    pub path: String,
    pub line: u64,
    /// The last line of a range.
    pub last_line: Option<u64>,
}

/// A place, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// As it is listed when the file exists, and as it was written otherwise.
    pub path: String,
    /// Counts from 1.
    pub line: u64,
    /// The last line of a range.
    pub last_line: Option<u64>,
    /// Whether the file has all these lines.
    pub exists: bool,
    /// Why it does not exist.
    pub reason: Option<String>,
}

/// The end of a mention: `:12`, `:12-20`, `:12:5`, `#L12`, `#L12-L20`.
const LINES: &str = r"(?::L?|#L)(?P<line>[0-9]{1,9})(?:(?P<to>-L?|–L?|:)(?P<last>[0-9]{1,9}))?";

/// A path without spaces: folders, and a file with an ending or with one of the usual names without.
const PATH: &str = r"/{0,2}(?:[\w.@+~()\[\]-]+[/\\])*(?:(?:[\w@+~()\[\]-][\w.@+~()\[\]-]*)?\.[A-Za-z][A-Za-z0-9_+-]*|[A-Z][a-z]+file|LICENSE|README)";

static BARE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?P<path>{PATH}){LINES}\b")).ok());
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"`(?P<path>[^`\n:]+){LINES}`")).ok());
static ALONE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"^(?s:(?P<path>.{{1,1000}}?)){LINES}$")).ok());
static ALONE_LAST: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"^(?s:(?P<path>.{{1,1000}})){LINES}$")).ok());

/// The mentions of places in a text: at most [`MAX_MENTIONS`], in its first mebibyte.
pub fn find(content: &str) -> Vec<Mention> {
    let mut end = content.len().min(TEXT_BYTES);
    while !content.is_char_boundary(end) {
        end -= 1;
    }
    let content = &content[..end];
    let regexes = [&*QUOTED, &*BARE].into_iter().flatten();
    let mut all: Vec<Mention> = regexes
        .flat_map(|regex| regex.captures_iter(content).filter_map(|found| mention(content, &found)))
        .collect();
    // A mention in backticks may hold another, which is a part of it.
    all.sort_by_key(|mention| mention.start);
    let mut end = 0;
    all.retain(|mention| {
        let is_apart = mention.start >= end;
        end = end.max(mention.end);
        is_apart
    });
    all.truncate(MAX_MENTIONS);
    all
}

fn mention(content: &str, found: &Captures) -> Option<Mention> {
    let (whole, path) = (found.get(0)?, found.name("path")?);
    let (line, last_line) = lines(found)?;
    let before = content[..path.start()].chars().next_back();
    let path = path.as_str();
    // Addresses have ports, and hosts have dots.
    let is_address = path.starts_with("//") || path.contains("://") || before == Some('@');
    let is_host =
        !path.contains('/') && (path.contains('@') || HOSTS.contains(&text::extension(path).as_str()));
    // What is left of a link in Markdown.
    let path = path.rsplit_once("](").map_or(path, |(_, target)| target);
    (!is_address && !is_host).then(|| Mention {
        start: whole.start(),
        end: whole.end(),
        path: path.trim_start_matches(['(', '[']).to_owned(),
        line,
        last_line,
    })
}

fn lines(found: &Captures) -> Option<(u64, Option<u64>)> {
    let number = |name: &str| found.name(name)?.as_str().parse::<u64>().ok();
    // After a second colon comes a column.
    let is_range = found.name("to").is_some_and(|to| to.as_str() != ":");
    Some((number("line")?, number("last").filter(|_| is_range)))
}

/// Checks one place, written as in [`find`] but with any path. Without a line it does not exist.
pub fn check(files: &dyn Files, mention: &str) -> Citation {
    Checker::new(files).check(mention)
}

/// Checks all places that a text speaks of, in its order.
pub fn check_all(files: &dyn Files, content: &str) -> Vec<Citation> {
    let mut checker = Checker::new(files);
    find(content)
        .iter()
        .map(|mention| checker.place(&mention.path, mention.line, mention.last_line))
        .collect()
}

/// Checks many places; every file is read once.
pub struct Checker<'f> {
    files: &'f dyn Files,
    places: Places<'f>,
    /// The number of lines, or why there are none.
    lines: HashMap<&'f str, Result<u64, String>>,
}

impl<'f> Checker<'f> {
    pub fn new(files: &'f dyn Files) -> Self {
        Self { files, places: Places::new(files), lines: HashMap::new() }
    }

    /// Checks a place that is written as text.
    pub fn check(&mut self, mention: &str) -> Citation {
        let mention = mention.trim().trim_matches(['`', '"', '\'']);
        let readings = [&*ALONE, &*ALONE_LAST].map(|regex| {
            let captures = regex.as_ref().filter(|_| mention.len() <= MENTION_BYTES)?.captures(mention)?;
            let (line, last) = lines(&captures)?;
            Some(self.place(&captures["path"], line, last))
        });
        let mut readings: Vec<Citation> = readings.into_iter().flatten().collect();
        match readings.iter().position(|reading| reading.exists) {
            Some(at) => readings.swap_remove(at),
            None if !readings.is_empty() => readings.swap_remove(0),
            None => Citation {
                path: text::path(mention, PATH_CHARS),
                line: 0,
                last_line: None,
                exists: false,
                reason: Some("it names no line: it has to look like path:line".to_owned()),
            },
        }
    }

    /// Checks lines of a file.
    pub fn place(&mut self, path: &str, line: u64, last_line: Option<u64>) -> Citation {
        let entry = self.places.file(path);
        let shown = entry.map_or_else(|| text::path(path, PATH_CHARS), |entry| entry.path.clone());
        let reason = match entry {
            None => Some(match self.places.nearest(path).first() {
                Some(near) => format!("there is no file {shown}; the nearest is {near}"),
                None => format!("there is no file {shown}"),
            }),
            Some(entry) => match self.line_count(&entry.path) {
                Err(reason) => Some(reason),
                Ok(lines) if line == 0 || line > lines || last_line.is_some_and(|last| last > lines) => {
                    let asked = last_line.unwrap_or(line).max(line);
                    Some(format!(
                        "{shown} has {lines} lines and no line {}",
                        if line == 0 { 0 } else { asked }
                    ))
                }
                Ok(_) if last_line.is_some_and(|last| last < line) => {
                    Some("the last line comes before the first".to_owned())
                }
                Ok(_) => None,
            },
        };
        Citation { path: shown, line, last_line, exists: reason.is_none(), reason }
    }

    fn line_count(&mut self, path: &'f str) -> Result<u64, String> {
        let files = self.files;
        let count = || {
            let bytes =
                files.read(path, READ_BYTES).map_err(|error| format!("{path} cannot be read: {error}"))?;
            let content =
                text::decode(&bytes).ok_or_else(|| format!("{path} is a binary file without lines"))?;
            Ok(line_count(&content))
        };
        self.lines.entry(path).or_insert_with(count).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::MemoryFiles;

    fn mentions(text: &str) -> Vec<(String, u64, Option<u64>)> {
        find(text).into_iter().map(|mention| (mention.path, mention.line, mention.last_line)).collect()
    }

    #[test]
    fn mentions_are_found_in_their_usual_forms() {
        for (text, path, line, last) in [
            ("see src/a.rs:12.", "src/a.rs", 12, None),
            ("(`src/a.rs:12`)", "src/a.rs", 12, None),
            ("`my folder/a b.rs:12-14`", "my folder/a b.rs", 12, Some(14)),
            ("src/a.rs:10-20, then", "src/a.rs", 10, Some(20)),
            ("src/a.rs:10–20", "src/a.rs", 10, Some(20)),
            ("src/a.rs:10:5: error", "src/a.rs", 10, None),
            ("src/a.rs#L10-L20", "src/a.rs", 10, Some(20)),
            ("(src/a.rs:3)", "src/a.rs", 3, None),
            ("[x](src/a.rs#L10)", "src/a.rs", 10, None),
            ("./a.b/c_d-e.test.ts:7", "./a.b/c_d-e.test.ts", 7, None),
            ("Dockerfile:3", "Dockerfile", 3, None),
            ("C++: src\\a.cpp:3", "src\\a.cpp", 3, None),
            (".github/workflows/a.yml:3", ".github/workflows/a.yml", 3, None),
            ("x .env:3", ".env", 3, None),
        ] {
            assert_eq!(mentions(text), [(path.to_owned(), line, last)], "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_mentions() {
        for text in [
            "http://example.com:80/x",
            "at 12:30",
            "localhost:8080",
            "example.com:443",
            "a::b:3",
            "1.5:2",
            "git@host.de:22",
        ] {
            assert_eq!(mentions(text), [], "{text}");
        }
    }

    #[test]
    fn places_are_checked_and_never_guessed() {
        let files = MemoryFiles::new([("p-1/src/a.rs", "1\n2\n3\n"), ("p-1/x:1/b.c", "1"), ("p-1/c", "\0")]);
        for (mention, path, exists) in [
            ("p-1/src/a.rs:3", "p-1/src/a.rs", true),
            ("src/a.rs:3", "p-1/src/a.rs", true),
            ("`src/a.rs:1-3`", "p-1/src/a.rs", true),
            ("src/a.rs:3:99", "p-1/src/a.rs", true),
            ("x:1/b.c:1", "p-1/x:1/b.c", true),
            ("src/a.rs:4", "p-1/src/a.rs", false),
            ("src/a.rs:0", "p-1/src/a.rs", false),
            ("src/a.rs:2-4", "p-1/src/a.rs", false),
            ("src/a.rs:3-2", "p-1/src/a.rs", false),
            ("src/b.rs:1", "src/b.rs", false),
            ("c:1", "p-1/c", false),
            ("src/a.rs", "src/a.rs", false),
            ("src/a.rs:99999999999999999999", "src/a.rs:99999999999999999999", false),
        ] {
            let citation = check(&files, mention);
            assert_eq!((citation.path.as_str(), citation.exists), (path, exists), "{mention}: {citation:?}");
            assert_eq!(citation.exists, citation.reason.is_none());
        }
        let all = check_all(&files, "src/a.rs:1 and src/a.rs:9");
        assert_eq!(all.iter().map(|citation| citation.exists).collect::<Vec<_>>(), [true, false]);
    }
}
