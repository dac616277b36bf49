//! Tokens counted from text, for answers that come without a count.

use crate::model::{ChatMessage, Usage};

/// English prose has about four characters to a token in the common vocabularies.
const CHARS_PER_TOKEN: u64 = 4;

/// What chat formats add to every message for its role and its borders.
const TOKENS_PER_MESSAGE: u64 = 4;

/// The usage of a call as far as its texts tell it.
pub(crate) fn estimate(messages: &[ChatMessage], answer: &str) -> Usage {
    let prompt_tokens = messages.iter().map(|m| TOKENS_PER_MESSAGE + tokens(&m.content)).sum();
    let completion_tokens = tokens(answer);
    Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        estimated: true,
        ..Usage::default()
    }
}

fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(CHARS_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_characters_are_a_token_and_a_rest_is_one_more() {
        let usage = estimate(&[ChatMessage::user("12345678"), ChatMessage::system("äöüß!")], "123");
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (12, 1, 13));
        assert!(usage.estimated);
    }
}
