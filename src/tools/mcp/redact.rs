//! Keeps secrets of a server's configuration out of all that comes back from it.

use reqwest::Url;

use crate::config::{McpConfig, McpTransport};

/// Shorter texts are no secrets, and would tear holes into every sentence.
const MIN_LENGTH: usize = 4;

/// What one server must not be made to say.
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    pub(super) fn new(config: &McpConfig) -> Self {
        let mut hidden = Vec::new();
        for secret in config.secrets() {
            hidden.push(secret.expose().to_owned());
            // "Bearer abc": whoever quotes it quotes the second word.
            hidden
                .extend(secret.expose().split_whitespace().map(str::to_owned).filter(|word| word.len() >= 8));
        }
        if let McpTransport::Http { url, .. } = &config.transport
            && let Ok(url) = Url::parse(url)
        {
            hidden.extend(url.password().map(str::to_owned));
            hidden.extend(url.query().map(str::to_owned));
            hidden.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        }
        hidden.retain(|text| text.len() >= MIN_LENGTH);
        // The longest first: a part of it would leave the rest.
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden.dedup();
        Self(hidden)
    }

    pub(super) fn clean(&self, mut text: String) -> String {
        for hidden in &self.0 {
            if text.contains(hidden.as_str()) {
                text = text.replace(hidden.as_str(), "***");
            }
        }
        text
    }

    /// The same for one line of a log or an error: short, and without anything that steers a terminal.
    pub(super) fn line(&self, text: &str, max_chars: usize) -> String {
        let text = self.clean(text.to_owned()).replace(char::is_control, " ");
        text.trim().chars().take(max_chars).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn redactor(url: &str, headers: &[&str]) -> Redactor {
        Redactor::new(&McpConfig {
            name: "web".to_owned(),
            transport: McpTransport::Http {
                url: url.to_owned(),
                headers: headers.iter().map(|value| ("X".to_owned(), Secret::new(*value))).collect(),
            },
            tools: None,
            timeout: McpConfig::DEFAULT_TIMEOUT,
        })
    }

    #[test]
    fn secrets_are_hidden_wherever_they_come_up() {
        let redactor = redactor(
            "https://me:pass-word@host/mcp?key=quer%79-1",
            &["Bearer abcdefgh", "tok-1", "tok-1-long"],
        );
        let clean = |text: &str| redactor.clean(text.to_owned());
        assert_eq!(clean("no Bearer abcdefgh here, abcdefgh"), "no *** here, ***");
        assert_eq!(clean("tok-1-long tok-1"), "*** ***");
        assert_eq!(clean("https://host/mcp?key=quer%79-1 pass-word query-1"), "https://host/mcp?*** *** ***");
        assert_eq!(clean("nothing"), "nothing");
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_left() {
        assert_eq!(redactor("http://host/mcp", &["", "a", "abc"]).clean("a banana".to_owned()), "a banana");
    }

    #[test]
    fn a_line_is_one_line() {
        let redactor = redactor("http://host/mcp", &["tok-1"]);
        assert_eq!(redactor.line(" a\u{1b}[31m tok-1\r\nb \n", 12), "a [31m ***  ");
        assert_eq!(redactor.line("\u{1b}tok-1\n", 12), "***");
    }
}
