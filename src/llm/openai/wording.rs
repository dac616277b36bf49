//! How the errors of one provider are put into words: what it is called, where its settings stand and
//! what must not show.

use super::text;
use crate::config::Secret;

/// As much of a foreign text as is looked at to quote it.
const MOST_QUOTED_FROM: usize = 64 << 10;

/// The words for one provider.
pub(super) struct Wording {
    /// `the provider`, or `provider 'groq'`.
    pub who: String,
    /// Where its key is set, its address, its model, and the most tokens of an answer.
    pub key: String,
    pub base_url: String,
    pub model: String,
    pub max_tokens: String,
    secrets: Vec<Secret>,
}

impl Wording {
    /// For a provider of this name; the one of the `OPENAI_*` variables is called `openai`.
    pub(super) fn new(name: &str, secrets: Vec<Secret>) -> Self {
        let setting = |variable: &str, what: &str| match name {
            "openai" => variable.to_owned(),
            _ => format!("{what} of provider '{name}'"),
        };
        Self {
            who: if name == "openai" { "the provider".to_owned() } else { format!("provider '{name}'") },
            key: setting("OPENAI_API_KEY", "the key"),
            base_url: setting("OPENAI_BASE_URL", "the base_url"),
            model: setting("OPENAI_MODEL", "the model"),
            max_tokens: setting("MODEL_MAX_TOKENS", "max_tokens"),
            secrets,
        }
    }

    /// A text in which no secret shows.
    pub(super) fn hide(&self, words: &str) -> String {
        text::without_keys(words, self.secrets.iter().map(Secret::expose))
    }

    /// A text in which none of the provider's own secrets shows; what else looks like a key is left.
    pub(super) fn hide_own(&self, words: &str) -> String {
        text::without(words, self.secrets.iter().map(Secret::expose))
    }

    /// Foreign words on one line. Secrets go before the text is cut, so that no part of one is left at the end, and
    /// when it is on one line, so that none comes together from what was between its parts.
    pub(super) fn quote(&self, words: &str, max: usize) -> String {
        let line = text::one_line(text::beginning(words, MOST_QUOTED_FROM), MOST_QUOTED_FROM);
        text::one_line(&self.hide(&line), max)
    }

    /// The same of bytes that should be text.
    pub(super) fn quote_bytes(&self, bytes: &[u8], max: usize) -> String {
        self.quote(&String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_QUOTED_FROM)]), max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_something_between_its_parts_is_hidden() {
        let wording = Wording::new("groq", vec![Secret::new("gsk_0123456789")]);
        assert_eq!(wording.quote("bad key gsk_01\u{0}23456\u{200e}789!", 100), "bad key ***!");
        assert_eq!(wording.quote("bad\nkey gsk_0123456789", 9), "bad key *…");
    }
}
