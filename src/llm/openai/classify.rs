//! Which class of failure an error answer is. Pure: status, headers and body in, error out.
//!
//! The provider's own codes are asked first, then its words, then the status: the same 429 stands for a
//! full minute at one provider and for an empty account at another, and they call for opposite actions.

use serde_json::Value;

use super::{
    retry::{Hints, span_in_words},
    said::Said,
    text,
};
use crate::llm::{ModelError, ModelErrorKind};

use ModelErrorKind::{
    Auth, BadAnswer, BadRequest, Billing, ContextTooLong, RateLimited, Refused, Unavailable, UnknownModel,
};

/// Names that leave no doubt, as providers write them in `code`, `type` or `status` (compared without case).
const NAMES: &[(&str, ModelErrorKind)] = &[
    ("credit_balance_exhausted", Billing),
    ("organization_spend_limit_exceeded", Billing),
    ("project_spend_limit_exceeded", Billing),
    ("organization_usage_limit_exceeded", Billing),
    ("billing_hard_limit_reached", Billing),
    ("billing_not_active", Billing),
    ("billing_error", Billing),
    ("insufficient_balance", Billing),
    ("insufficient_credits", Billing),
    ("context_length_exceeded", ContextTooLong),
    ("exceed_context_size_error", ContextTooLong),
    ("context_window_exceeded", ContextTooLong),
    ("request_too_large", ContextTooLong),
    ("content_filter", Refused),
    ("content_policy_violation", Refused),
    ("responsibleaipolicyviolation", Refused),
    ("invalid_prompt", Refused),
    ("invalid_api_key", Auth),
    ("invalid_authentication", Auth),
    ("authentication_error", Auth),
    ("account_deactivated", Auth),
    ("permission_error", Auth),
    ("permission_denied", Auth),
    ("unauthenticated", Auth),
    ("model_not_found", UnknownModel),
    ("model_not_available", UnknownModel),
    ("model_decommissioned", UnknownModel),
    ("invalid_model", UnknownModel),
    ("deploymentnotfound", UnknownModel),
    ("rate_limit_exceeded", RateLimited),
    ("rate_limit_error", RateLimited),
    ("slow_down", RateLimited),
    ("too_many_requests", RateLimited),
    ("server_is_overloaded", Unavailable),
    ("overloaded_error", Unavailable),
    ("unavailable_error", Unavailable),
    ("engine_overloaded", Unavailable),
    ("not_supported_error", BadRequest),
    ("unsupported_parameter", BadRequest),
];

/// Words that tell a prompt that is too long, whatever the status and the code beside them: a request
/// larger than a whole minute's tokens comes as a rate limit error that no waiting cures.
const TOO_LONG: &[&str] = &[
    "maximum context length",
    "available context size",
    "context size has been exceeded",
    "context length exceeded",
    "larger context length",
    "context window",
    "prompt is too long",
    "input is too long",
    "request too large",
    "reduce the length of the messages",
    "exceeds the maximum number of tokens",
];

/// Words in 4xx bodies, in the order in which they are looked for.
const WORDS: &[(&str, ModelErrorKind)] = &[
    ("incorrect api key", Auth),
    ("invalid api key", Auth),
    ("api key not valid", Auth),
    ("missing api key", Auth),
    ("content management policy", Refused),
    ("was flagged", Refused),
    ("is not a valid model", UnknownModel),
    ("model not exist", UnknownModel),
    ("unknown model", UnknownModel),
    ("invalid model", UnknownModel),
    ("decommissioned", UnknownModel),
    ("no endpoints found", UnknownModel),
    ("unexpected endpoint", BadRequest),
];

/// Words of an account without money, unless the same text speaks of a limit per minute.
const NO_MONEY: &[&str] = &[
    "exceeded your current quota",
    "insufficient quota",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "credit balance is too low",
    "requires more credits",
    "purchased credits",
    "payment required",
    "spend limit",
    "spending limit",
];

/// Words of a limit that the next minute lifts.
const MINUTE: &[&str] =
    &["per minute", "per second", "per-minute", "concurren", "(rpm)", "(tpm)", "retry in", "try again in"];

/// The error that an answer with an error status is.
pub(super) fn classify(status: u16, hints: &Hints, body: &str) -> ModelError {
    error(status, hints, &Said::read(body))
}

/// The error in a body that came with a success status, if it holds one.
pub(super) fn classify_success(status: u16, hints: &Hints, body: &Value) -> Option<ModelError> {
    Said::in_success(body).map(|said| error(status, hints, &said))
}

fn error(status: u16, hints: &Hints, said: &Said) -> ModelError {
    let words = said.message.to_lowercase();
    // Inside a success the number in the body is the only status there is.
    let meant = if status < 300 { said.number.unwrap_or(status) } else { status };
    let kind = kind(meant, hints, said, &words);
    let code = said.names.first().cloned().or_else(|| said.number.map(|n| n.to_string()));
    let code = code.map(|c| text::one_line(&c, 100));
    let retry_after = match kind {
        RateLimited => hints.retry_after.or_else(|| span_in_words(&words)),
        _ => hints.retry_after,
    };
    ModelError {
        kind,
        message: message(kind, meant, hints, said, &code),
        status: Some(status),
        code,
        retry_after,
        requests: 1,
        context_limit: if kind == ContextTooLong { context_limit(&words) } else { None },
    }
}

/// How many tokens the model can read, where a complaint about a long prompt says so.
pub(super) fn context_limit(words: &str) -> Option<u64> {
    let leads = [
        "maximum context length is ",
        "context length is ",
        "maximum context length of ",
        "max context length of ",
        "context length of only ",
        "context length of ",
        "context window of ",
        "available context size (",
        "\"n_ctx\":",
        "n_ctx: ",
        "n_ctx = ",
        "limit of ",
        "limit is ",
        "maximum of ",
        "must have less than ",
    ];
    let number = |lead: &&str| {
        let (_, rest) = words.split_once(*lead)?;
        let rest = rest.trim_start();
        let digits: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, ',' | '_')).collect();
        digits.replace([',', '_'], "").parse::<u64>().ok()
    };
    // A model that reads less than this is none; a number larger than this is no limit.
    leads.iter().find_map(number).filter(|limit| (64..100_000_000).contains(limit))
}

fn kind(status: u16, hints: &Hints, said: &Said, words: &str) -> ModelErrorKind {
    let any = |needles: &[&str]| needles.iter().any(|n| words.contains(n));
    if any(TOO_LONG) {
        return ContextTooLong;
    }
    let named = said.names.iter().map(|n| n.to_lowercase());
    let named_kind = named.clone().find_map(|name| NAMES.iter().find(|(n, _)| *n == name).map(|(_, k)| *k));
    if let Some(kind) = named_kind {
        return kind;
    }
    if status < 500 {
        let minute = hints.minute_limit || any(MINUTE);
        if any(NO_MONEY) || named.clone().any(|n| n == "insufficient_quota") {
            return if minute { RateLimited } else { Billing };
        }
        if let Some((_, kind)) = WORDS.iter().find(|(needle, _)| words.contains(needle)) {
            return *kind;
        }
    }
    by_status(status, hints, words)
}

fn by_status(status: u16, hints: &Hints, words: &str) -> ModelErrorKind {
    match status {
        401 | 403 => Auth,
        402 if hints.retry_after.is_some() => RateLimited,
        402 => Billing,
        // A server without the path says "not found" too; only the model's name tells them apart.
        404 if words.contains("model") || words.contains("deployment") => UnknownModel,
        413 => ContextTooLong,
        429 => RateLimited,
        // 498: no capacity in a flexible tier. 499: a proxy lost its own client.
        408 | 409 | 425 | 498 | 499 | 500.. => Unavailable,
        300..500 => BadRequest,
        _ => BadAnswer,
    }
}

fn message(kind: ModelErrorKind, status: u16, hints: &Hints, said: &Said, code: &Option<String>) -> String {
    let what = match (kind, status) {
        (Auth, _) => "the provider refuses the key (check OPENAI_API_KEY)",
        (Billing, _) => "the provider's account has no credit left or has reached its spending limit",
        (RateLimited, _) => "the provider limits how much may be asked",
        (Unavailable, _) => "the provider cannot answer now",
        (UnknownModel, _) => {
            "the provider does not have this model (check the agent's model and OPENAI_MODEL)"
        }
        (ContextTooLong, _) => "the prompt is longer than the model can read",
        (Refused, _) => "the provider's filter refused the prompt",
        (BadRequest, 300..400) => {
            "the provider redirects elsewhere (set OPENAI_BASE_URL to the final address)"
        }
        (BadRequest, 404 | 405) => "the provider has no such address (check OPENAI_BASE_URL)",
        (BadAnswer, _) => "the provider answered an error instead of a completion",
        _ => "the provider refused the request",
    };
    let quote = text::one_line(&said.message, text::MAX_QUOTE);
    let quote = if quote.is_empty() { "it says nothing more".to_owned() } else { quote };
    let code = code.as_deref().map(|c| format!(", code {c}")).unwrap_or_default();
    let id = hints.request_id.as_deref().map(|id| format!(", request {}", text::one_line(id, 100)));
    format!("{what}: {quote} (HTTP {status}{code}{})", id.unwrap_or_default())
}
