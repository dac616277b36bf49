//! Usage: what model calls have used, by day, agent and model. Counted in the write that journals a call,
//! so that every call counts once, and read without looking at any call.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Days, NaiveDate, NaiveTime};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::{Call, Timestamp, Usd, derived_id},
    store::Add,
};

use super::{
    Foundation, ServiceError,
    analytics::{Classes, class_of, set_class},
};

/// How long the figures of a day are kept.
pub(super) const USAGE_KEPT_MS: u64 = 400 * 24 * 3_600 * 1_000;
/// How long a budget of a day is kept: longer than its day, whatever a slow worker still settles.
pub(super) const BUDGET_DAY_KEPT_MS: u64 = 3 * 24 * 3_600 * 1_000;
/// The longest name of a tally or of one of its fields.
const MAX_NAME_BYTES: usize = 256;
/// The most days that are told at once.
pub const MAX_DAYS: u32 = 92;
/// Stands between the parts of a field's name.
const BAR: char = '|';

/// What was used, by whomever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Used {
    /// Answered model calls.
    pub calls: u64,
    /// Requests that they took, tries that failed included.
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of these, tokens that the provider had read before.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    /// Of these, thoughts that do not show.
    pub reasoning_tokens: u64,
    pub total_tokens: u64,
    /// US dollars, as far as prices are known; null when none is.
    pub cost_usd: Option<Usd>,
    /// Calls of unknown price.
    pub unpriced_calls: u64,
    /// Calls whose tokens are counted from the text, because the provider reported none.
    pub estimated_calls: u64,
    /// Seconds of all calls, one after the other.
    pub seconds: f64,
    /// How many calls took so long; of models only.
    #[serde(skip)]
    #[schema(ignore)]
    pub classes: Classes,
}

impl Used {
    /// Adds what somebody else used, or the same one at another time.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.cached_tokens += other.cached_tokens;
        self.completion_tokens += other.completion_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.total_tokens += other.total_tokens;
        self.unpriced_calls += other.unpriced_calls;
        self.estimated_calls += other.estimated_calls;
        self.seconds += other.seconds;
        for (own, more) in self.classes.iter_mut().zip(other.classes) {
            *own += more;
        }
        if let Some(cost) = other.cost_usd {
            let sum = self.cost_usd.unwrap_or_default().nanos().saturating_add(cost.nanos());
            self.cost_usd = Some(Usd::from_nanos(sum));
        }
    }
}

/// What was used on one day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct DayUsage {
    /// The day in UTC.
    #[schema(example = "2026-11-22")]
    pub day: String,
    pub total: Used,
    /// By `provider/model`.
    pub by_model: BTreeMap<String, Used>,
    pub by_agent: BTreeMap<String, Used>,
}

#[derive(Clone)]
pub struct UsageReports {
    base: Arc<Foundation>,
}

impl UsageReports {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// The last days up to today, the newest first.
    pub async fn days(&self, number: u32) -> Result<Vec<DayUsage>, ServiceError> {
        let number = number.clamp(1, MAX_DAYS);
        let today = self.base.clock.now().date_naive();
        let days: Vec<NaiveDate> =
            (0..number).filter_map(|n| today.checked_sub_days(Days::new(u64::from(n)))).collect();
        let names: Vec<String> = days.iter().map(|day| format!("usage:{day}")).collect();
        let tallies = self.base.store.tallies(&names).await?;
        Ok(days.iter().zip(tallies).map(|(day, tally)| read(day.to_string(), &tally)).collect())
    }

    /// What was used today.
    pub async fn today(&self) -> Result<DayUsage, ServiceError> {
        Ok(self.days(1).await?.pop().unwrap_or_default())
    }
}

/// The day of a time, as tallies name it.
pub(super) fn day_of(now: Timestamp) -> String {
    now.date_naive().to_string()
}

/// The beginning of the next day.
pub(super) fn next_day(now: Timestamp) -> Timestamp {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    tomorrow.and_time(NaiveTime::MIN).and_utc()
}

/// A name that fits; one that is too long stands in a short form.
pub(super) fn short(name: String) -> String {
    if name.len() <= MAX_NAME_BYTES {
        return name;
    }
    let head: String = name.chars().take(40).collect();
    format!("{head}…{}", derived_id("tally", &name))
}

/// What a call adds to the figures of its day.
pub(super) fn adds(call: &Call, agent: &str) -> Vec<Add> {
    let tally = format!("usage:{}", day_of(call.ended_at));
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let figures = [
        ("calls", 1),
        ("requests", i64::from(call.requests)),
        ("prompt", whole(call.usage.prompt_tokens)),
        ("cached", whole(call.usage.cached_tokens)),
        ("completion", whole(call.usage.completion_tokens)),
        ("reasoning", whole(call.usage.reasoning_tokens)),
        ("tokens", whole(call.usage.total_tokens)),
        ("nanos", whole(call.cost_usd.unwrap_or_default().nanos())),
        ("unpriced", i64::from(call.cost_usd.is_none())),
        ("estimated", i64::from(call.usage.estimated)),
        ("ms", whole(call.duration_ms)),
    ];
    let model = format!("model{BAR}{}/{}", call.provider, call.model);
    let class = format!("b{}", class_of(whole(call.duration_ms)));
    let class = [(class.as_str(), 1)];
    let owners = ["all".to_owned(), model, format!("agent{BAR}{agent}")];
    let mut adds = Vec::new();
    for owner in owners {
        // Room for the longest figure.
        let owner = if owner.len() > MAX_NAME_BYTES - 20 { short(owner.repeat(9)) } else { owner };
        let of_model = owner.starts_with("model");
        for (figure, by) in figures.iter().chain(&class).filter(|(_, by)| *by != 0) {
            if *figure == class[0].0 && !of_model {
                continue;
            }
            adds.push(Add {
                tally: tally.clone(),
                field: format!("{owner}{BAR}{figure}"),
                by: *by,
                below: None,
                keep_ms: Some(USAGE_KEPT_MS),
            });
        }
    }
    adds
}

fn read(day: String, tally: &BTreeMap<String, i64>) -> DayUsage {
    let mut usage = DayUsage { day, ..DayUsage::default() };
    for (field, value) in tally {
        let Some((owner, figure)) = field.rsplit_once(BAR) else { continue };
        let value = u64::try_from(*value).unwrap_or(0);
        let used = match owner.split_once(BAR) {
            None if owner == "all" => &mut usage.total,
            Some(("model", name)) => usage.by_model.entry(name.to_owned()).or_default(),
            Some(("agent", name)) => usage.by_agent.entry(name.to_owned()).or_default(),
            _ => continue,
        };
        match figure {
            "calls" => used.calls = value,
            "requests" => used.requests = value,
            "prompt" => used.prompt_tokens = value,
            "cached" => used.cached_tokens = value,
            "completion" => used.completion_tokens = value,
            "reasoning" => used.reasoning_tokens = value,
            "tokens" => used.total_tokens = value,
            "nanos" => used.cost_usd = Some(Usd::from_nanos(value)),
            "unpriced" => used.unpriced_calls = value,
            "estimated" => used.estimated_calls = value,
            "ms" => used.seconds = value as f64 / 1_000.0,
            _ => set_class(&mut used.classes, figure, value),
        }
    }
    let all = std::iter::once(&mut usage.total).chain(usage.by_model.values_mut());
    for used in all.chain(usage.by_agent.values_mut()) {
        if used.unpriced_calls < used.calls {
            // What is free costs nothing, and that is known.
            used.cost_usd.get_or_insert(Usd::ZERO);
        }
    }
    usage
}
