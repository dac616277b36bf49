//! Alive and able to work?

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::{System, VERSION};
use crate::{
    model::{Timestamp, iso},
    service::records,
    store::{IndexName, QueueDepth, StoreError},
    telemetry::counters,
};

/// How long a health answer is used again.
const HEALTH_CACHE: Duration = Duration::from_secs(5);

/// The answer of `/system/health`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; `error` while the store is away or no worker, or the one in this process, takes work; `draining` when the process is stopping.
    #[schema(example = "ok")]
    pub status: String,
    pub uptime_seconds: f64,
    #[schema(example = "0h 4m 12s")]
    pub uptime_human: String,
    /// True when the state lives in Redis and Redis answers.
    pub redis_connected: bool,
    /// Jobs that are queued, due later or running.
    pub active_jobs: u64,
    /// Results that are kept now.
    pub total_results: u64,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    pub version: String,
    /// `sqlite` or `redis`.
    pub store: String,
    /// Whether the store answers.
    pub store_connected: bool,
    /// True when no model is configured and answers are simulated.
    pub simulated: bool,
    /// What makes it unable to work, a sentence each. Nothing when all is well.
    pub problems: Vec<String>,
    /// What somebody should look at, though it works: a worker elsewhere that takes no work.
    pub warnings: Vec<String>,
}

impl Health {
    /// Whether it is able to work.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

impl System {
    /// Alive and able to work? Answers from memory for 5 s; a store that is away is asked each time.
    pub async fn health(&self) -> Health {
        counters::HEALTH_REQUESTS.add(1);
        if !self.is_draining()
            && let Ok(cached) = self.health.lock()
            && let Some((at, health)) = cached.as_ref()
            && at.elapsed() < HEALTH_CACHE
        {
            counters::HEALTH_HITS.add(1);
            counters::CACHE_HITS.add(1);
            return health.clone();
        }
        counters::CACHE_MISSES.add(1);
        let health = self.fresh_health().await;
        if health.is_ok()
            && let Ok(mut cached) = self.health.lock()
        {
            *cached = Some((Instant::now(), health.clone()));
        }
        health
    }

    async fn fresh_health(&self) -> Health {
        let store = self.base.store.as_ref();
        let index = IndexName::all(records::RESULT);
        let answer: Result<(QueueDepth, u64), StoreError> =
            async { Ok((store.depth().await?, store.count(&index).await?)) }.await;
        let connected = answer.is_ok();
        let mut problems = Vec::new();
        let (depth, results) = answer.unwrap_or_else(|e| {
            // A store that knows what is wrong has logged it, once.
            let trouble = store.trouble();
            let level = if trouble.is_some() { log::Level::Debug } else { log::Level::Warn };
            log::log!(level, "health: {e}");
            problems.push(trouble.unwrap_or("the store does not answer").to_owned());
            (QueueDepth::default(), 0)
        });
        let mut warnings = Vec::new();
        if connected {
            let (unable, elsewhere) = self.idle_workers().await;
            problems.extend(unable);
            warnings = elsewhere;
        }
        let draining = self.is_draining();
        if draining {
            problems.push("this process is stopping: send requests to another one".to_owned());
        }
        let engine = self.engine().await;
        let uptime = self.started.elapsed();
        Health {
            status: match (problems.is_empty(), draining) {
                (true, _) => "ok",
                (false, true) => "draining",
                (false, false) => "error",
            }
            .to_owned(),
            uptime_seconds: (uptime.as_secs_f64() * 100.0).round() / 100.0,
            uptime_human: human(uptime),
            redis_connected: connected && engine == "redis",
            active_jobs: depth.open(),
            total_results: results,
            timestamp: self.base.clock.now(),
            version: VERSION.to_owned(),
            store: engine.to_owned(),
            store_connected: connected,
            simulated: self.base.provider.is_simulated(),
            problems,
            warnings,
        }
    }

    /// The workers that live and have free slots, but have stopped asking for work: first those that make this process
    /// unable to work, its own and any where no other one works; then the rest. One process that hangs must not take
    /// all servers out of a balancer.
    async fn idle_workers(&self) -> (Vec<String>, Vec<String>) {
        let workers = self.workers().await.unwrap_or_default();
        let one_works = workers.iter().any(|worker| !worker.is_idle_alive() && !worker.draining);
        let is_own = |id: &str| self.own_worker.get().is_some_and(|own| own == id);
        let idle = workers.iter().filter(|worker| worker.is_idle_alive()).map(|worker| &worker.worker_id);
        let (unable, elsewhere): (Vec<_>, Vec<_>) = idle.partition(|id| !one_works || is_own(id));
        let told = |ids: Vec<&String>| {
            ids.into_iter()
                .map(|id| format!("worker {id} lives but takes no work; restart its process"))
                .collect()
        };
        (told(unable), told(elsewhere))
    }
}

fn human(uptime: Duration) -> String {
    let s = uptime.as_secs();
    format!("{}h {}m {}s", s / 3600, s / 60 % 60, s % 60)
}
