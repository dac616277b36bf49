//! The verbs of the product. Knows no HTTP, no SQL and no Redis.

pub mod adoption;
pub mod agents;
pub mod analytics;
pub mod audit;
pub mod backups;
mod dispatch;
mod error;
pub mod execution;
pub mod exports;
pub mod idempotency;
pub mod jobs;
pub mod keys;
mod listing;
pub mod live;
pub mod metrics;
pub mod pacing;
pub mod providers;
pub mod queues;
pub mod records;
pub mod reports;
pub mod results;
pub mod retention;
pub mod reviews;
pub mod schedule;
pub mod sessions;
pub mod system;
pub mod tasks;
mod told;
pub mod tools;
pub mod uploads;
pub mod usage;
pub mod webhooks;
pub mod workers;
pub mod workflows;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use agents::Agents;
pub use analytics::Analytics;
pub use audit::Audit;
pub use backups::Backups;
pub use error::{FieldProblem, ServiceError};
pub use execution::Execution;
pub use exports::Exports;
pub use idempotency::IdempotencyKey;
pub use jobs::Jobs;
pub use keys::Keys;
pub use listing::Listing;
pub use live::Live;
pub use metrics::Metrics;
pub use providers::Providers;
pub use queues::Queues;
pub use reports::Reports;
pub use results::{ResultFilter, Results};
pub use retention::{Retention, RetentionSettings};
pub use reviews::Reviews;
pub use sessions::Sessions;
pub use system::{ProviderInfo, System};
pub use tasks::Tasks;
pub use uploads::{UploadSettings, Uploads};
pub use usage::UsageReports;
pub use webhooks::Webhooks;
pub use workers::Workers;
pub use workflows::Workflows;

use crate::{
    clock::Clock,
    config::ModelConcurrency,
    engine::{prices::PriceTable, retry::RetryPolicy},
    llm::ModelProvider,
    model::{Budget, JobResult, Timestamp},
    store::{Change, Store},
    tools::Registry,
};

/// Budgets that hold for everybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budgets {
    /// Of all work of a day.
    pub day: Budget,
    /// Of all work of a day that came with one API key.
    pub key: Budget,
}

/// What the services stand on.
#[derive(Clone)]
pub struct Foundation {
    pub store: Arc<dyn Store>,
    pub provider: Arc<dyn ModelProvider>,
    pub clock: Arc<dyn Clock>,
    /// How long results are kept.
    pub result_ttl: Duration,
    /// How long it is kept who has changed what.
    pub audit_ttl: Duration,
    /// What of workflows and results is kept at the most.
    pub retention: RetentionSettings,
    pub retry: RetryPolicy,
    /// How long one attempt may take where the job does not say.
    pub job_timeout: Duration,
    /// How many jobs may run at once by model.
    pub model_concurrency: ModelConcurrency,
    /// What models cost.
    pub prices: Arc<PriceTable>,
    /// The budgets that the configuration sets.
    pub budgets: Budgets,
    /// The tools that agents may be given.
    pub tools: Arc<Registry>,
    /// The most tokens an answer may have; `None`: what its provider is configured for.
    pub max_tokens: Option<u32>,
    /// How uploads are kept.
    pub uploads: UploadSettings,
    /// How workflows report to addresses that their briefs name.
    pub webhooks: Arc<webhooks::Sender>,
    /// The folder of the log file, for the status page.
    pub log_folder: PathBuf,
    /// Whether a provider has a key (never the key itself).
    pub key_configured: bool,
    /// The settings that the legacy system knew, and whether somebody gave them.
    pub environment: Arc<[(&'static str, bool)]>,
    /// The configured providers, as they may be shown.
    pub providers: Arc<[ProviderInfo]>,
}

impl Foundation {
    /// Adds the one result of a job to the change that ends it: there is none yet, it is kept for as long as
    /// results are, and it counts.
    fn add_result(&self, change: Change, result: &mut JobResult, now: Timestamp) -> Change {
        let change = change.expect(records::result_key(&result.job_id), None).put(records::put_result(
            result,
            self.result_ttl,
            now,
        ));
        analytics::count(change, result, now)
    }
}

/// All services. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    pub agents: Agents,
    pub tasks: Tasks,
    pub workflows: Workflows,
    pub reviews: Reviews,
    pub results: Results,
    pub system: System,
    pub jobs: Jobs,
    pub keys: Keys,
    pub queues: Queues,
    pub workers: Workers,
    pub providers: Providers,
    pub usage: UsageReports,
    pub analytics: Analytics,
    pub reports: Reports,
    pub exports: Exports,
    pub backups: Backups,
    pub retention: Retention,
    pub uploads: Uploads,
    pub metrics: Metrics,
    pub live: Live,
    pub sessions: Sessions,
    pub audit: Audit,
    pub webhooks: Webhooks,
    pub execution: Execution,
}

impl Services {
    pub fn new(foundation: Foundation) -> Self {
        let base = Arc::new(foundation);
        let agents = Agents::new(base.clone());
        let jobs = Jobs::new(base.clone());
        let uploads = Uploads::new(base.clone(), jobs.clone());
        let keys = Keys::new(base.clone());
        let (results, system) = (Results::new(base.clone()), System::new(base.clone()));
        let (analytics, usage) = (Analytics::new(base.clone()), UsageReports::new(base.clone()));
        let workflows = Workflows::new(base.clone(), agents.clone(), uploads.clone(), jobs.clone());
        Self {
            retention: Retention::new(base.clone(), workflows.clone()),
            tasks: Tasks::new(base.clone(), agents.clone()),
            workflows,
            reviews: Reviews::new(base.clone(), agents.clone()),
            queues: Queues::new(base.clone()),
            workers: Workers::new(base.clone()),
            providers: Providers::new(base.clone()),
            reports: Reports::new(base.clone(), analytics.clone(), usage.clone()),
            backups: Backups::new(base.clone()),
            exports: Exports::new(base.clone(), results.clone()),
            metrics: Metrics::new(base.clone(), system.clone()),
            live: Live::new(base.clone()),
            sessions: Sessions::new(base.clone()),
            audit: Audit::new(base.clone()),
            webhooks: Webhooks::new(base.clone()),
            results,
            system,
            analytics,
            usage,
            execution: Execution::new(base, agents.clone(), uploads.clone(), keys.clone()),
            jobs,
            keys,
            uploads,
            agents,
        }
    }
}
