//! Source files as the rules see them: code without comments and without the contents of strings.

use std::{fs, path::Path};

/// One file.
#[derive(Clone)]
pub struct Source {
    /// Relative to the project, `src/store/mod.rs`.
    pub path: String,
    pub text: String,
    /// The text with comments and string contents blanked, line for line.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    /// The lines of code, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(n, line)| (n + 1, line))
    }

    /// `src/store/mod.rs:7`
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// All Rust files of a folder of the project.
pub fn read_tree(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_folder(&root.join(folder), root, &mut sources);
    assert!(!sources.is_empty(), "no source in {folder}");
    sources
}

fn read_folder(folder: &Path, root: &Path, into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(&path, root, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            into.push(Source::new(relative, &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The paths in code, in pieces: `use crate::{a::B, c}` gives `crate::a::B` and `crate::c`.
///
/// What is given is every name that follows `prefix::`, with braces opened one level.
pub fn names_after(code: &str, prefix: &str) -> Vec<(usize, String)> {
    let pattern = format!("{prefix}::");
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find(&pattern) {
        let at = from + found;
        from = at + pattern.len();
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        names.extend(first_names(&code[from..]).into_iter().map(|name| (line, name)));
    }
    names
}

/// `a::b` gives `a`; `{a::{b, c}, d}` gives `a` and `d`.
fn first_names(rest: &str) -> Vec<String> {
    let Some(inside) = rest.strip_prefix('{') else { return vec![identifier(rest)] };
    let mut names = Vec::new();
    let (mut depth, mut expect_name) = (0, true);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expect_name = true,
            c if depth == 0 && expect_name && !c.is_whitespace() => {
                names.push(identifier(&inside[at..]));
                expect_name = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Blanks comments and the contents of strings. Line breaks stay, so that lines can be counted.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (chars[i], chars.get(i + 1)) {
            ('/', Some('/')) => (i..chars.len()).find(|&n| chars[n] == '\n').unwrap_or(chars.len()),
            ('/', Some('*')) => end_of_comment(&chars, i),
            ('"', _) => end_of_string(&chars, i),
            ('r', Some('"' | '#')) if !is_word(i.checked_sub(1).map(|n| chars[n])) => {
                end_of_raw_string(&chars, i).unwrap_or(i)
            }
            ('\'', _) => end_of_char(&chars, i),
            _ => i,
        };
        if end == i {
            code.push(chars[i]);
            i += 1;
        } else {
            code.extend(chars[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    code
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') if depth == 1 => return i + 2,
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from + 1..].iter().take_while(|c| **c == '#').count();
    let open = from + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (open + 1..chars.len()).find(|&n| chars[n..].starts_with(&close)).map(|n| n + close.len())
}

/// The end of `'x'` or `'\n'`; a lifetime has none.
fn end_of_char(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => (from + 3..chars.len()).find(|&n| chars[n] == '\'').map_or(from, |n| n + 1),
        (Some(_), Some('\'')) => from + 3,
        _ => from,
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    let code = |text: &str| Source::new("a.rs", text).code;
    assert_eq!(code("a // b\nc"), "a     \nc");
    assert_eq!(code("a /* b /* c */ \n d */ e"), "a              \n      e");
    assert_eq!(
        code(r#"f("x \" y", 'z', '"', '\'', b)"#),
        format!("f({}, {}, {}, {}, b)", " ".repeat(8), "   ", "   ", "    ")
    );
    assert_eq!(code("r#\"a\"b\"# c"), "         c");
    assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
}

#[test]
fn names_are_found_in_every_form_of_import() {
    let names = |code: &str| names_after(code, "crate").into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    assert_eq!(names("use crate::a::B;"), ["a"]);
    assert_eq!(names("use crate::{\n    a::{b, c::D},\n    e as f,\n    g,\n};"), ["a", "e", "g"]);
    assert_eq!(names("let x = crate::a::b(crate::c::D);"), ["a", "c"]);
    assert_eq!(names("my_crate::a; some::crate::b"), [""; 0]);
}
