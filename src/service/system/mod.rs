//! The state of the whole: status and overview here, [`Health`] and the self-check in files of their own.

mod health;
mod verify;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::{Agent, Price, Timestamp, WorkerInfo, WorkflowStatus},
    store::{IndexName, MAX_BATCH},
};

pub use health::Health;

use super::{Foundation, ServiceError, agents, listing, records};

/// The version as health and status tell it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    /// The id of the worker in this process, once there is one.
    own_worker: Arc<OnceLock<String>>,
}

impl System {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self {
            base,
            started: Instant::now(),
            health: Arc::default(),
            engine: Arc::default(),
            draining: Arc::default(),
            own_worker: Arc::default(),
        }
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

    /// Says which worker runs in this process: health answers for it.
    pub fn set_own_worker(&self, id: &str) {
        let _ = self.own_worker.set(id.to_owned());
    }

    /// Whether this process is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
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
