//! The lines of one file.

use super::table::{Quote, Syntax};

/// A regular expression that is longer is none: looking for its end takes no longer than this.
const REGEX_BYTES: usize = 1_000;

/// How many lines there are of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::analysis) struct Lines {
    pub code: u64,
    pub comments: u64,
    pub blanks: u64,
}

impl Lines {
    pub(in crate::analysis) fn all(self) -> u64 {
        self.code + self.comments + self.blanks
    }
}

/// What a byte is inside of.
#[derive(Clone, Copy)]
enum Inside {
    Code,
    /// The end that is waited for, the begin that nests, and how deep it is.
    Block(&'static str, &'static str, usize),
    /// A string, and whether it counts as a comment.
    Quote(&'static Quote, bool),
}

/// Counts the lines of a text. The last one counts without a line feed too.
pub(in crate::analysis) fn count(text: &str, syntax: &'static Syntax) -> Lines {
    let mut lines = Lines::default();
    let mut scanner = Scanner::new(syntax);
    let body = text.strip_suffix('\n').unwrap_or(text);
    if text.is_empty() {
        return lines;
    }
    for line in body.split('\n') {
        let line = line.as_bytes();
        if line.iter().all(|byte| is_space(*byte)) {
            lines.blanks += 1;
            continue;
        }
        if scanner.is_code(line) {
            lines.code += 1;
        } else {
            lines.comments += 1;
        }
    }
    lines
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

struct Scanner {
    syntax: &'static Syntax,
    inside: Inside,
    /// Bytes that a mark of the language begins with.
    begins: [bool; 256],
    /// Open brackets, where strings that are statements have to be told from others.
    brackets: usize,
    /// Whether the line before goes on here.
    goes_on: bool,
}

impl Scanner {
    fn new(syntax: &'static Syntax) -> Self {
        let mut begins = [false; 256];
        let blocks = syntax.blocks.iter().map(|(begin, _)| begin.trim_start_matches('\n'));
        let quotes = syntax.quotes.iter().map(|quote| quote.begin);
        for mark in
            syntax.lines.iter().copied().chain(blocks).chain(quotes).chain(syntax.skips.iter().copied())
        {
            begins[usize::from(mark.as_bytes().first().copied().unwrap_or_default())] = true;
        }
        if syntax.has_regexes {
            begins[usize::from(b'/')] = true;
        }
        if syntax.has_docs() {
            for bracket in b"()[]{}" {
                begins[usize::from(*bracket)] = true;
            }
        }
        Self { syntax, inside: Inside::Code, begins, brackets: 0, goes_on: false }
    }

    /// Goes over a line that is not blank. Whether something but comments is in it.
    fn is_code(&mut self, line: &[u8]) -> bool {
        let first = line.iter().position(|byte| !is_space(*byte)).unwrap_or(0);
        let mut at = 0;
        let mut has_code = false;
        while at < line.len() {
            let rest = &line[at..];
            match self.inside {
                Inside::Block(end, begin, depth) => {
                    let (ends, begins) =
                        (starts(line, at, end), self.syntax.nests && starts(line, at, begin));
                    if ends && depth == 0 {
                        self.inside = Inside::Code;
                        // The line on which a block ends at its start belongs to it as a whole.
                        at = if end.starts_with('\n') { line.len() } else { at + end.len() };
                    } else if ends || begins {
                        let depth = if ends { depth - 1 } else { depth + 1 };
                        self.inside = Inside::Block(end, begin, depth);
                        at += if ends { end.len() } else { begin.len() };
                    } else {
                        at += 1;
                    }
                }
                Inside::Quote(quote, is_doc) => {
                    has_code |= !is_doc && !is_space(rest[0]);
                    if quote.escapes && rest[0] == b'\\' {
                        at += 2;
                    } else if rest.starts_with(quote.end.as_bytes()) {
                        self.inside = Inside::Code;
                        at += quote.end.len();
                    } else {
                        at += 1;
                    }
                }
                Inside::Code if !self.begins[usize::from(rest[0])] => {
                    has_code |= !is_space(rest[0]);
                    at += 1;
                }
                Inside::Code => match self.mark(line, at, first) {
                    Mark::Line => break,
                    Mark::Into(inside, length) => {
                        has_code |= matches!(inside, Inside::Quote(_, false));
                        self.inside = inside;
                        at += length;
                    }
                    Mark::Code(length) => {
                        has_code = true;
                        at += length;
                    }
                },
            }
        }
        self.end_line(line, at);
        has_code
    }

    /// A string of one line ends with it, unless the last thing in it is a backslash.
    fn end_line(&mut self, line: &[u8], at: usize) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.goes_on = line.ends_with(b"\\") && matches!(self.inside, Inside::Code);
        if let Inside::Quote(quote, _) = self.inside
            && !quote.is_long
            && !(quote.escapes && at > line.len() && line.ends_with(b"\\"))
        {
            self.inside = Inside::Code;
        }
    }

    fn mark(&mut self, line: &[u8], at: usize, first: usize) -> Mark {
        let rest = &line[at..];
        let syntax = self.syntax;
        if let Some(skip) = syntax.skips.iter().find(|skip| rest.starts_with(skip.as_bytes())) {
            return Mark::Code(skip.len());
        }
        if let Some((begin, end)) = syntax.blocks.iter().find(|(begin, _)| starts(line, at, begin)) {
            return Mark::Into(Inside::Block(end, begin, 0), begin.trim_start_matches('\n').len());
        }
        let is_line = |mark: &&&str| {
            // A number sign inside of a word is not that of a comment.
            rest.starts_with(mark.as_bytes())
                && (!mark.starts_with('#')
                    || at == 0
                    || is_space(line[at - 1])
                    || b";)]},".contains(&line[at - 1]))
        };
        if syntax.lines.iter().find(is_line).is_some() {
            return Mark::Line;
        }
        if let Some(quote) = syntax.quotes.iter().find(|quote| rest.starts_with(quote.begin.as_bytes())) {
            let is_doc = quote.is_doc && at == first && self.brackets == 0 && !self.goes_on;
            return Mark::Into(Inside::Quote(quote, is_doc), quote.begin.len());
        }
        if syntax.has_regexes && rest[0] == b'/' && begins_regex(&line[..at]) {
            return Mark::Code(regex_length(rest));
        }
        match rest[0] {
            b'(' | b'[' | b'{' => self.brackets += 1,
            b')' | b']' | b'}' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        Mark::Code(1)
    }
}

enum Mark {
    /// The rest of the line is a comment.
    Line,
    /// What begins, after this many bytes.
    Into(Inside, usize),
    /// So many bytes are code.
    Code(usize),
}

/// Whether a mark is there; one with a line feed in front is a mark only at the start of a line.
fn starts(line: &[u8], at: usize, mark: &str) -> bool {
    match mark.strip_prefix('\n') {
        Some(mark) => at == 0 && line.starts_with(mark.as_bytes()),
        None => line[at..].starts_with(mark.as_bytes()),
    }
}

/// Whether a slash after this begins a regular expression, and is no division.
fn begins_regex(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    match before.last() {
        None => true,
        Some(byte) => b"(,=:[!&|?{};+-*%~^<>".contains(byte) || before.ends_with(b"return"),
    }
}

/// The length of the regular expression that a text starts with: to its slash, or else one byte.
fn regex_length(text: &[u8]) -> usize {
    let mut is_class = false;
    let mut at = 1;
    while at < text.len().min(REGEX_BYTES) {
        match text[at] {
            b'\\' => at += 1,
            b'[' => is_class = true,
            b']' => is_class = false,
            b'/' if !is_class => return at + 1,
            _ => {}
        }
        at += 1;
    }
    1
}
