//! Colours and the width of the terminal. A file or a pipe gets neither.

use std::sync::atomic::{AtomicU8, Ordering};

use console::Term;

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

/// What was chosen for this process: a [`Colour`].
static CHOSEN: AtomicU8 = AtomicU8::new(Colour::Auto as u8);

impl Colour {
    /// From here on it is so.
    pub(super) fn choose(self) {
        CHOSEN.store(self as u8, Ordering::Relaxed);
    }
}

/// Whether what goes to standard output has colours.
fn coloured() -> bool {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    if chosen == Colour::Auto as u8 {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        return wanted && able && Term::stdout().is_term();
    }
    chosen == Colour::Always as u8
}

/// How many columns standard output has, if it is a terminal.
pub(super) fn width() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| term.size_checked()).flatten().map(|(_, columns)| usize::from(columns))
}

/// A head of a table.
pub(super) fn head(text: &str) -> String {
    wrap(text, "1")
}

/// A word that says how something stands, in the colour of how good that is. `key` is the word, `text` may be padded.
pub(super) fn state(key: &str, text: &str) -> String {
    let code = match key.split(':').next().unwrap_or_default() {
        "completed" | "analysed" | "approve" | "pinned" | "ok" | "working" | "open" => "32",
        "running" | "processing" | "queued" | "scheduled" => "36",
        "paused" | "waiting" | "revise" | "draining" | "skipped" => "33",
        "failed" | "dead" | "reject" | "cancelled" => "31",
        _ => return text.to_owned(),
    };
    wrap(text, code)
}

fn wrap(text: &str, code: &str) -> String {
    if coloured() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}
