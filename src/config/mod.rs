//! Configuration: flags win over environment variables, those over defaults. Every problem is
//! named at once, every value remembers where it came from, secrets never show.

mod concurrency;
mod provider;
mod reader;
mod secret;

use std::{net::IpAddr, path::PathBuf, time::Duration};

pub use concurrency::ModelConcurrency;
pub use provider::{ApiStyle, ModelTimeouts, PriceConfig, ProviderConfig};
pub use reader::{ConfigError, Flags, Setting, Source};
pub use secret::Secret;

use reader::Reader;

/// How the HTTP server listens and whom it lets in.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `--host`, `HOST`. Loopback unless told otherwise; all addresses when `RAILWAY_ENVIRONMENT` is set.
    pub host: IpAddr,
    /// `--port`, `PORT`. 0 takes a free one.
    pub port: u16,
    /// `API_KEY`. When set, everything but the public paths needs it.
    pub api_key: Option<Secret>,
    /// `--open`: listen beyond loopback without any key, as the legacy system did.
    pub open: bool,
    /// `CORS_ORIGINS`, comma-separated; `https://*.example.com` allows every sub-domain.
    pub cors_origins: Vec<String>,
}

/// Where state lives.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `REDIS_URL`. Without it the embedded store is used.
    pub redis_url: Option<Secret>,
    /// `REDIS_PREFIX`, put before every key; `{pf}:` keeps all keys in one slot of a Redis Cluster.
    pub redis_prefix: String,
    /// `WORKSPACE_DIR`: logs and the embedded store.
    pub workspace: PathBuf,
    /// `RESULT_TTL` (seconds): how long results are kept.
    pub result_ttl: Duration,
}

/// Which model does the work.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// `OPENAI_API_KEY`.
    pub api_key: Option<Secret>,
    /// `OPENAI_BASE_URL`. Alone it is enough (Ollama, vLLM, llama.cpp).
    pub base_url: Option<String>,
    /// `OPENAI_MODEL`: the default model.
    pub model: String,
    /// `MODEL_TIMEOUT` (seconds): the most one request may take.
    pub timeout: Duration,
    /// `MODEL_MAX_TOKENS`: the most tokens an answer may have.
    pub max_tokens: Option<u32>,
    /// `SIMULATED_LATENCY_MS`: how long the simulated model "thinks".
    pub simulated_latency: Duration,
}

impl LlmConfig {
    /// Whether no model is configured, so that answers are simulated.
    pub fn is_simulated(&self) -> bool {
        self.api_key.is_none() && self.base_url.is_none()
    }
}

/// In which order a worker looks into the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueOrder {
    /// Everything urgent first, always.
    Strict,
    /// Every queue is first now and then: in ten looks 6 times high, 3 times normal, once low.
    Weighted,
}

/// How work is done.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// `--workers`, `WORKERS`: jobs run at once by this process.
    pub slots: usize,
    /// `LEASE_SECONDS`: how long a job stays with a worker that is not heard of.
    pub lease: Duration,
    /// `JOB_MAX_ATTEMPTS`: failed attempts before a job is dead.
    pub max_attempts: u32,
    /// `RETRY_BASE_SECONDS`: the ceiling of the wait before the second attempt; it doubles with every failure.
    pub retry_base: Duration,
    /// `JOB_TIMEOUT` (seconds): how long one attempt may take where the job does not say.
    pub job_timeout: Duration,
    /// `MODEL_CONCURRENCY`: how many jobs may run at once by model, over all workers.
    pub model_concurrency: ModelConcurrency,
    /// `QUEUE_ORDER`: in which order the queues are looked into.
    pub queue_order: QueueOrder,
    /// `DRAIN_SECONDS`: how long a stopping process waits for running jobs.
    pub drain: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_LEVEL`: an env_logger filter such as `info` or `productforge::store=debug`.
    pub filter: String,
    /// `LOG_FORMAT=json` writes JSON lines.
    pub json: bool,
}

/// Everything a process needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    pub http: HttpConfig,
    pub store: StoreConfig,
    pub llm: LlmConfig,
    pub worker: WorkerConfig,
    pub log: LogConfig,
    /// `MAX_UPLOAD_SIZE` in bytes.
    pub max_upload_size: u64,
    /// `UPLOAD_TTL` (seconds).
    pub upload_ttl: Duration,
    /// Whether `RAILWAY_ENVIRONMENT` is set: the process runs on Railway.
    pub railway: bool,
    /// Every effective value with its source, for `productforge config`.
    pub settings: Vec<Setting>,
}

const DEFAULT_CORS: &str = "http://localhost:3000,https://*.netlify.app";

impl Config {
    /// Reads flags and the process environment.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::from_parts(flags, |name| std::env::var(name).ok())
    }

    /// Reads flags and any environment; an empty variable counts as not set.
    pub fn from_parts(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut r = Reader::new(flags, &env);
        let railway = r.optional("RAILWAY_ENVIRONMENT", Ok).is_some();
        let default_host = if railway { "0.0.0.0" } else { "127.0.0.1" };
        let http = HttpConfig {
            host: r.value("HOST", default_host, |v| {
                let v = if v == "localhost" { "127.0.0.1".to_owned() } else { v };
                v.parse().map_err(|_| "must be an IP address such as 127.0.0.1 or 0.0.0.0".to_owned())
            }),
            port: r.value("PORT", "8000", reader::number(0, 65_535)),
            api_key: r.secret("API_KEY", |key| {
                if key.len() < 8 {
                    return Err("must have at least 8 characters".to_owned());
                }
                if !key.bytes().all(|b| (0x21..0x7f).contains(&b)) {
                    return Err("must be visible ASCII without spaces, to fit into a header".to_owned());
                }
                Ok(key)
            }),
            open: r.value("OPEN", "false", reader::boolean),
            cors_origins: r.value("CORS_ORIGINS", DEFAULT_CORS, reader::origins),
        };
        let store = StoreConfig {
            redis_url: r.secret("REDIS_URL", reader::redis_url),
            redis_prefix: r.value("REDIS_PREFIX", "", reader::key_prefix),
            workspace: r.value("WORKSPACE_DIR", "workspace", |v| Ok(PathBuf::from(v))),
            result_ttl: r.value("RESULT_TTL", "3600", reader::seconds(1, 10 * 365 * 86_400)),
        };
        let llm = LlmConfig {
            api_key: r.secret("OPENAI_API_KEY", |key| {
                if key.bytes().all(|b| (0x21..0x7f).contains(&b)) {
                    Ok(key)
                } else {
                    Err("must be visible ASCII without spaces, to fit into a header".to_owned())
                }
            }),
            base_url: r.optional("OPENAI_BASE_URL", reader::http_url),
            model: r.value("OPENAI_MODEL", "gpt-4o-mini", Ok),
            timeout: r.value("MODEL_TIMEOUT", "600", reader::seconds(1, 86_400)),
            max_tokens: r.optional("MODEL_MAX_TOKENS", reader::number(1, 10_000_000)),
            simulated_latency: Duration::from_millis(r.value(
                "SIMULATED_LATENCY_MS",
                "0",
                reader::number(0, 3_600_000),
            )),
        };
        let worker = WorkerConfig {
            slots: r.value("WORKERS", "4", reader::number(0, 10_000)),
            lease: r.value("LEASE_SECONDS", "30", reader::seconds(1, 3_600)),
            max_attempts: r.value("JOB_MAX_ATTEMPTS", "4", reader::number(1, 100)),
            retry_base: r.value("RETRY_BASE_SECONDS", "2", reader::seconds(0, 3_600)),
            job_timeout: r.value("JOB_TIMEOUT", "3600", reader::seconds(1, 86_400)),
            model_concurrency: r.optional("MODEL_CONCURRENCY", concurrency::parse).unwrap_or_default(),
            queue_order: r.value("QUEUE_ORDER", "strict", |v| match v.as_str() {
                "strict" => Ok(QueueOrder::Strict),
                "weighted" => Ok(QueueOrder::Weighted),
                _ => Err("must be strict or weighted".to_owned()),
            }),
            drain: r.value("DRAIN_SECONDS", "25", reader::seconds(0, 3_600)),
        };
        let log = LogConfig {
            filter: r.value("LOG_LEVEL", "info", reader::log_filter),
            json: r.value("LOG_FORMAT", "text", |v| match v.as_str() {
                "text" => Ok(false),
                "json" => Ok(true),
                _ => Err("must be text or json".to_owned()),
            }),
        };
        let max_upload_size = r.value("MAX_UPLOAD_SIZE", "52428800", reader::number(1, 1 << 40));
        let upload_ttl = r.value("UPLOAD_TTL", "604800", reader::seconds(1, 10 * 365 * 86_400));
        let settings = r.finish()?;
        Ok(Self { http, store, llm, worker, log, max_upload_size, upload_ttl, railway, settings })
    }
}
