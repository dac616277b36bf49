//! Tables for people: aligned columns, nothing that a terminal would obey.

use serde_json::Value;

use crate::{
    clock::{Clock, SystemClock},
    model::iso,
};

use super::paint;

/// The longest text of a cell but the last one.
const WIDEST: usize = 40;

/// A column of words is made no narrower than this.
const NARROWEST: usize = 10;
/// The columns whose words say how something stands.
const STATES: [&str; 5] = ["STATE", "STATUS", "OUTCOME", "VERDICT", "KEPT"];

/// Rows under a head, each column as wide as it has to be; on a terminal that is narrower than that, columns of words
/// are cut. The last one is not padded.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let widths = widths(head, &rows, paint::width());
    let line = |cells: &[String], paint: &dyn Fn(usize, &str, &str) -> String| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let cell = cut(cell, *width);
            let last = column + 1 == cells.len();
            let padding = if last { 0 } else { width - console::measure_text_width(&cell).min(*width) };
            line.push_str(&paint(column, &cell, &cell));
            if !last {
                line.push_str(&" ".repeat(padding + 2));
            }
        }
        line.trim_end().to_owned()
    };
    let heads: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut lines = vec![line(&heads, &|_, _, text| paint::head(text))];
    lines.extend(rows.iter().map(|row| {
        line(row, &|column, key, text| match STATES.contains(&head[column]) {
            true => paint::state(key, text),
            false => text.to_owned(),
        })
    }));
    lines.join("\n")
}

/// A text in at most so many columns.
fn cut(text: &str, width: usize) -> String {
    if console::measure_text_width(text) <= width {
        return text.to_owned();
    }
    let (mut cut, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += console::measure_text_width(c.encode_utf8(&mut [0; 4]));
        if used > width {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// How wide each column is, in all no wider than the terminal where that can be.
fn widths(head: &[&str], rows: &[Vec<String>], terminal: Option<usize>) -> Vec<usize> {
    let column = |at: usize| rows.iter().map(move |row| row[at].as_str()).chain([head[at]]);
    let widest = |at| column(at).map(console::measure_text_width).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..head.len()).map(widest).collect();
    let Some(terminal) = terminal else { return widths };
    // Ids and numbers stay whole: they are there to be copied.
    let words: Vec<usize> =
        (0..head.len()).filter(|at| rows.iter().any(|row| row[*at].contains(' '))).collect();
    let gaps = 2 * head.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > terminal {
        let widest = words.iter().copied().filter(|at| widths[*at] > NARROWEST).max_by_key(|at| widths[*at]);
        let Some(at) = widest else { break };
        widths[at] -= 1;
    }
    widths
}

/// A value as a cell: a text as it is, nothing as `-`.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time without its fraction and zone, which are UTC's.
pub(super) fn time(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.get(..19).unwrap_or(text).replace('T', " "),
        None => "-".to_owned(),
    }
}

/// How long ago a time is, or how far ahead: `12 s ago`, `in 3 h`.
pub(super) fn ago(value: &Value) -> String {
    match value.as_str().and_then(iso::parse) {
        Some(at) => span(SystemClock.now_ms() - at.timestamp_millis()),
        None => cell(value),
    }
}

fn span(ms: i64) -> String {
    let seconds = ms.unsigned_abs() / 1000;
    let (number, unit) = match seconds {
        0..100 => (seconds, "s"),
        100..6_000 => (seconds / 60, "min"),
        6_000..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    match (number, ms) {
        (0, _) => "now".to_owned(),
        (_, 0..) => format!("{number} {unit} ago"),
        _ => format!("in {number} {unit}"),
    }
}

/// The first line of a text, cut where it is too long for a cell.
pub(super) fn short(value: &Value) -> String {
    let text = cell(value);
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= WIDEST && line.len() == text.len() {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(WIDEST - 1).collect();
    cut.push('…');
    cut
}

/// A text of somebody else's on one line: a terminal obeys control characters, so it gets none.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_obey_nobody() {
        let rows = [vec!["ü".to_owned(), "1".to_owned()], vec!["long\u{1b}[2J".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME      N\nü         1\nlong [2J  22");
    }

    #[test]
    fn a_narrow_terminal_cuts_words_and_no_ids() {
        let rows =
            [vec!["0123456789abcdef".to_owned(), "words that go on and on".to_owned(), "7".to_owned()]];
        let head = ["ID", "TASK", "N"];
        assert_eq!(widths(&head, &rows, None), [16, 23, 1]);
        assert_eq!(widths(&head, &rows, Some(36)), [16, 15, 1]);
        assert_eq!(widths(&head, &rows, Some(10)), [16, NARROWEST, 1]);
        assert_eq!(widths(&["A"], &[vec!["日本".to_owned()]], None), [4]);
        assert_eq!(
            (cut("日本語", 5).as_str(), cut("abc", 3).as_str(), cut("abcd", 3).as_str()),
            ("日本…", "abc", "ab…")
        );
    }

    #[test]
    fn times_are_told_from_now() {
        for (ms, text) in [
            (0, "now"),
            (12_000, "12 s ago"),
            (-7_200_000, "in 2 h"),
            (600_000, "10 min ago"),
            (864_000_000, "10 days ago"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(ago(&json!(null)), "-");
    }

    #[test]
    fn values_fit_into_cells() {
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(time(&json!("2026-11-22T10:18:25.571038+00:00")), "2026-11-22 10:18:25");
        assert_eq!(short(&json!("one\ntwo")), "one…");
        assert_eq!(short(&json!("x".repeat(99))).chars().count(), WIDEST);
    }
}
