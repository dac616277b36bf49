//! Tables for people: aligned columns, nothing that a terminal would obey.

use serde_json::Value;

/// The longest text of a cell but the last one.
const WIDEST: usize = 40;

/// Rows under a head, each column as wide as it has to be. The last one is not padded.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut all: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    all.extend(rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()));
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
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
    fn values_fit_into_cells() {
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(time(&json!("2026-11-22T10:18:25.571038+00:00")), "2026-11-22 10:18:25");
        assert_eq!(short(&json!("one\ntwo")), "one…");
        assert_eq!(short(&json!("x".repeat(99))).chars().count(), WIDEST);
    }
}
