//! Providers: which there are, what they let through now, and a fresh start for one that was mended.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    engine::lane::{Cause, LaneState},
    model::{Job, JobState, Timestamp, iso, iso_option},
    store::{Change, IndexName, ListQuery, MAX_BATCH},
};

use super::{Foundation, ProviderInfo, ServiceError, dispatch, pacing::StoredLane, records};

/// The most lanes that are looked at; a provider has one for each key it had in the last week.
const MAX_LANES: usize = MAX_BATCH;
/// The most jobs that one reset calls back; others come when their wait is over.
const MAX_CALLED_BACK: usize = 2_000;

/// A circuit that is open: the provider is not asked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OpenCircuit {
    /// `auth` (the key has no right), `billing` (the account has no money) or `down`.
    #[schema(value_type = String, example = "billing")]
    pub cause: Cause,
    /// What the provider said.
    pub why: String,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When one request tries it next.
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// A provider as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProviderStatus {
    #[serde(flatten)]
    pub info: ProviderInfo,
    /// Why it is not asked; null while it is.
    pub circuit: Option<OpenCircuit>,
    /// Until when it asked to wait; null when it did not.
    #[serde(with = "iso_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<Timestamp>,
    /// How many requests a second begin at the most, over all processes; null: as many as come.
    pub requests_per_second: Option<f64>,
    /// Failures since its last answer.
    pub failures: u32,
}

#[derive(Clone)]
pub struct Providers {
    base: Arc<Foundation>,
}

impl Providers {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// All configured providers.
    pub async fn list(&self) -> Result<Vec<ProviderStatus>, ServiceError> {
        let lanes = self.lanes().await?;
        let now = self.base.store.now().await?;
        let status = |info: &ProviderInfo| {
            // Newest first: the key that is in use now.
            let lane = lanes.iter().find(|lane| lane.provider == info.name);
            status(info.clone(), lane.map(|lane| &lane.state), now)
        };
        Ok(self.base.providers.iter().map(status).collect())
    }

    /// Forgets what keeps requests from a provider, and calls back the jobs that wait for it.
    pub async fn reset(&self, name: &str) -> Result<ProviderStatus, ServiceError> {
        let Some(info) = self.base.providers.iter().find(|info| info.name == name) else {
            return Err(ServiceError::NotFound(format!("No provider '{name}' is configured")));
        };
        for mut lane in self.lanes().await?.into_iter().filter(|lane| lane.provider == name) {
            lane.state.reset();
            let now = self.base.store.now().await?;
            // Whoever changes it at this moment goes by it; what was known does not matter any more.
            let _ = self.base.store.apply(Change::new().put(records::put_lane(&lane, now))).await?;
        }
        let called = self.call_back(&format!("provider:{name}")).await?;
        log::info!("provider {name} begins anew; {called} jobs that waited for it are called back");
        Ok(status(info.clone(), None, 0))
    }

    async fn lanes(&self) -> Result<Vec<StoredLane>, ServiceError> {
        let page = self.base.store.list(&ListQuery::newest(records::LANE, MAX_LANES)).await?;
        // One that cannot be read is written anew by whoever uses it.
        Ok(page.docs.iter().filter_map(|doc| doc.parse().ok()).collect())
    }

    /// Queues the jobs that wait for something at once; how many. Their entries in the due set come later
    /// and find them run.
    async fn call_back(&self, what: &str) -> Result<usize, ServiceError> {
        let store = self.base.store.as_ref();
        let index = records::jobs_by_state(JobState::Scheduled);
        let (mut called, mut looked_at, mut after) = (0, 0, None);
        while looked_at < MAX_CALLED_BACK {
            let query =
                ListQuery::newest(records::JOB, MAX_BATCH).index(IndexName::clone(&index)).after(after);
            let page = store.list(&query).await?;
            looked_at += page.docs.len();
            for doc in &page.docs {
                let Ok(job) = doc.parse::<Job>() else { continue };
                if job.waits_for.as_deref() == Some(what) {
                    let change = dispatch::call_back(Change::new(), job, doc.revision());
                    called += usize::from(store.apply(change).await?.is_ok());
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(called)
    }
}

fn status(info: ProviderInfo, lane: Option<&LaneState>, now: i64) -> ProviderStatus {
    let time = |ms: i64| Timestamp::from_timestamp_millis(ms).unwrap_or_default();
    let circuit = lane.and_then(|lane| lane.circuit.as_ref());
    ProviderStatus {
        info,
        circuit: circuit.map(|open| OpenCircuit {
            cause: open.cause,
            why: open.why.clone(),
            since: time(open.since),
            until: time(open.until),
        }),
        blocked_until: lane.map(|lane| lane.blocked_until).filter(|until| *until > now).map(time),
        requests_per_second: lane.and_then(|lane| lane.rate),
        failures: lane.map_or(0, |lane| lane.failures),
    }
}
