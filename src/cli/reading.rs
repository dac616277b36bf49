//! Texts of models and of other people, as they may be shown.

use std::{
    borrow::Cow,
    io::{self, IsTerminal},
};

/// A text for standard output. A terminal obeys control characters, so it gets none but line breaks and tabs. A file
/// or a pipe gets the text as it is.
pub(super) fn for_reader(text: &str) -> Cow<'_, str> {
    for_output(text, io::stdout().is_terminal())
}

fn for_output(text: &str, is_terminal: bool) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if is_terminal && text.contains(harmful) {
        Cow::Owned(text.replace(harmful, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_text() {
        assert_eq!(for_output("a\u{1b}[2J\n\tb\r", true), "a\u{fffd}[2J\n\tb\u{fffd}");
        assert_eq!(for_output("a\u{1b}[2J", false), "a\u{1b}[2J");
    }
}
