//! Providers and the day's usage, as the overview and the system page show them.

use serde::Serialize;

use crate::{
    engine::lane::Cause,
    model::iso,
    service::{
        providers::ProviderStatus,
        usage::{DayUsage, Used},
    },
};

/// The most rows of a table of models.
const MOST_MODELS: usize = 6;

/// A provider, ready to print.
#[derive(Serialize)]
pub struct ProviderLine {
    name: String,
    host: String,
    model: Option<String>,
    default: bool,
    key_set: bool,
    /// The class of its badge, and what it says.
    kind: &'static str,
    label: &'static str,
    why: Option<String>,
    /// Until when it is not asked.
    until: Option<String>,
    rate: Option<String>,
    concurrency: Option<u32>,
    failures: u32,
    /// Whether a fresh start would change anything.
    can_reset: bool,
}

impl ProviderLine {
    pub fn new(status: &ProviderStatus) -> Self {
        let info = &status.info;
        let (kind, label, why, until) = match (&status.circuit, status.blocked_until) {
            (Some(open), _) => ("failed", cause(open.cause), Some(open.why.clone()), Some(open.until)),
            (None, Some(until)) => ("retrying", "asked to wait", None, Some(until)),
            (None, None) => ("completed", "is asked", None, None),
        };
        Self {
            name: info.name.clone(),
            host: info.host.clone(),
            model: info.model.clone(),
            default: info.default,
            key_set: info.key_set,
            can_reset: status.circuit.is_some()
                || status.blocked_until.is_some()
                || status.requests_per_second.is_some(),
            kind,
            label,
            why,
            until: until.map(|at| iso::format(&at)),
            rate: status.requests_per_second.map(|rate| format!("{rate:.2}")),
            concurrency: info.concurrency,
            failures: status.failures,
        }
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Limit => "not asked: rate limit",
        Cause::Auth => "not asked: key without right",
        Cause::Billing => "not asked: no credit",
        Cause::Down => "not asked: down",
    }
}

/// What was used, ready to print.
#[derive(Serialize)]
pub struct UsedLine {
    name: String,
    calls: u64,
    tokens: u64,
    prompt: u64,
    completion: u64,
    estimated: bool,
    cost: Option<String>,
    unpriced: u64,
}

impl UsedLine {
    fn new(name: &str, used: &Used) -> Self {
        Self {
            name: name.to_owned(),
            calls: used.calls,
            tokens: used.total_tokens,
            prompt: used.prompt_tokens,
            completion: used.completion_tokens,
            estimated: used.estimated_calls > 0,
            cost: used.cost_usd.map(|usd| usd.to_string()),
            unpriced: used.unpriced_calls,
        }
    }
}

/// The usage of a day.
#[derive(Serialize)]
pub struct DayLine {
    all: UsedLine,
    models: Vec<UsedLine>,
    /// How many models are left out.
    more: usize,
}

impl DayLine {
    pub fn new(day: &DayUsage) -> Self {
        let mut models: Vec<_> = day.by_model.iter().collect();
        models.sort_by_key(|(_, used)| std::cmp::Reverse(used.total_tokens));
        Self {
            all: UsedLine::new("", &day.total),
            more: models.len().saturating_sub(MOST_MODELS),
            models: models.iter().take(MOST_MODELS).map(|(name, used)| UsedLine::new(name, used)).collect(),
        }
    }
}
