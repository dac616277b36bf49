//! Tokens counted from text, for answers that come without a count.

use crate::model::{ChatMessage, ToolCall, ToolSpec, Usage};

/// English prose has about four characters to a token in the common vocabularies.
const CHARS_PER_TOKEN: u64 = 4;

/// What chat formats add to every message for its role and its borders.
const TOKENS_PER_MESSAGE: u64 = 4;

/// The usage of a call as far as its texts tell it.
pub(crate) fn estimate(messages: &[ChatMessage], answer: &str) -> Usage {
    estimate_all(messages, &[], answer, &[])
}

/// The same of a call with tools: those that were offered are read, those that were asked for written.
pub(crate) fn estimate_all(
    messages: &[ChatMessage],
    tools: &[ToolSpec],
    answer: &str,
    calls: &[ToolCall],
) -> Usage {
    let message = |m: &ChatMessage| TOKENS_PER_MESSAGE + tokens(&m.content) + of_calls(&m.tool_calls);
    let tool = |t: &ToolSpec| {
        TOKENS_PER_MESSAGE + tokens(&t.name) + tokens(&t.description) + tokens(&t.parameters.to_string())
    };
    let prompt_tokens = messages.iter().map(message).chain(tools.iter().map(tool)).sum();
    let completion_tokens = tokens(answer) + of_calls(calls);
    Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        estimated: true,
        ..Usage::default()
    }
}

fn of_calls(calls: &[ToolCall]) -> u64 {
    calls.iter().map(|call| TOKENS_PER_MESSAGE + tokens(&call.name) + tokens(&call.arguments)).sum()
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

    #[test]
    fn tools_count_where_they_are_read_and_where_they_are_written() {
        let call =
            ToolCall { id: "1".to_owned(), name: "calc".to_owned(), arguments: "{\"a\":1}".to_owned() };
        let said = [ChatMessage::assistant("", vec![call.clone()])];
        let tool = ToolSpec {
            name: "calc".to_owned(),
            description: "1234".to_owned(),
            parameters: serde_json::json!({}),
        };
        let usage = estimate_all(&said, &[tool], "", &[call]);
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (4 + 7 + 4 + 3, 7));
    }
}
