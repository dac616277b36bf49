//! Languages, and their lines of code, comments and blanks.
//!
//! The counter is an own one because bytes are hostile: it takes time in proportion to the bytes whatever they
//! are, and every line is exactly one of the three kinds.
//!
//! - A blank line has white space only, wherever it is.
//! - A line of comment has comments only. A Python string that is a statement of its own is a comment.
//! - Every other line is code, be it text of a document or data. Code of one language inside of another, such as
//!   scripts in HTML, counts for the outer one.

mod count;
mod table;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::{Language, text};
use table::{LANGUAGES, Syntax};

pub(super) use count::{Lines, count};

static BY_EXTENSION: LazyLock<HashMap<&str, &Syntax>> = LazyLock::new(|| index(|syntax| syntax.extensions));
static BY_NAME: LazyLock<HashMap<&str, &Syntax>> = LazyLock::new(|| index(|syntax| syntax.names));
static BY_INTERPRETER: LazyLock<HashMap<&str, &Syntax>> =
    LazyLock::new(|| index(|syntax| syntax.interpreters));

fn index(words: fn(&Syntax) -> &'static [&'static str]) -> HashMap<&'static str, &'static Syntax> {
    LANGUAGES.iter().flat_map(|syntax| words(syntax).iter().map(move |word| (*word, syntax))).collect()
}

/// The language of a file, by its name or else by its first line.
pub(super) fn detect(path: &str, content: &str) -> Option<&'static Syntax> {
    let name = text::file_name(path);
    BY_NAME
        .get(name)
        .or_else(|| BY_EXTENSION.get(text::extension(path).as_str()))
        .or_else(|| name.starts_with("Dockerfile.").then(|| BY_NAME.get("Dockerfile")).flatten())
        .or_else(|| BY_INTERPRETER.get(interpreter(content)?))
        .copied()
}

/// The program that `#!` names, without its version: `python` of `#!/usr/bin/env -S python3.11`.
pub(super) fn interpreter(content: &str) -> Option<&str> {
    let (line, _) = text::cut(content.strip_prefix("#!")?.lines().next()?, 200);
    let mut words = line.split_whitespace().map(text::file_name).filter(|word| !word.starts_with('-'));
    let program = words.next()?;
    let program = if program == "env" { words.find(|word| !word.contains('='))? } else { program };
    Some(program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// Sums by language.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<&'static str, Language>);

impl Sums {
    pub(super) fn add(&mut self, syntax: &Syntax, lines: Lines, bytes: u64) {
        let sum = self.0.entry(syntax.name).or_default();
        sum.files += 1;
        sum.lines += lines.all();
        sum.code += lines.code;
        sum.comments += lines.comments;
        sum.blanks += lines.blanks;
        sum.bytes = sum.bytes.saturating_add(bytes);
    }

    pub(super) fn rows(self) -> Vec<Language> {
        let named = |(name, sum): (&str, Language)| Language { name: name.to_owned(), ..sum };
        let mut rows: Vec<Language> = self.0.into_iter().map(named).collect();
        rows.sort_by_key(|row| (Reverse(row.code), row.name.clone()));
        rows
    }
}

#[cfg(test)]
mod tests;
