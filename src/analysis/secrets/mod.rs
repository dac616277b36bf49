//! Secrets that should not be in files. What is found is never repeated: at most its first four characters.

mod rules;

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use super::{
    Secret, Severity,
    text::{self, LineCounter},
};
use rules::{ASSIGNMENT, RULES, Rule};

/// Findings of one file; more are counted and not kept.
const MAX_PER_FILE: usize = 50;
/// The most of a secret that is shown, and the part of it that this may be.
const SHOWN: usize = 4;
const SHOWN_PART: usize = 3;
/// The least entropy, in bits per character, of a value that looks like a secret.
const MIN_ENTROPY: f64 = 3.0;

/// Bytes of a line in which a name and a value are no longer taken for an assignment.
const LONG_LINE: usize = 1_000;

/// Words in values that are no secrets.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your_",
    "your-",
    "yourpass",
    "yourkey",
    "yoursecret",
    "xxxx",
    "dummy",
    "fake",
    "test",
    "insert",
    "redacted",
    "password",
    "passwd",
    "secret",
    "replace",
    "todo",
    "none",
    "null",
    "undefined",
    "12345",
    "abcdef",
    "foobar",
    "****",
    "....",
    "<",
    "${",
    "{{",
    "$(",
    "%(",
    "process.env",
    "os.environ",
    "getenv",
];

/// Kinds that are made up in tests, unlike tokens with a form of their own.
const MADE_UP: &[&str] = &[ASSIGNMENT, "password_in_url", "token_in_url", "jwt"];

/// Kinds whose values may be anything, up to a length: what is longer is a text, a picture or a program.
const OF_ANY_FORM: &[&str] = &[ASSIGNMENT, "password_in_url"];
const MAX_VALUE_CHARS: usize = 200;

/// Names of files that hold secrets, whatever is in them.
const KEY_FILES: &[&str] = &["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];

/// What the name of a file alone tells.
pub(super) fn of_name(path: &str) -> Option<Secret> {
    let name = text::file_name(path);
    let is_env = (name == ".env" || name.starts_with(".env."))
        && ![".example", ".sample", ".template", ".dist", ".defaults", ".test"]
            .iter()
            .any(|end| name.ends_with(end));
    let (kind, severity, excerpt) = if is_env {
        ("env_file", Severity::Medium, "file with settings of an environment")
    } else if KEY_FILES.contains(&name) {
        ("private_key_file", Severity::High, "file named like a private key")
    } else {
        return None;
    };
    Some(Secret {
        path: path.to_owned(),
        line: None,
        kind: kind.to_owned(),
        severity,
        excerpt: excerpt.to_owned(),
    })
}

/// The secrets in a text, and how many there are beyond those.
///
/// In tests, passwords are mostly made up: those are
/// findings of low severity there.
pub(super) fn find(path: &str, content: &str, is_test: bool) -> (Vec<Secret>, usize) {
    let mut found: Vec<(usize, Secret)> = Vec::new();
    // A later rule does not tell of what an earlier one told already.
    let mut lines_told: BTreeSet<u64> = BTreeSet::new();
    let mut left_out = 0;
    for rule in RULES.iter() {
        let mut lines = LineCounter::new(content.as_bytes());
        for hit in hits(rule, content) {
            let line = lines.line(hit.start);
            if !lines_told.insert(line) {
                continue;
            }
            if found.len() >= MAX_PER_FILE {
                left_out += 1;
                lines_told.remove(&line);
                continue;
            }
            let excerpt = match hit.name {
                Some(name) => format!("{} = {}", text::cut(name, 60).0, masked(hit.value)),
                None => masked(hit.value),
            };
            let secret = Secret {
                path: path.to_owned(),
                line: Some(line),
                kind: rule.kind.to_owned(),
                severity: if is_test && MADE_UP.contains(&rule.kind) { Severity::Low } else { rule.severity },
                excerpt,
            };
            found.push((hit.start, secret));
        }
    }
    found.sort_by_key(|(start, _)| *start);
    (found.into_iter().map(|(_, secret)| secret).collect(), left_out)
}

/// A text with its secrets masked.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut spans: Vec<(usize, usize)> = RULES
        .iter()
        .flat_map(|rule| rule.regex.captures_iter(text))
        .filter_map(|captures| captures.name("value"))
        .map(|value| (value.start(), value.end()))
        .collect();
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_unstable();
    let mut redacted = String::new();
    let mut at = 0;
    for (start, end) in spans {
        // Where two overlap, the rest of the second is masked without a begin of its own.
        if end > at {
            if start >= at {
                redacted.push_str(&text[at..start]);
                redacted.push_str(&masked(&text[start..end]));
            }
            at = end;
        }
    }
    redacted.push_str(&text[at..]);
    Cow::Owned(redacted)
}

struct Hit<'t> {
    start: usize,
    name: Option<&'t str>,
    value: &'t str,
}

fn hits<'t>(rule: &'t Rule, content: &'t str) -> impl Iterator<Item = Hit<'t>> {
    rule.regex.captures_iter(content).filter_map(move |captures| {
        let value = captures.name("value")?;
        let name = captures.name("name").map(|name| name.as_str());
        if OF_ANY_FORM.contains(&rule.kind) && value.as_str().chars().nth(MAX_VALUE_CHARS).is_some() {
            return None;
        }
        let is_meant = if rule.kind == ASSIGNMENT {
            is_random(value.as_str())
                && !is_placeholder(value.as_str())
                && !is_in_long_line(content, value.range())
        } else {
            !rule.may_be_example || !is_placeholder(value.as_str())
        };
        is_meant.then_some(Hit { start: value.start(), name, value: value.as_str() })
    })
}

/// Whether a place is in a line that nobody writes: programs are packed into such lines.
fn is_in_long_line(content: &str, place: Range<usize>) -> bool {
    let bytes = content.as_bytes();
    let before = bytes[..place.start].iter().rev().take(LONG_LINE).take_while(|byte| **byte != b'\n').count();
    let after = bytes[place.end..].iter().take(LONG_LINE).take_while(|byte| **byte != b'\n').count();
    before + after >= LONG_LINE
}

/// The first characters of a secret, and how long it is.
fn masked(value: &str) -> String {
    let length = value.chars().count();
    let shown: String = value.chars().take(SHOWN.min(length / SHOWN_PART)).collect();
    let safe: String = shown.chars().map(|c| if text::is_unsafe(c) { ' ' } else { c }).collect();
    format!("{safe}*** ({length} characters)")
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next();
    PLACEHOLDERS.iter().any(|word| lower.contains(word)) || characters.all(|c| Some(c) == first)
}

/// Whether a value is unlike a word: letters with digits or signs, and much entropy.
fn is_random(value: &str) -> bool {
    let has = |test: fn(char) -> bool| value.chars().any(test);
    let kinds = [
        has(|c| c.is_ascii_lowercase()),
        has(|c| c.is_ascii_uppercase()),
        has(|c| c.is_ascii_digit()),
        has(|c| !c.is_ascii_alphanumeric()),
    ];
    let is_path = value.contains('/') && value.contains('.');
    let is_words = !kinds[2] && value.split(['-', '_', '.', ':', '|', '/', ',']).all(is_word)
        || value.contains('.')
            && value.split('.').all(|word| is_word(word.trim_end_matches(|c: char| c.is_ascii_digit())));
    kinds.iter().filter(|has| **has).count() >= 2 && !is_path && !is_words && entropy(value) >= MIN_ENTROPY
}

fn is_word(word: &str) -> bool {
    word.chars().all(|c| c.is_alphabetic() || c == '_')
}

/// Bits per byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|p| -p * p.log2())
        .sum()
}

#[cfg(test)]
mod tests;
