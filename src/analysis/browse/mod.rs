//! What agents look up in files: lists, ranges of lines, and searches. Every answer is a plain text for a model.
//!
//! Nothing is remembered between calls, and every call is bounded: in what it reads, how long it searches, and
//! how long its answer is. What is left out is said at the end of the answer.

mod list;
mod read;
mod search;

use globset::{GlobBuilder, GlobMatcher};

use super::text;

pub use list::list;
pub use read::read_range;
pub use search::{Search, search};

/// The longest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 100_000;
/// The most rows of an answer, whatever is asked for.
pub const MAX_ROWS: usize = 1_000;

/// The longest glob, in bytes.
const GLOB_BYTES: usize = 300;
/// The longest path that is shown whole, in characters.
const PATH_CHARS: usize = 400;

/// Why there is no answer. The text is for the model, which may ask differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowseError {
    #[error("there is no file {path}{}", proposal(nearest))]
    NoFile { path: String, nearest: Vec<String> },
    #[error("there is no folder {path}; list the folder above it")]
    NoFolder { path: String },
    #[error("{path} is a folder: list it, or read a file in it")]
    IsFolder { path: String },
    #[error("{path} is a binary file of {bytes} bytes and cannot be shown")]
    Binary { path: String, bytes: u64 },
    #[error("{path} has {lines} lines: line {asked} is beyond its end")]
    BeyondEnd { path: String, lines: u64, asked: u64 },
    #[error("{path} is longer than the {limit} bytes that are read of a file: line {asked} cannot be shown")]
    TooFar { path: String, limit: u64, asked: u64 },
    #[error("the last line {last} comes before the first line {first}")]
    Backwards { first: u64, last: u64 },
    #[error("the glob '{glob}' cannot be understood: {reason}; use * ? [ab] {{a,b}} and ** for folders")]
    BadGlob { glob: String, reason: String },
    #[error("the pattern cannot be used: {reason}")]
    BadPattern { reason: String },
    #[error("{path} cannot be read: {reason}")]
    Unreadable { path: String, reason: String },
}

fn proposal(nearest: &[String]) -> String {
    if nearest.is_empty() {
        "; list the folders to find it".to_owned()
    } else {
        format!("; did you mean {}?", nearest.join(" or "))
    }
}

fn shown(path: &str) -> String {
    text::path(path, PATH_CHARS)
}

/// A glob for paths: one without a slash is for names in all folders.
fn glob(glob: &str) -> Result<GlobMatcher, BrowseError> {
    let bad = |reason: String| BrowseError::BadGlob { glob: text::path(glob, 100), reason };
    if glob.len() > GLOB_BYTES {
        return Err(bad(format!("it is longer than {GLOB_BYTES} bytes")));
    }
    let plain = glob.trim().trim_start_matches("./").trim_start_matches('/');
    let whole = if plain.contains('/') { plain.to_owned() } else { format!("**/{plain}") };
    let built = GlobBuilder::new(&whole).literal_separator(true).build();
    Ok(built.map_err(|error| bad(error.kind().to_string()))?.compile_matcher())
}

/// An answer that grows until it is long enough.
struct Answer {
    text: String,
    room: usize,
}

impl Answer {
    fn new(room: usize) -> Self {
        Self { text: String::new(), room }
    }

    /// Adds a line. False when there is no more room for it.
    fn line(&mut self, line: &str) -> bool {
        let fits = self.text.len() + line.len() < self.room;
        if fits {
            self.text.push_str(line);
            self.text.push('\n');
        }
        fits
    }

    /// The text with a last line, for which there is always room.
    fn end(mut self, note: &str) -> String {
        self.text.push_str(note);
        self.text
    }
}

/// A number and a thing, with the plural of the thing unless there is one.
fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ if thing.ends_with("ch") => format!("{number} {thing}es"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests;
