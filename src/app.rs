//! The composition root: from a configuration to a store, a provider, the services and a worker.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;

use crate::{
    blobs::{self, Blobs, Keys},
    clock::{Clock, SystemClock},
    config::{Config, PriceConfig},
    engine::{
        prices::{PriceTable, ProviderPrices},
        retry::RetryPolicy,
    },
    llm::{
        ModelProvider,
        openai::{Cassette, OpenAiProvider},
        pacing::Pacer,
        router::Router,
        simulated::SimulatedProvider,
    },
    migrate::{
        self,
        copy::{self, CopyError, Side},
        start::Started,
    },
    model::{Budget, Price, Usd},
    service::{
        Budgets, Foundation, ProviderInfo, RetentionSettings, Services, UploadSettings, backups,
        pacing::StorePacer, webhooks,
    },
    store::{
        MAX_BATCH, Measured, Store, StoreError,
        redis::RedisStore,
        sqlite::{Location, SqliteStore},
    },
    tools::Registry,
    worker::{self, WorkerHandle, WorkerOptions},
};

/// A process's parts, put together.
pub struct App {
    pub config: Arc<Config>,
    pub services: Services,
    pub store: Arc<dyn Store>,
    /// Of a Redis database; `None` where the store migrates itself.
    migrations: Option<Started>,
}

impl App {
    /// Opens what the configuration names.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, migrations) = open_store(&config, clock.clone()).await?;
        refuse_unfinished_copy(store.as_ref()).await?;
        let provider = open_providers(&config, store.clone())?;
        let blobs = open_blobs(&config).await?;
        if config.store.redis_url.is_none() {
            backups::tidy_snapshots(blobs.staging());
        }
        Ok(Self { migrations, ..Self::assemble(config, store, blobs, provider, clock) })
    }

    /// Puts given parts together.
    pub fn assemble(
        config: Config,
        store: Arc<dyn Store>,
        blobs: Arc<dyn Blobs>,
        provider: Arc<dyn ModelProvider>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let store: Arc<dyn Store> = Arc::new(Measured::new(store));
        let services = Services::new(Foundation {
            store: store.clone(),
            provider,
            clock: clock.clone(),
            result_ttl: config.store.result_ttl,
            audit_ttl: config.store.audit_ttl,
            retention: RetentionSettings {
                workflow_ttl: config.store.workflow_ttl,
                max_workflows: config.store.max_workflows,
                max_results: config.store.max_results,
            },
            retry: RetryPolicy { max_attempts: config.worker.max_attempts, base: config.worker.retry_base },
            job_timeout: config.worker.job_timeout,
            model_concurrency: config.worker.model_concurrency.clone(),
            prices: Arc::new(price_table(&config)),
            // A provider knows its own limit, which may be another one than that of MODEL_MAX_TOKENS.
            max_tokens: config.llm.max_tokens.filter(|_| config.llm.providers.is_empty()),
            uploads: UploadSettings { blobs, max_size: config.upload.max_size, ttl: config.upload.ttl },
            webhooks: Arc::new(webhooks::Sender::new(&config.webhook)),
            log_folder: log_folder(&config),
            key_configured: config.llm.providers.iter().any(|provider| provider.key.is_some()),
            environment: LEGACY_SETTINGS.map(|name| (name, config.is_given(name))).into(),
            providers: providers_shown(&config),
            budgets: budgets(&config),
            tools: Arc::new(Registry::new(clock.clone(), config.mcp.clone())),
        });
        Self { config: Arc::new(config), services, store, migrations: None }
    }

    /// Completes only if it turns out that the database must not be used by this program; with the reason.
    pub async fn refused(&self) -> String {
        match &self.migrations {
            Some(migrations) => migrations.refused().await,
            None => std::future::pending().await,
        }
    }

    /// Writes what is still to be written and lets go of what it holds: programs of MCP servers, files, connections.
    pub async fn close(&self) {
        self.services.audit.flush().await;
        self.services.execution.foundation().tools.stop().await;
        self.store.close().await;
    }

    /// Starts a worker in this process, with the configured number of slots.
    pub fn start_worker(&self) -> WorkerHandle {
        let options = WorkerOptions {
            slots: self.config.worker.slots,
            lease: self.config.worker.lease,
            order: self.config.worker.queue_order,
        };
        let worker = worker::start(self.services.clone(), options);
        self.services.system.set_own_worker(worker.worker_id());
        worker
    }
}

/// What `/system/verify` tells of, as the legacy system did.
const LEGACY_SETTINGS: [&str; 4] = ["REDIS_URL", "OPENAI_API_KEY", "API_KEY", "PORT"];

/// Where uploaded files are kept.
async fn open_blobs(config: &Config) -> anyhow::Result<Arc<dyn Blobs>> {
    let has_bucket = config.upload.blob_url.is_some();
    let folder = if has_bucket { config.store.workspace.join("cache") } else { uploads(config) };
    blobs::open(blob_config(config, folder)).await.context("uploads cannot be kept")
}

/// How uploads are kept, with this folder for them or for the bucket's cache.
pub fn blob_config(config: &Config, folder: PathBuf) -> blobs::Config {
    let upload = &config.upload;
    let keys = upload.access_key_id.clone().zip(upload.secret_access_key.clone());
    let keys = keys.map(|(id, secret)| Keys {
        access_key_id: id,
        secret_access_key: secret.expose().to_owned(),
        session_token: upload.session_token.as_ref().map(|token| token.expose().to_owned()),
    });
    let url = upload.blob_url.as_ref().map(|url| url.expose().to_owned());
    blobs::Config { folder, url, keys, limits: blobs::Limits::default() }
}

/// All configured providers behind one router; the simulated one stands beside them, or alone.
fn open_providers(config: &Config, store: Arc<dyn Store>) -> anyhow::Result<Arc<dyn ModelProvider>> {
    let pacer: Arc<dyn Pacer> = Arc::new(StorePacer::new(store));
    let cassette = match (&config.llm.replay, &config.llm.record) {
        (Some(file), _) => Some(Arc::new(Cassette::replay(file)?)),
        (None, Some(file)) => Some(Arc::new(Cassette::record(file)?)),
        (None, None) => None,
    };
    let simulated: Arc<dyn ModelProvider> = Arc::new(SimulatedProvider::new(config.llm.simulated_latency));
    let mut others = Vec::new();
    let mut default = None;
    for provider in &config.llm.providers {
        let mut opened = OpenAiProvider::from_config(provider.clone(), pacer.clone())
            .with_context(|| format!("the client of the provider {} cannot be set up", provider.name))?;
        if let Some(cassette) = &cassette {
            opened = opened.with_cassette(cassette.clone());
        }
        let opened: Arc<dyn ModelProvider> = Arc::new(opened);
        match provider.name == config.llm.default_provider {
            true => default = Some(opened),
            false => others.push(opened),
        }
    }
    let router = match default {
        Some(default) => {
            others.push(simulated);
            Router::new(default, others)
        }
        None => Router::new(simulated, others),
    };
    Ok(Arc::new(router))
}

fn providers_shown(config: &Config) -> Arc<[ProviderInfo]> {
    let shown = config.llm.providers.iter().map(|provider| ProviderInfo {
        name: provider.name.clone(),
        host: provider.host(),
        api: provider.api.as_str().to_owned(),
        model: Some(provider.model.clone()).filter(|model| !model.is_empty()),
        key_set: provider.key.is_some(),
        default: provider.name == config.llm.default_provider,
        concurrency: provider.concurrency,
    });
    shown.collect()
}

/// The budgets that hold for everybody.
fn budgets(config: &Config) -> Budgets {
    let budget = |tokens, usd: Option<f64>| Budget { tokens, usd: usd.and_then(Usd::from_dollars) };
    let said = &config.budget;
    Budgets { day: budget(said.day_tokens, said.day_usd), key: budget(said.key_tokens, said.key_usd) }
}

/// The table, and what the configuration says of each provider's prices.
fn price_table(config: &Config) -> PriceTable {
    let price = |price: &PriceConfig| Price {
        input: price.input,
        cached_input: price.cached_input,
        output: price.output,
    };
    let table = PriceTable::new(config.prices.models.iter().map(|(name, row)| (name.clone(), price(row))));
    config.llm.providers.iter().fold(table, |table, provider| {
        // A row of the operator's own table means the provider of that name, one of the built-in table
        // the service of that name.
        let by_name = config.prices.file.as_ref().map(|_| provider.name.clone());
        let listed_as = by_name.into_iter().chain(provider.vendor().map(str::to_owned)).collect();
        let own = provider.prices.iter().map(|(model, row)| (model.clone(), price(row))).collect();
        table.with_provider(provider.name.clone(), ProviderPrices { own, listed_as })
    })
}

/// The file of the embedded store.
pub fn database(config: &Config) -> PathBuf {
    config.store.workspace.join("productforge.db")
}

/// The folder of uploads, where they are not in a bucket.
pub fn uploads(config: &Config) -> PathBuf {
    config.store.workspace.join("uploads")
}

/// Where the log file is.
pub fn log_folder(config: &Config) -> PathBuf {
    crate::telemetry::log_folder(config)
}

async fn open_store(
    config: &Config,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<dyn Store>, Option<Started>)> {
    match &config.store.redis_url {
        Some(url) => {
            let store = RedisStore::configured(&config.store, url.expose());
            let store = Arc::new(store.context("Redis cannot be used")?);
            let migrations = migrate::start::at_start(store.clone()).await;
            let migrations = migrations.context("the database cannot be brought up to date")?;
            Ok((store, Some(migrations)))
        }
        None => {
            let file = database(config);
            let store = SqliteStore::open(Location::File(file.clone()), clock)
                .context("the embedded store cannot be opened")?;
            backups::tidy(&file);
            take_over(&store).await.context("the embedded store cannot be read")?;
            Ok((Arc::new(store), None))
        }
    }
}

/// Half of a store is none to work on.
async fn refuse_unfinished_copy(store: &dyn Store) -> anyhow::Result<()> {
    let side = Side { store, name: "the store", is_ours: false };
    match copy::refuse_unfinished(side).await {
        // A Redis that is away will be looked at when it is there.
        Ok(()) | Err(CopyError::Store(StoreError::Unavailable(_))) => Ok(()),
        Err(error) => Err(error.into()),
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
