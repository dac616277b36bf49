//! Metrics: what this process has counted, and what the store holds now.
//!
//! What a process counted is told in any case. What the store holds is told while it answers, soon
//! ([`PATIENCE`]); `store_up` says whether it did. So a store that is away is a figure, not a gap.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    model::WorkflowStatus,
    store::IndexName,
    telemetry::{
        counters,
        metrics::{self, Metric},
    },
};

use super::{
    Foundation, Providers, Queues, ServiceError, System,
    execution::budget::{HELD_NANOS, HELD_TOKENS, USED_NANOS, USED_TOKENS},
    keys::DEFAULT_NAME,
    records, usage,
};

/// How long the store may take to say what it holds: scrapers give up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Metrics {
    base: Arc<Foundation>,
    system: System,
    queues: Queues,
    providers: Providers,
}

impl Metrics {
    pub(super) fn new(base: Arc<Foundation>, system: System) -> Self {
        let (queues, providers) = (Queues::new(base.clone()), Providers::new(base.clone()));
        Self { base, system, queues, providers }
    }

    /// All metrics.
    pub async fn read(&self) -> Vec<Metric> {
        let uptime = self.system.uptime().as_secs_f64();
        let uploads = counters::UPLOADS.get();
        let average = if uploads > 0 { counters::UPLOAD_MS.get() as f64 / uploads as f64 } else { 0.0 };
        let mut all = vec![
            one("uptime_seconds", "Seconds since this process began", uptime),
            one("upload_avg_duration_ms", "What an upload took on average, in milliseconds", average),
        ];
        let held = tokio::time::timeout(PATIENCE, self.of_store()).await;
        let up = matches!(held, Ok(Ok(_)));
        all.push(one("store_up", "Whether the store answers: 1, else 0", f64::from(u8::from(up))));
        match held {
            Ok(Ok(held)) => all.extend(held),
            Ok(Err(e)) => log::debug!("metrics: what the store holds is left out: {e}"),
            Err(_) => log::debug!("metrics: what the store holds is left out: no answer within {PATIENCE:?}"),
        }
        all.extend(counters::all());
        all.extend(metrics::process());
        all
    }

    /// What the store holds, for all processes.
    async fn of_store(&self) -> Result<Vec<Metric>, ServiceError> {
        let store = self.base.store.as_ref();
        let begun = Instant::now();
        store.now().await?;
        let latency_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        let running = store.count(&records::workflows_by_status(WorkflowStatus::Running)).await?;
        let paused = store.count(&records::workflows_by_status(WorkflowStatus::Paused)).await?;
        let queues = self.queues.list().await?;
        let by_queue = |name, help, value: fn(&super::queues::QueueInfo) -> f64| {
            let label = |list: &str| Some(("queue", list.to_owned()));
            Metric::gauge(name, help, queues.queues.iter().map(|q| (label(q.list), value(q))))
        };
        let states = [("due", queues.due), ("parked", queues.parked), ("leased", queues.leased)];
        let states = states.map(|(state, number)| (Some(("state", state.to_owned())), number as f64));
        let dead = store.count(&IndexName::all(records::DEAD_JOB)).await?;
        let results = store.count(&IndexName::all(records::RESULT)).await?;
        let workers = self.system.workers().await?.len();
        let mut all = vec![
            one("active_workflows", "Workflows that run", running as f64),
            one("paused_workflows", "Workflows that wait for somebody", paused as f64),
            one("redis_latency_ms", "One round trip to the store, in milliseconds", latency_ms),
            by_queue("queue_ready", "Jobs that are ready, by queue", |q| q.depth as f64),
            by_queue(
                "queue_oldest_age_seconds",
                "Seconds that the job which is taken next has been ready",
                |q| q.oldest_age_seconds.unwrap_or(0.0),
            ),
            by_queue("queue_paused", "Whether nothing is taken from a queue: 1, else 0", |q| {
                f64::from(u8::from(q.paused))
            }),
            Metric::gauge("jobs", "Jobs by where they are", states),
            one("dead_jobs", "Jobs in the dead set", dead as f64),
            one("results", "Results that are kept", results as f64),
            one("workers", "Workers that were heard of in the last minute", workers as f64),
        ];
        all.extend(self.of_providers().await?);
        all.extend(self.of_budgets().await?);
        Ok(all)
    }

    async fn of_providers(&self) -> Result<[Metric; 2], ServiceError> {
        let providers = self.providers.list().await?;
        let each = |name, help, value: fn(&super::providers::ProviderStatus) -> bool| {
            let label = |provider: &str| Some(("provider", provider.to_owned()));
            let values = providers.iter().map(|p| (label(&p.info.name), f64::from(u8::from(value(p)))));
            Metric::gauge(name, help, values)
        };
        Ok([
            each("provider_circuit_open", "Whether a provider is not asked: 1, else 0", |p| {
                p.circuit.is_some()
            }),
            each("provider_blocked", "Whether a provider asked to wait: 1, else 0", |p| {
                p.blocked_until.is_some()
            }),
        ])
    }

    /// How much of today's budgets is used, where there are any: of all work, and of the key of `API_KEY`.
    async fn of_budgets(&self) -> Result<Option<Metric>, ServiceError> {
        let day = usage::day_of(self.base.clock.now());
        let mut scopes = vec![("day", format!("budget:day:{day}"), self.base.budgets.day)];
        // What named keys have used stands with them: their number is not bounded enough for labels.
        let owner = usage::short(format!("budget:key:{day}:{DEFAULT_NAME}"));
        scopes.push(("api_key", owner, self.base.budgets.key));
        scopes.retain(|(_, _, limit)| limit.tokens.is_some() || limit.usd.is_some());
        if scopes.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = scopes.iter().map(|(_, tally, _)| tally.clone()).collect();
        let tallies = self.base.store.tallies(&names).await?;
        let mut values = Vec::new();
        for ((scope, _, limit), tally) in scopes.iter().zip(tallies) {
            let used = |used: &str, held: &str| {
                let get = |field: &str| tally.get(field).copied().unwrap_or(0);
                (get(used) - get(held)).max(0) as f64
            };
            let mut tell = |unit: &str, share: f64| {
                values.push((Some(("budget", format!("{scope}_{unit}"))), share));
            };
            if let Some(tokens) = limit.tokens.filter(|tokens| *tokens > 0) {
                tell("tokens", used(USED_TOKENS, HELD_TOKENS) / tokens as f64);
            }
            if let Some(usd) = limit.usd.filter(|usd| usd.nanos() > 0) {
                tell("usd", used(USED_NANOS, HELD_NANOS) / usd.nanos() as f64);
            }
        }
        let help = "The share of a budget of today that is used, 0 to 1; what runs is not counted yet";
        Ok(Some(Metric::gauge("budget_used_ratio", help, values)))
    }
}

fn one(name: &'static str, help: &'static str, value: f64) -> Metric {
    Metric::gauge(name, help, [(None, value)])
}
