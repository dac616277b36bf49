//! Configuration: flags win over environment variables, those over the file, that over defaults.
//!
//! Every problem is named at once, every value remembers where it came from, secrets never show.

mod budget;
mod concurrency;
mod file;
mod llm;
mod mcp;
mod mcp_servers;
mod preset;
mod prices;
mod provider;
mod providers;
#[cfg(test)]
mod providers_tests;
mod proxies;
mod reader;
mod redis;
mod redis_url;
mod secret;
mod section;
mod table;
#[cfg(test)]
mod tests;
mod trace;
mod upload;
mod values;
mod webhook;

use std::{net::IpAddr, path::PathBuf, time::Duration};

pub use budget::BudgetConfig;
pub use concurrency::ModelConcurrency;
pub use file::nearest;
pub use llm::LlmConfig;
pub use mcp::{McpConfig, McpTransport, inherited_environment};
pub use prices::PricesConfig;
pub use provider::{ApiStyle, ModelTimeouts, PriceConfig, ProviderConfig};
pub use proxies::TrustedProxies;
pub use reader::{ConfigError, Flags, Setting, Source};
pub use redis::RedisAccess;
pub use redis_url::{RedisServers, RedisUrl, has_hash_tag};
pub use secret::Secret;
pub use table::{Kind, Row, TABLE};
pub use trace::{OtlpProtocol, TraceConfig};
pub use upload::UploadConfig;
pub use webhook::WebhookConfig;

use file::ConfigFile;
use reader::Reader;

/// How the HTTP server listens and whom it lets in.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `--host`, `HOST`. Loopback unless told otherwise; all addresses when `RAILWAY_ENVIRONMENT` is set.
    pub host: IpAddr,
    /// `--port`, `PORT`. 0 takes a free one.
    pub port: u16,
    /// `METRICS_PORT`: where a `worker` answers probes and `/metrics`; without it, nowhere.
    pub metrics_port: Option<u16>,
    /// `API_KEY`. When set, everything but the public paths needs it.
    pub api_key: Option<Secret>,
    /// `--open`: listen beyond loopback without any key, as the legacy system did.
    pub open: bool,
    /// `CORS_ORIGINS`, comma-separated; `https://*.example.com` allows every sub-domain.
    pub cors_origins: Vec<String>,
    /// Whether somebody named them.
    pub cors_given: bool,
    /// `TRUSTED_PROXIES`: whose word about the client's address is taken; on Railway that of its edge.
    pub trusted_proxies: TrustedProxies,
    /// `RATE_LIMIT`: how many requests a minute an address may send without a right key.
    pub rate_limit: Option<u32>,
    /// `KEY_RATE_LIMIT`: how many requests a minute a key may send that has no limit of its own.
    pub key_rate_limit: Option<u32>,
    /// `MAX_CONNECTIONS`: how many connections a process answers at once.
    pub max_connections: usize,
    /// `DRAIN_DELAY_SECONDS`: how long a stopping server answers on while its health says that it is draining.
    pub drain_delay: Duration,
}

impl HttpConfig {
    /// The sites whose pages may call the API. Without a key nothing else stands in their way, and anybody can have a
    /// page below netlify.app: unless somebody named them, only pages of this machine may then.
    pub fn allowed_origins(&self) -> Vec<String> {
        let is_open = self.api_key.is_none() && !self.cors_given;
        self.cors_origins.iter().filter(|origin| !is_open || !origin.contains('*')).cloned().collect()
    }
}

/// Where state lives.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `REDIS_URL`. Without it the embedded store is used.
    pub redis_url: Option<Secret>,
    /// `REDIS_PREFIX`, put before every key; `{pf}:` keeps all keys in one slot of a Redis Cluster.
    pub redis_prefix: String,
    /// `REDIS_CA_FILE`, `REDIS_CERT_FILE`, `REDIS_KEY_FILE`, `REDIS_SENTINEL_PASSWORD`.
    pub redis_access: RedisAccess,
    /// `WORKSPACE_DIR`: logs and the embedded store.
    pub workspace: PathBuf,
    /// `RESULT_TTL` (seconds): how long results are kept.
    pub result_ttl: Duration,
    /// `AUDIT_TTL` (seconds): how long it is kept who has changed what.
    pub audit_ttl: Duration,
    /// `WORKFLOW_TTL` (seconds): how long workflows are kept after their end; 0, the default, is for ever.
    pub workflow_ttl: Option<Duration>,
    /// `MAX_WORKFLOWS`: how many that have ended are kept; 0, the default, is any number.
    pub max_workflows: Option<u64>,
    /// `MAX_RESULTS`: how many results are kept; 0, the default, is any number.
    pub max_results: Option<u64>,
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
    /// The table of prices: `PRICES_FILE`, else the built-in one.
    pub prices: PricesConfig,
    /// What may be used in a day.
    pub budget: BudgetConfig,
    /// The MCP servers whose tools agents may use, by name.
    pub mcp: Vec<McpConfig>,
    pub worker: WorkerConfig,
    pub log: LogConfig,
    /// Where traces go.
    pub trace: TraceConfig,
    pub upload: UploadConfig,
    pub webhook: WebhookConfig,
    /// Whether `RAILWAY_ENVIRONMENT` is set: the process runs on Railway.
    pub railway: bool,
    /// Every effective value with its source, for `productforge config`.
    pub settings: Vec<Setting>,
}

const DEFAULT_CORS: &str = "http://localhost:3000,https://*.netlify.app";

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "productforge.toml";

impl Config {
    /// Reads flags, the process environment and the file: the one that `--config` or `CONFIG_FILE` names,
    /// else `productforge.toml` in the current folder if there is one.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let env = |name: &str| std::env::var(name).ok();
        let named = flags.get(reader::FILE).cloned().or_else(|| env(reader::FILE));
        let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let name = named.as_deref().unwrap_or(DEFAULT_FILE);
        match std::fs::read_to_string(name) {
            Ok(text) => Self::read(flags, &env, Some((name, &text)), None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Self::read(flags, &env, None, None)
            }
            Err(e) => {
                let problem = format!("the configuration file {name} cannot be read: {e}");
                Self::read(flags, &env, None, Some(problem))
            }
        }
    }

    /// Reads flags and any environment, and no file; an empty variable counts as not set.
    pub fn from_parts(flags: &Flags, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::read(flags, &env, None, None)
    }

    /// The same with the text of a file; `name` is what problems call it.
    pub fn from_file_text(
        flags: &Flags,
        env: impl Fn(&str) -> Option<String>,
        name: &str,
        text: &str,
    ) -> Result<Self, ConfigError> {
        Self::read(flags, &env, Some((name, text)), None)
    }

    /// `problem`: what is wrong already.
    fn read(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<String>,
        file: Option<(&str, &str)>,
        problem: Option<String>,
    ) -> Result<Self, ConfigError> {
        let (file, problems) = file.map(|(name, text)| ConfigFile::parse(name, text)).unzip();
        let mut r = Reader::new(flags, env, file.as_ref());
        for problem in problem.into_iter().chain(problems.into_iter().flatten()) {
            r.complain(problem);
        }
        r.note_file();
        let railway = r.optional("RAILWAY_ENVIRONMENT", Ok).is_some();
        let default_host = if railway { "0.0.0.0" } else { "127.0.0.1" };
        let http = HttpConfig {
            host: r.value("HOST", default_host, |v| {
                let v = if v == "localhost" { "127.0.0.1".to_owned() } else { v };
                v.parse().map_err(|_| "must be an IP address such as 127.0.0.1 or 0.0.0.0".to_owned())
            }),
            port: r.value("PORT", "8000", values::number(0, 65_535)),
            metrics_port: r.optional("METRICS_PORT", values::number(0, 65_535)),
            api_key: r.secret("API_KEY", |key| {
                if key.len() < 8 {
                    return Err("must have at least 8 characters".to_owned());
                }
                if !key.bytes().all(|b| (0x21..0x7f).contains(&b)) {
                    return Err("must be visible ASCII without spaces, to fit into a header".to_owned());
                }
                Ok(key)
            }),
            open: r.value("OPEN", "false", values::boolean),
            cors_origins: r.value("CORS_ORIGINS", DEFAULT_CORS, values::origins),
            cors_given: r.source("CORS_ORIGINS") != Source::Default,
            trusted_proxies: r.value(
                "TRUSTED_PROXIES",
                if railway { "railway" } else { "none" },
                TrustedProxies::parse,
            ),
            rate_limit: r.value("RATE_LIMIT", "0", values::limit),
            key_rate_limit: r.value("KEY_RATE_LIMIT", "0", values::limit),
            max_connections: r.value("MAX_CONNECTIONS", "4096", values::number(16, 100_000)),
            drain_delay: r.value("DRAIN_DELAY_SECONDS", "0", values::seconds(0, 60)),
        };
        let redis = redis::read(&mut r);
        let store = StoreConfig {
            redis_url: redis.url,
            redis_prefix: redis.prefix,
            redis_access: redis.access,
            workspace: r.value("WORKSPACE_DIR", "workspace", |v| Ok(PathBuf::from(v))),
            result_ttl: r.value("RESULT_TTL", "3600", values::seconds(1, 10 * 365 * 86_400)),
            audit_ttl: r.value("AUDIT_TTL", "7776000", values::seconds(60, 10 * 365 * 86_400)),
            workflow_ttl: Some(r.value("WORKFLOW_TTL", "0", values::seconds(0, 10 * 365 * 86_400)))
                .filter(|ttl| !ttl.is_zero()),
            max_workflows: Some(r.value("MAX_WORKFLOWS", "0", values::number::<u64>(0, 1_000_000_000)))
                .filter(|most| *most > 0),
            max_results: Some(r.value("MAX_RESULTS", "0", values::number::<u64>(0, 1_000_000_000)))
                .filter(|most| *most > 0),
        };
        let llm = LlmConfig::read(&mut r);
        let prices = r.optional("PRICES_FILE", PricesConfig::read).unwrap_or_else(PricesConfig::built_in);
        let budget = budget::read(&mut r);
        let mcp = mcp_servers::read(&mut r);
        let worker = WorkerConfig {
            slots: r.value("WORKERS", "4", values::number(0, 10_000)),
            lease: r.value("LEASE_SECONDS", "30", values::seconds(1, 3_600)),
            max_attempts: r.value("JOB_MAX_ATTEMPTS", "4", values::number(1, 100)),
            retry_base: r.value("RETRY_BASE_SECONDS", "2", values::seconds(0, 3_600)),
            job_timeout: r.value("JOB_TIMEOUT", "3600", values::seconds(1, 86_400)),
            model_concurrency: r.optional("MODEL_CONCURRENCY", concurrency::parse).unwrap_or_default(),
            queue_order: r.value("QUEUE_ORDER", "strict", |v| match v.as_str() {
                "strict" => Ok(QueueOrder::Strict),
                "weighted" => Ok(QueueOrder::Weighted),
                _ => Err("must be strict or weighted".to_owned()),
            }),
            drain: r.value("DRAIN_SECONDS", "25", values::seconds(0, 3_600)),
        };
        let log = LogConfig {
            filter: r.value("LOG_LEVEL", "info", values::log_filter),
            json: r.value("LOG_FORMAT", "text", |v| match v.as_str() {
                "text" => Ok(false),
                "json" => Ok(true),
                _ => Err("must be text or json".to_owned()),
            }),
        };
        let trace = trace::read(&mut r);
        let upload = upload::read(&mut r);
        let webhook = webhook::read(&mut r);
        let settings = r.finish()?;
        Ok(Self {
            http,
            store,
            llm,
            prices,
            budget,
            mcp,
            worker,
            log,
            trace,
            upload,
            webhook,
            railway,
            settings,
        })
    }

    /// Whether somebody gave this setting: by flag, in the environment or in the file.
    pub fn is_given(&self, name: &str) -> bool {
        let given = [Source::Flag, Source::Environment, Source::File, Source::SecretFile];
        self.settings.iter().any(|setting| setting.name == name && given.contains(&setting.source))
    }
}
