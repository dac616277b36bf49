//! How much a model can read, where the provider's words say it. Pure.

/// Words that the number follows.
const BEFORE: &[&str] = &[
    "maximum context length is",
    "maximum context length of",
    "maximum context length:",
    "max context length is",
    "maximum model length of",
    "maximum prompt length is",
    "maximum input length is",
    "maximum number of tokens allowed",
    "maximum number of input tokens allowed",
    "available context size",
    "context length of only",
    "context length of",
    "context window of",
    "context limit of",
    "context size of",
    "must have less than",
    "must be <=",
    "cannot exceed",
    "while limit is",
    "): limit",
    "n_ctx",
];

/// Words that follow the number.
const AFTER: &[&str] =
    &["maximum context length", "token context", "tokens maximum", " maximum", "token limit"];

/// How many characters may stand between the words and the number: `: `, ` is `, ` (`.
const GAP: usize = 4;

/// Smaller numbers are of something else.
const LEAST: u64 = 16;

/// The number of tokens that a model can read, from an error about a prompt that is too long.
pub(super) fn context_limit(words: &str) -> Option<u64> {
    let words = words.to_lowercase();
    let mut limits = BEFORE
        .iter()
        .filter_map(|lead| words.find(lead).and_then(|at| number_at(&words[at + lead.len()..])))
        .chain(AFTER.iter().filter_map(|trail| words.find(trail).and_then(|at| number_before(&words[..at]))));
    limits.find(|limit| *limit >= LEAST)
}

/// `128000`, `128,000` or `128_000`, after a few other characters.
fn number_at(text: &str) -> Option<u64> {
    let start = text.char_indices().take(GAP + 1).find(|(_, c)| c.is_ascii_digit())?.0;
    let digits = &text[start..];
    number(digits.split(|c| !is_part(c)).next()?)
}

/// The number that a text ends with.
fn number_before(text: &str) -> Option<u64> {
    let text = text.trim_end();
    number(&text[text.trim_end_matches(is_part).len()..])
}

fn is_part(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, ',' | '_')
}

fn number(digits: &str) -> Option<u64> {
    digits.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn the_number_is_found_in_the_words_of_every_server() {
        for (words, limit) in [
            ("This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens.", Some(128_000)),
            ("This endpoint's maximum context length is 131,072 tokens. However, you requested about 200000 tokens", Some(131_072)),
            ("the request exceeds the available context size (2048 tokens), try increasing it", Some(2_048)),
            ("request (5000 tokens) exceeds the available context size: 4096", Some(4_096)),
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000)),
            ("the model is loaded with context length of only 4096 tokens. Try to load the model with a larger context length", Some(4_096)),
            ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", Some(1_048_576)),
            ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", Some(32_768)),
            ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", Some(4_096)),
            ("This model's maximum prompt length is 131072 but the request contains 200000 tokens.", Some(131_072)),
            ("Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", Some(4_096)),
            ("`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000", Some(8_193)),
            ("The prompt is too long: 140000, model maximum context length: 131071", Some(131_071)),
            ("Current length is 9000 while limit is 8192", Some(8_192)),
            ("too many tokens: total number of tokens in the prompt cannot exceed 4081", Some(4_081)),
            ("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000", Some(6_000)),
            ("Your input exceeds the context window of this model. Please adjust your input and try again.", None),
            ("the request exceeds the available context size, try increasing it", None),
            ("maximum context length is a secret; 3 tries", None),
            ("maximum context length is 99999999999999999999999999 tokens", None),
            ("", None),
        ] {
            assert_eq!(context_limit(words), limit, "{words}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_words_are_read(words in "(maximum context length is|must be <=|[0-9, ]{0,30}|ä| maximum){0,6}") {
            let _ = context_limit(&words);
        }
    }
}
