//! Foreign text made fit for messages and logs: short, on one line, without keys.

/// The most characters of a provider's words that a message carries.
pub(super) const MAX_QUOTE: usize = 500;

/// A key shorter than this is a placeholder such as `none` or `ollama`; hiding such words would only
/// garble messages.
const SHORTEST_KEY: usize = 7;

/// At most `max` characters on one line, without control characters, runs of white space made one blank.
pub(super) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    // Enough to fill the line even when much of it is white space; what follows cannot show anyway.
    for word in beginning(text, max.saturating_mul(16)).split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            length += 1;
        }
        for c in word.chars().filter(|c| !c.is_control() && !is_direction_mark(*c)) {
            if length >= max {
                line.push('…');
                return line;
            }
            line.push(c);
            length += 1;
        }
    }
    line
}

/// The first characters of a text.
pub(super) fn beginning(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// Marks that make terminals and browsers show text in another order than it is written.
fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Hides these keys wherever they stand.
pub(super) fn without<'a>(text: &str, keys: impl Iterator<Item = &'a str>) -> String {
    let long_enough = |key: &&str| key.len() >= SHORTEST_KEY || key.starts_with("sk-");
    keys.filter(long_enough).fold(text.to_owned(), |text, key| text.replace(key, "***"))
}

/// Hides the keys that were sent, and whatever else looks like one (providers quote keys in their errors).
pub(super) fn without_keys<'a>(text: &str, keys: impl Iterator<Item = &'a str>) -> String {
    let mut text = without(text, keys);
    let mut from = 0;
    while let Some(at) = text[from..].find("sk-").map(|i| from + i) {
        let end = text[at..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.')))
            .map_or(text.len(), |n| at + n);
        let starts_a_word = !text[..at].ends_with(|c: char| c.is_alphanumeric());
        if starts_a_word && end - at >= "sk-".len() + 5 {
            text.replace_range(at..end, "***");
            from = at + "***".len();
        } else {
            from = at + "sk-".len();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_cleaned() {
        assert_eq!(one_line("a\r\n b\u{0}\u{1b}[31m\u{202e}c  d\n", 50), "a b[31mc d");
        assert_eq!(one_line("äöüßx", 3), "äöü…");
        assert_eq!(one_line(&"ä".repeat(100_000), 4), "ääää…");
        assert_eq!(one_line("", 4), "");
    }

    #[test]
    fn keys_do_not_show() {
        let key = Some("gsk_0123456789");
        assert_eq!(without_keys("bad key gsk_0123456789.", key.into_iter()), "bad key ***.");
        assert_eq!(without_keys("Incorrect: sk-abcde****wxyz. See", None.into_iter()), "Incorrect: *** See");
        assert_eq!(without_keys("sk-proj-0123456789 and sk-test-999999", None.into_iter()), "*** and ***");
        assert_eq!(
            without_keys("a risk-averse task-list of sk- things", None.into_iter()),
            "a risk-averse task-list of sk- things"
        );
        assert_eq!(
            without_keys("model ollama not found", Some("ollama").into_iter()),
            "model ollama not found"
        );
    }
}
