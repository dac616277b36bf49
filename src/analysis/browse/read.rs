//! Lines of a file.

use super::{Answer, BrowseError, MAX_ANSWER_BYTES, counted, shown};
use crate::analysis::{
    Files,
    places::{Places, READ_BYTES, normal},
    text,
};

/// The longest line that is shown whole, in characters.
const LINE_CHARS: usize = 1_000;
/// What is shown of a line that there is no room for, in characters.
const BEGIN_CHARS: usize = 20;
/// The least room for an answer, so that a line and a note fit.
const MIN_BYTES: usize = 200;

/// The lines of a file from `first_line` to `last_line`, each with its number.
///
/// Without a first or last line it is that of the file. `max_bytes` is the longest answer, up to [`MAX_ANSWER_BYTES`]; the answer says
/// where to go on.
pub fn read_range(
    files: &dyn Files,
    path: &str,
    first_line: Option<u64>,
    last_line: Option<u64>,
    max_bytes: usize,
) -> Result<String, BrowseError> {
    let places = Places::new(files);
    let Some(entry) = places.file(path) else {
        let folder = format!("{}/", normal(path));
        let below_root = places.root.map(|root| format!("{root}/{folder}"));
        let is_folder = |prefix: &str| files.list().iter().any(|entry| entry.path.starts_with(prefix));
        let path = shown(path);
        return Err(
            if folder == "/" || is_folder(&folder) || below_root.is_some_and(|below| is_folder(&below)) {
                BrowseError::IsFolder { path }
            } else {
                BrowseError::NoFile { nearest: places.nearest(&path), path }
            },
        );
    };
    let name = shown(&entry.path);
    let first = first_line.unwrap_or(1).max(1);
    if let Some(last) = last_line.filter(|last| *last < first) {
        return Err(BrowseError::Backwards { first, last });
    }
    let bytes = files
        .read(&entry.path, READ_BYTES)
        .map_err(|error| BrowseError::Unreadable { path: name.clone(), reason: error.to_string() })?;
    let is_whole = (bytes.len() as u64) < READ_BYTES || entry.size <= bytes.len() as u64;
    let Some(content) = text::decode(&bytes) else {
        return Err(BrowseError::Binary { path: name, bytes: entry.size });
    };
    if content.is_empty() {
        return Ok(format!("{name} is empty"));
    }
    let lines: Vec<&str> = content.split_inclusive('\n').collect();
    let total = lines.len() as u64;
    if first > total {
        return Err(if is_whole {
            BrowseError::BeyondEnd { path: name, lines: total, asked: first }
        } else {
            BrowseError::TooFar { path: name, limit: READ_BYTES, asked: first }
        });
    }
    let last = last_line.unwrap_or(total).min(total);
    let mut answer = Answer::new(max_bytes.clamp(MIN_BYTES, MAX_ANSWER_BYTES));
    let mut next = first;
    while next <= last {
        let line = usize::try_from(next - 1).ok().and_then(|at| lines.get(at)).copied().unwrap_or_default();
        let line = line_text(line);
        if !answer.line(&format!("{next:>6}  {line}")) {
            // The first line is shown however little room there is, so that a reader gets on.
            if next > first {
                break;
            }
            let (begin, _) = text::cut(&line, BEGIN_CHARS);
            answer.line(&format!("{next:>6}  {begin}… (no room for the rest of the line)"));
        }
        next += 1;
    }
    let more = if is_whole { "" } else { ", and more that is not read" };
    Ok(answer.end(&match next {
        next if next <= last => {
            format!("(lines {first} to {} of {total}{more}; go on with line {next})", next - 1)
        }
        _ if last < total => format!("({} in all{more})", counted(total, "line")),
        _ if is_whole => String::new(),
        _ => format!("(only the first {READ_BYTES} bytes of the file are read)"),
    }))
}

/// A line without its end, cut when it is long, and with control characters made visible.
fn line_text(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    let (kept, is_cut) = text::cut(line, LINE_CHARS);
    let safe: String =
        kept.chars().map(|c| if c != '\t' && text::is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    if is_cut { format!("{safe}… ({} more characters)", line[kept.len()..].chars().count()) } else { safe }
}
