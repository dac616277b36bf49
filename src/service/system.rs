//! The state of the whole: health, status, self-check, overview.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    engine::templates,
    model::{Agent, Price, Timestamp, WorkerInfo, WorkflowStatus, iso},
    store::{IndexName, MAX_BATCH, QueueDepth, StoreError, StoreReport},
    telemetry::counters,
};

use super::{Foundation, ServiceError, agents, listing, records};

/// How long a health answer is used again.
const HEALTH_CACHE: Duration = Duration::from_secs(5);

/// The version as health and status tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The answer of `/system/health`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; `error` while the store is away or a worker takes no work; `draining` when the process is stopping.
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
}

impl Health {
    /// Whether it is able to work.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The answer of `/system/status`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    #[schema(example = "2026-11-22 10:18:25")]
    pub timestamp: String,
    pub redis_connected: bool,
    /// Whether an API key for the model provider is set.
    pub openai_key_active: bool,
    /// Whether the log file exists.
    pub worker_log_active: bool,
    /// Whether a worker was heard of in the last minute.
    pub worker_alive: bool,
    /// The provider that is asked by default: `openai`, another configured one, or `simulated`.
    pub provider: String,
    pub model: String,
    pub store: String,
    /// The configured model providers, by name. Never a key.
    pub providers: Vec<ProviderInfo>,
    /// How much is kept.
    pub kept: Kept,
}

/// How much the store keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Kept {
    /// What the store takes: of the disk, or of Redis' memory; null where it does not say.
    #[schema(example = json!(41_943_040))]
    pub bytes: Option<u64>,
    /// What of these the next writes use before it grows; null for Redis.
    #[schema(example = json!(1_048_576))]
    pub free_bytes: Option<u64>,
    pub workflows: u64,
    pub jobs: u64,
    pub results: u64,
    pub dead_jobs: u64,
    pub uploads: u64,
}

/// A configured model provider, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderInfo {
    #[schema(example = "groq")]
    pub name: String,
    /// The host that is asked, with its port if that is not the usual one.
    #[schema(example = "api.groq.com")]
    pub host: String,
    /// `chat` or `responses`.
    #[schema(example = "chat")]
    pub api: String,
    /// The model that is asked when none is named; null when there is none.
    #[schema(example = "llama-3.3-70b-versatile")]
    pub model: Option<String>,
    /// Whether a key is set.
    pub key_set: bool,
    /// Whether it is asked when a model names no provider.
    pub default: bool,
    /// How many jobs may ask it at once, over all processes; null: any number.
    #[schema(example = json!(8))]
    pub concurrency: Option<u32>,
}

/// What the overview page shows.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub results: u64,
    pub queued: u64,
    pub due: u64,
    pub leased: u64,
    pub dead: u64,
    pub workers: Vec<WorkerInfo>,
    /// `sqlite` or `redis`.
    pub store: &'static str,
    pub provider: String,
    pub model: String,
    pub simulated: bool,
    pub uptime_seconds: f64,
    pub version: &'static str,
}

#[derive(Clone)]
pub struct System {
    base: Arc<Foundation>,
    started: Instant,
    health: Arc<Mutex<Option<(Instant, Health)>>>,
    engine: Arc<Mutex<Option<&'static str>>>,
    draining: Arc<AtomicBool>,
}

impl System {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self {
            base,
            started: Instant::now(),
            health: Arc::default(),
            engine: Arc::default(),
            draining: Arc::default(),
        }
    }

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
        if connected {
            problems.extend(self.idle_workers().await);
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
        }
    }

    /// The workers that live and have free slots, but have stopped asking for work.
    async fn idle_workers(&self) -> Vec<String> {
        let workers = self.workers().await.unwrap_or_default();
        let idle = workers.iter().filter(|worker| worker.is_idle_alive());
        idle.map(|worker| format!("worker {} lives but takes no work; restart its process", worker.worker_id))
            .collect()
    }

    /// The engine's name, asked once.
    async fn engine(&self) -> &'static str {
        if let Ok(known) = self.engine.lock()
            && let Some(name) = *known
        {
            return name;
        }
        let Ok(report) = self.base.store.check().await else { return "unknown" };
        if let Ok(mut known) = self.engine.lock() {
            *known = Some(report.engine);
        }
        report.engine
    }

    /// The legacy status summary.
    pub async fn status(&self) -> Result<Status, ServiceError> {
        let alive = self.base.store.get(&[records::heartbeat_key()]).await?.pop().flatten().is_some();
        let engine = self.engine().await;
        Ok(Status {
            timestamp: self.base.clock.now().format("%Y-%m-%d %H:%M:%S").to_string(),
            redis_connected: engine == "redis",
            openai_key_active: self.base.key_configured,
            worker_log_active: self.base.log_folder.join("app.log").exists(),
            worker_alive: alive,
            provider: self.base.provider.name().to_owned(),
            model: self.base.provider.default_model().to_owned(),
            store: engine.to_owned(),
            providers: self.base.providers.to_vec(),
            kept: self.kept().await?,
        })
    }

    /// How much is kept now.
    pub async fn kept(&self) -> Result<Kept, ServiceError> {
        let store = self.base.store.as_ref();
        let size = store.check().await?.size;
        let count = |kind| async move { store.count(&IndexName::all(kind)).await };
        Ok(Kept {
            bytes: size.map(|size| size.bytes),
            free_bytes: size.and_then(|size| size.free),
            workflows: count(records::WORKFLOW).await?,
            jobs: count(records::JOB).await?,
            results: count(records::RESULT).await?,
            dead_jobs: count(records::DEAD_JOB).await?,
            uploads: count(records::UPLOAD).await?,
        })
    }

    /// From now on this process is on its way out: health says so, and answers end their connections.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether this process is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Checks every part and says what to do. Shows no secret, not even a part of one.
    pub async fn verify(&self) -> Value {
        let begun = Instant::now();
        // A store that answers and cannot be worked with (a key of a wrong type, say) is not ok.
        let report = match self.base.store.depth().await {
            Ok(_) => self.base.store.check().await,
            Err(e) => Err(e),
        };
        let latency_ms = (begun.elapsed().as_secs_f64() * 100_000.0).round() / 100.0;
        let mut warnings: Vec<String> = Vec::new();
        let store = match &report {
            Ok(report) => {
                warnings.extend(report.checks.iter().filter(|c| !c.ok).map(|c| c.detail.clone()));
                json!({"status": "ok", "latency_ms": latency_ms, "engine": report.engine,
                    "version": report.version, "checks": report.checks})
            }
            Err(e) => {
                warnings.push(e.to_string());
                json!({"status": "error", "error": e.to_string()})
            }
        };
        let simulated = self.base.provider.is_simulated();
        if simulated {
            warnings.push(
                "No model is configured: answers are simulated. Set OPENAI_API_KEY or OPENAI_BASE_URL, or \
                 name a provider in productforge.toml."
                    .to_owned(),
            );
        }
        let workers = self.workers().await.unwrap_or_default();
        if workers.is_empty() {
            warnings.push(
                "No worker is running: jobs wait. Start `productforge worker`, or `serve --workers 4`."
                    .to_owned(),
            );
        }
        if !workers.is_empty() && workers.iter().all(|worker| worker.draining) {
            warnings.push(
                "Every worker drains: jobs wait. Start `productforge worker`, or the process anew."
                    .to_owned(),
            );
        }
        let redis = match (self.engine().await, &report) {
            ("sqlite", _) => "not used",
            (_, Ok(_)) => "ok",
            (_, Err(_)) => "error",
        };
        let environment: serde_json::Map<String, Value> = self
            .base
            .environment
            .iter()
            .map(|(name, given)| ((*name).to_owned(), json!(if *given { "set" } else { "unset" })))
            .collect();
        let redis_ok = matches!(&report, Ok(StoreReport { engine: "redis", .. }));
        let healthy = report.is_ok() && warnings.is_empty();
        json!({
            "redis_ok": redis_ok,
            "openai_ok": !simulated,
            "env_vars_count": self.base.environment.iter().filter(|(_, given)| *given).count(),
            "templates_count": templates::all().len(),
            "uptime": self.started.elapsed().as_secs(),
            "app_version": VERSION,
            "status": if report.is_err() { "unhealthy" } else if healthy { "healthy" } else { "degraded" },
            "warnings": warnings,
            "checks": {
                "redis": {"status": redis, "latency_ms": latency_ms},
                "store": store,
                "openai": {"status": if simulated { "simulated" } else { "ok" }, "configured": !simulated,
                    "provider": self.base.provider.name(), "model": self.base.provider.default_model()},
                "providers": self.base.providers.as_ref(),
                "workers": {"status": if workers.is_empty() { "warning" } else { "ok" }, "alive": workers.len()},
                "environment": environment,
                "filesystem": {"status": "ok", "log_file": self.base.log_folder.join("app.log").exists()},
            },
        })
    }

    /// The workers that were heard of in the last minute.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, ServiceError> {
        let index = IndexName::all(records::WORKER);
        let store = self.base.store.as_ref();
        Ok(listing::page(store, records::WORKER, index, MAX_BATCH, None).await?.items)
    }

    /// The figures of the overview page.
    pub async fn overview(&self) -> Result<Overview, ServiceError> {
        let store = self.base.store.as_ref();
        let depth = store.depth().await?;
        let workflows = |status| {
            let index = records::workflows_by_status(status);
            async move { store.count(&index).await }
        };
        Ok(Overview {
            running: workflows(WorkflowStatus::Running).await?,
            completed: workflows(WorkflowStatus::Completed).await?,
            failed: workflows(WorkflowStatus::Failed).await?,
            results: store.count(&IndexName::all(records::RESULT)).await?,
            queued: depth.ready(),
            due: depth.due,
            leased: depth.leased,
            dead: store.count(&IndexName::all(records::DEAD_JOB)).await?,
            workers: self.workers().await?,
            store: self.engine().await,
            provider: self.base.provider.name().to_owned(),
            model: self.base.provider.default_model().to_owned(),
            simulated: self.base.provider.is_simulated(),
            uptime_seconds: self.uptime().as_secs_f64(),
            version: VERSION,
        })
    }

    /// Whether no model is configured, so that answers are simulated.
    pub fn is_simulated(&self) -> bool {
        self.base.provider.is_simulated()
    }

    /// Which model an agent asks first (no agent: the default model), as `provider/model`, and its price, if
    /// anybody knows it.
    pub fn price_of(&self, agent: Option<&Agent>) -> (String, Option<Price>) {
        let provider = self.base.provider.as_ref();
        let models = agent.map(|agent| agents::models(agent, provider)).unwrap_or_default();
        let route = provider.route(models.first().map(String::as_str));
        let price = self.base.prices.of(&route.provider, &route.model);
        (format!("{}/{}", route.provider, route.model), price)
    }

    /// The folder of the log files.
    pub fn log_folder(&self) -> &Path {
        &self.base.log_folder
    }

    /// The time, from the clock that everything else goes by.
    pub fn now(&self) -> Timestamp {
        self.base.clock.now()
    }

    /// Since this process began.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

fn human(uptime: Duration) -> String {
    let s = uptime.as_secs();
    format!("{}h {}m {}s", s / 3600, s / 60 % 60, s % 60)
}
