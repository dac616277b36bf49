//! Tokens and money as providers count them.

use serde_json::Value;

use crate::model::{Usage, Usd};

/// No call uses more; a larger number is nonsense that would spoil sums.
const MOST_TOKENS: u64 = 1 << 40;

/// The counts of the provider; `None` when it gave none that could be true.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let prompt_tokens = count(usage, &["/prompt_tokens", "/input_tokens"]);
    let completion_tokens = count(usage, &["/completion_tokens", "/output_tokens"]);
    if prompt_tokens + completion_tokens == 0 {
        return None;
    }
    let cached = count(
        usage,
        &[
            "/prompt_tokens_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            // DeepSeek, Moonshot
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
        ],
    );
    let reasoning = count(
        usage,
        &["/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens"],
    );
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: count(usage, &["/total_tokens"]).max(prompt_tokens + completion_tokens),
        cached_tokens: cached.min(prompt_tokens),
        reasoning_tokens: reasoning.min(completion_tokens),
        estimated: false,
    })
}

/// What the provider says that it cost.
pub(super) fn cost(usage: &Value) -> Option<Usd> {
    let cost = &usage["cost"];
    let mut dollars = cost.as_f64().or_else(|| cost["total_cost"].as_f64())?;
    // OpenRouter with the user's own key for the server behind it: its own cost is only the fee.
    if usage["is_byok"] == true {
        dollars += usage["cost_details"]["upstream_inference_cost"].as_f64().unwrap_or_default();
    }
    Usd::from_dollars(dollars)
}

/// The first of these numbers that is one.
fn count(usage: &Value, paths: &[&str]) -> u64 {
    let number =
        |field: &Value| field.as_u64().or_else(|| field.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64));
    let first = paths.iter().find_map(|path| number(usage.pointer(path)?));
    first.unwrap_or_default().min(MOST_TOKENS)
}
