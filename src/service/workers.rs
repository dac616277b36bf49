//! Workers: the processes that are alive, and what each runs now.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    model::{Job, JobState, Timestamp, WorkerInfo, iso},
    store::{Change, DocKey, IndexName, MAX_BATCH, Store},
};

use super::{Foundation, ServiceError, listing, records};

/// The stream of orders to drain: the id of a worker as a JSON text.
pub const DRAINED: &str = "drained";
/// How often an order is written again when the worker speaks of itself at the same moment.
const TRIES: usize = 20;
/// The most running jobs that are looked at to say who runs what.
const MAX_RUNNING: usize = 1_000;

/// A job that a worker runs now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunningJob {
    pub job_id: String,
    pub agent: String,
    /// When the attempt began.
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    pub attempt: u32,
}

/// A worker process and what it runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkerAtWork {
    #[serde(flatten)]
    pub info: WorkerInfo,
    /// What it runs now, the latest first; of very many jobs the latest 1,000 are looked at.
    pub jobs: Vec<RunningJob>,
    /// How many jobs more it takes; none while it drains.
    pub free_slots: usize,
}

/// The workers of one machine that were heard of in the last minute. For a process that has no services, such as a health
/// check.
pub async fn of_host(store: &dyn Store, host: &str) -> Result<Vec<WorkerInfo>, ServiceError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let index = IndexName::all(records::WORKER);
        let page = listing::page::<WorkerInfo>(store, records::WORKER, index, MAX_BATCH, after).await?;
        found.extend(page.items.into_iter().filter(|worker| worker.host == host));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

#[derive(Clone)]
pub struct Workers {
    base: Arc<Foundation>,
}

impl Workers {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// The workers that were heard of in the last minute, with what they run.
    pub async fn list(&self) -> Result<Vec<WorkerAtWork>, ServiceError> {
        let store = self.base.store.as_ref();
        let index = IndexName::all(records::WORKER);
        let workers = listing::page::<WorkerInfo>(store, records::WORKER, index, MAX_BATCH, None).await?;
        let running = self.running().await?;
        Ok(workers.items.into_iter().map(|info| at_work(info, &running)).collect())
    }

    /// Lets a worker finish what it has and take nothing new; its process goes on, and what else it does
    /// (HTTP, upkeep) with it. It cannot be taken back: a worker that is started anew takes work again.
    pub async fn drain(&self, id: &str) -> Result<WorkerAtWork, ServiceError> {
        let store = self.base.store.as_ref();
        let key = DocKey::new(records::WORKER, id);
        for _ in 0..TRIES {
            // The heartbeat of all workers stands beside their documents.
            let found = match key == records::heartbeat_key() {
                true => None,
                false => records::load::<WorkerInfo>(store, key.clone()).await?,
            };
            let Some((mut info, before)) = found else {
                return Err(ServiceError::NotFound(format!("Worker '{id}' not found")));
            };
            if info.draining {
                return Err(ServiceError::Conflict(format!("worker {id} is draining already")));
            }
            info.draining = true;
            let change = Change::new()
                .expect(key.clone(), Some(before))
                .put(records::put_worker(&info))
                .event(DRAINED, Value::from(id).to_string().into_bytes());
            if store.apply(change).await?.is_ok() {
                log::info!("worker {id} is asked to drain");
                return Ok(at_work(info, &self.running().await?));
            }
        }
        Err(ServiceError::Conflict(format!("worker {id} keeps being changed by others; try again")))
    }

    async fn running(&self) -> Result<Vec<Job>, ServiceError> {
        let index = records::jobs_by_state(JobState::Running);
        let store = self.base.store.as_ref();
        Ok(listing::page::<Job>(store, records::JOB, index, MAX_RUNNING, None).await?.items)
    }
}

/// What a worker says of itself is some seconds old; the jobs' documents are not.
fn at_work(mut info: WorkerInfo, running: &[Job]) -> WorkerAtWork {
    let jobs: Vec<RunningJob> = running
        .iter()
        .filter_map(|job| {
            let attempt =
                job.attempts.last().filter(|a| a.outcome.is_none() && a.worker == info.worker_id)?;
            Some(RunningJob {
                job_id: job.job_id.clone(),
                agent: job.agent.clone(),
                since: attempt.started_at,
                attempt: attempt.number,
            })
        })
        .collect();
    info.running = jobs.iter().map(|job| job.job_id.clone()).collect();
    let free_slots = if info.draining { 0 } else { info.slots.saturating_sub(jobs.len()) };
    WorkerAtWork { info, jobs, free_slots }
}
