//! Which class of failure an error answer is. Pure: status, headers and body in, error out.
//!
//! The provider's own codes are asked first, then its words, then the status: the same 429 stands for a
//! full minute at one provider and for an empty account at another, and they call for opposite actions.

use super::{
    retry::{Hints, span_in_words},
    said::Said,
    text,
    wording::Wording,
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
    ("budget_exceeded", Billing),
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
    ("server_error", Unavailable),
    ("server_is_overloaded", Unavailable),
    ("overloaded_error", Unavailable),
    ("unavailable_error", Unavailable),
    ("engine_overloaded", Unavailable),
    // The model's own words are no tool call or no JSON: other words may be.
    ("tool_use_failed", BadAnswer),
    ("json_validate_failed", BadAnswer),
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
    "maximum model length",
    "maximum prompt length",
    "too large for model",
    "string too long",
    "must have less than",
    "too many input tokens",
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
    ("model has crashed", Unavailable),
    ("model has unloaded", Unavailable),
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
    "key limit exceeded",
    "budget has been exceeded",
];

/// Words of a limit that the next minute lifts.
const MINUTE: &[&str] =
    &["per minute", "per second", "per-minute", "concurren", "(rpm)", "(tpm)", "retry in", "try again in"];

/// The error that a provider's words are, whether they came with an error status or inside a success.
pub(super) fn classify(status: u16, hints: &Hints, said: &Said, wording: &Wording) -> ModelError {
    let words = said.message.to_lowercase();
    // Inside a success the number in the body is the only status there is.
    let meant = if status < 300 { said.number.unwrap_or(status) } else { status };
    let kind = kind(meant, hints, said, &words);
    let code = said.names.first().cloned().or_else(|| said.number.map(|n| n.to_string()));
    let code = code.map(|c| wording.quote(&c, 100));
    let retry_after = match kind {
        RateLimited => hints.retry_after.or_else(|| span_in_words(&words)),
        _ => hints.retry_after,
    };
    ModelError {
        kind,
        message: message(kind, meant, hints, said, &code, wording),
        status: Some(status),
        code,
        retry_after,
        requests: 1,
        context_limit: said.context_limit.filter(|_| kind == ContextTooLong),
    }
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

fn message(
    kind: ModelErrorKind,
    status: u16,
    hints: &Hints,
    said: &Said,
    code: &Option<String>,
    wording: &Wording,
) -> String {
    let Wording { who, key, base_url, model, .. } = wording;
    let what = match (kind, status) {
        (Auth, _) => format!("{who} refuses the key (check {key})"),
        (Billing, _) => format!("the account at {who} has no credit left or has reached its spending limit"),
        (RateLimited, _) => format!("{who} limits how much may be asked"),
        (Unavailable, _) => format!("{who} cannot answer now"),
        (UnknownModel, _) => {
            format!("{who} does not have this model (check the agent's model and {model})")
        }
        (ContextTooLong, _) => "the prompt is longer than the model can read".to_owned(),
        (Refused, _) => format!("the filter of {who} refused the prompt"),
        (BadRequest, 300..400) => format!("{who} redirects elsewhere (set {base_url} to the final address)"),
        (BadRequest, 404 | 405) => format!("{who} has no such address (check {base_url})"),
        (BadAnswer, _) => format!("{who} answered an error instead of a completion"),
        _ => format!("{who} refused the request"),
    };
    let quote = wording.quote(&said.message, text::MAX_QUOTE);
    let quote = if quote.is_empty() { "it says nothing more".to_owned() } else { quote };
    let code = code.as_deref().map(|c| format!(", code {c}")).unwrap_or_default();
    let id = hints.request_id.as_deref().map(|id| format!(", request {}", wording.quote(id, 100)));
    format!("{what}: {quote} (HTTP {status}{code}{})", id.unwrap_or_default())
}
