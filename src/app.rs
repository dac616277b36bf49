//! The composition root: from a configuration to a store, a provider, the services and a worker.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;

use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    engine::retry::RetryPolicy,
    llm::{ModelProvider, openai::OpenAiProvider, simulated::SimulatedProvider},
    service::{Foundation, Services},
    store::{
        MAX_BATCH, Store, StoreError,
        redis::{RedisOptions, RedisStore},
        sqlite::{Location, SqliteStore},
    },
    worker::{self, WorkerHandle, WorkerOptions},
};

/// A process's parts, put together.
pub struct App {
    pub config: Arc<Config>,
    pub services: Services,
    pub store: Arc<dyn Store>,
}

impl App {
    /// Opens what the configuration names.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open_store(&config, clock.clone()).await?;
        let provider: Arc<dyn ModelProvider> = if config.llm.is_simulated() {
            Arc::new(SimulatedProvider::new(config.llm.simulated_latency))
        } else {
            Arc::new(OpenAiProvider::new(&config.llm).context("the model client cannot be set up")?)
        };
        Ok(Self::assemble(config, store, provider, clock))
    }

    /// Puts given parts together.
    pub fn assemble(
        config: Config,
        store: Arc<dyn Store>,
        provider: Arc<dyn ModelProvider>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let services = Services::new(Foundation {
            store: store.clone(),
            provider,
            clock,
            result_ttl: config.store.result_ttl,
            retry: RetryPolicy { max_attempts: config.worker.max_attempts, base: config.worker.retry_base },
            job_timeout: config.worker.job_timeout,
            model_concurrency: config.worker.model_concurrency.clone(),
            max_tokens: config.llm.max_tokens,
            log_folder: log_folder(&config),
            key_configured: config.llm.api_key.is_some(),
        });
        Self { config: Arc::new(config), services, store }
    }

    /// Starts a worker in this process, with the configured number of slots.
    pub fn start_worker(&self) -> WorkerHandle {
        let options = WorkerOptions {
            slots: self.config.worker.slots,
            lease: self.config.worker.lease,
            order: self.config.worker.queue_order,
        };
        worker::start(self.services.clone(), options)
    }
}

/// Where the log file is.
pub fn log_folder(config: &Config) -> PathBuf {
    crate::telemetry::log_folder(config)
}

async fn open_store(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    match &config.store.redis_url {
        Some(url) => {
            let options =
                RedisOptions { url: url.expose().to_owned(), prefix: config.store.redis_prefix.clone() };
            let store = RedisStore::open(options).context("Redis cannot be used")?;
            Ok(Arc::new(store))
        }
        None => {
            let file = config.store.workspace.join("productforge.db");
            let store = SqliteStore::open(Location::File(file), clock)
                .context("the embedded store cannot be opened")?;
            take_over(&store).await.context("the embedded store cannot be read")?;
            Ok(Arc::new(store))
        }
    }
}

/// The file is locked by us, so whoever held a lease in it is dead: its jobs need not wait until the
/// lease has run out. Each counts a crash, as if it had.
async fn take_over(store: &dyn Store) -> Result<(), StoreError> {
    loop {
        let tokens: Vec<_> = store.leases(MAX_BATCH).await?.iter().map(|lease| lease.token).collect();
        if tokens.is_empty() {
            return Ok(());
        }
        log::info!("{} jobs of an earlier process go back to their queues", tokens.len());
        store.renew(&tokens, 0).await?;
        store.sweep(MAX_BATCH).await?;
    }
}
