//! How much a model call can use at the most, before it is made.

use crate::model::{ChatMessage, Price, ToolSpec, Usage, Usd};

/// Few texts have fewer bytes to a token; a budget is better kept by a guess that is too high.
const BYTES_PER_TOKEN: u64 = 3;
/// What chat formats add to every message.
const TOKENS_PER_MESSAGE: u64 = 8;

/// The most that a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    pub tokens: u64,
    /// By the dearest of the known prices; nothing when none is known.
    pub usd: Usd,
}

/// What a request with an answer of at most `max_tokens` can use.
pub fn most(messages: &[ChatMessage], tools: &[ToolSpec], max_tokens: u32, prices: &[Price]) -> Most {
    let message = |m: &ChatMessage| {
        let calls: usize = m.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        TOKENS_PER_MESSAGE + ((m.content.len() + calls) as u64).div_ceil(BYTES_PER_TOKEN)
    };
    let tool = |tool: &ToolSpec| {
        let length = tool.name.len() + tool.description.len() + tool.parameters.to_string().len();
        TOKENS_PER_MESSAGE + (length as u64).div_ceil(BYTES_PER_TOKEN)
    };
    let prompt_tokens = messages.iter().map(message).sum::<u64>() + tools.iter().map(tool).sum::<u64>();
    let completion_tokens = u64::from(max_tokens);
    let total_tokens = prompt_tokens + completion_tokens;
    let usage = Usage { prompt_tokens, completion_tokens, total_tokens, ..Usage::default() };
    let usd = prices.iter().map(|price| price.cost(&usage)).max().unwrap_or_default();
    Most { tokens: total_tokens, usd }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_model_counts_and_so_do_tools() {
        let messages = [ChatMessage::user("x".repeat(300))];
        let cheap = Price { input: 1.0, cached_input: Some(0.1), output: 2.0 };
        let dear = Price { input: 2.0, cached_input: None, output: 2.0 };
        let plain = most(&messages, &[], 50, &[cheap, dear]);
        assert_eq!((plain.tokens, plain.usd.nanos()), (108 + 50, 108 * 2_000 + 50 * 2_000));
        let tool =
            ToolSpec { name: "t".to_owned(), description: "d".to_owned(), parameters: serde_json::json!({}) };
        assert!(most(&messages, &[tool], 50, &[]).tokens > plain.tokens);
        assert_eq!(most(&messages, &[], 50, &[]).usd, Usd::ZERO);
    }
}
