//! Queues: how much waits in each, since when, and whether they are paused.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::{Job, Timestamp, iso},
    store::{MAX_BATCH, Queue, QueueDepth},
};

use super::{Foundation, ServiceError, execution::payload, jobs::queue_named, records};

/// How many characters of a payload a list carries.
const PREVIEW_CHARS: usize = 300;

/// One queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueueInfo {
    #[schema(example = "high")]
    pub name: &'static str,
    /// The list that foreign programs know it by.
    #[schema(example = "queue_high")]
    pub list: &'static str,
    /// How many jobs are ready in it.
    pub depth: u64,
    /// Whether nothing is taken from it.
    pub paused: bool,
    /// The job that is taken next, if it has a name; null when nothing waits.
    pub oldest_job_id: Option<String>,
    /// Since how many seconds that one has been ready.
    pub oldest_age_seconds: Option<f64>,
}

/// All queues, and what is in none of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueuesOverview {
    pub queues: Vec<QueueInfo>,
    /// Ready in all queues.
    pub ready: u64,
    /// Waiting for their time: scheduled jobs and next attempts.
    pub due: u64,
    /// Waiting until a limit of their agent or model lets them run.
    pub parked: u64,
    /// Held by a worker.
    pub leased: u64,
}

/// A payload that waits in a queue.
#[derive(Debug, Clone)]
pub struct WaitingPayload {
    /// The job's id, if it has one.
    pub job_id: Option<String>,
    /// What is asked for, as far as it can be read; at most 300 characters.
    pub task: Option<String>,
    pub agent: Option<String>,
    /// The payload itself, at most its first 300 characters, where it is no job.
    pub raw: Option<String>,
}

#[derive(Clone)]
pub struct Queues {
    base: Arc<Foundation>,
}

impl Queues {
    pub(super) fn new(base: Arc<Foundation>) -> Self {
        Self { base }
    }

    /// All queues, most urgent first.
    pub async fn list(&self) -> Result<QueuesOverview, ServiceError> {
        let depth = self.base.store.depth().await?;
        let mut queues = Vec::with_capacity(Queue::ALL.len());
        for queue in Queue::ALL {
            queues.push(self.info(queue, &depth).await?);
        }
        Ok(QueuesOverview {
            queues,
            ready: depth.ready(),
            due: depth.due,
            parked: depth.parked,
            leased: depth.leased,
        })
    }

    /// Pauses a queue, or lets it go on. It may be named by its priority or by its list.
    pub async fn pause(&self, name: &str, paused: bool) -> Result<QueueInfo, ServiceError> {
        let queue = queue_named(name).ok_or_else(|| {
            ServiceError::NotFound(format!("Queue '{name}' not found; there are high, normal and low"))
        })?;
        self.base.store.pause(queue, paused).await?;
        log::info!(queue = queue.name(); "the queue is {}", if paused { "paused" } else { "resumed" });
        self.info(queue, &self.base.store.depth().await?).await
    }

    /// The payloads that are taken next from a queue, at most [`MAX_BATCH`].
    pub async fn next(&self, name: &str, limit: usize) -> Result<Vec<WaitingPayload>, ServiceError> {
        let queue =
            queue_named(name).ok_or_else(|| ServiceError::NotFound(format!("Queue '{name}' not found")))?;
        let payloads = self.base.store.waiting(queue, limit.clamp(1, MAX_BATCH)).await?;
        Ok(payloads.iter().map(|bytes| waiting(bytes)).collect())
    }

    async fn info(&self, queue: Queue, depth: &QueueDepth) -> Result<QueueInfo, ServiceError> {
        let oldest = match depth.ready_in(queue) {
            0 => None,
            _ => self.base.store.waiting(queue, 1).await?.pop(),
        };
        let (id, since) = match oldest {
            Some(bytes) => self.identify(&bytes).await?,
            None => (None, None),
        };
        let now = self.base.clock.now();
        let age = since.map(|since| (now - since).num_milliseconds().max(0) as f64 / 1000.0);
        Ok(QueueInfo {
            name: priority_word(queue),
            list: queue.name(),
            depth: depth.ready_in(queue),
            paused: depth.paused[usize::from(queue.rank())],
            oldest_job_id: id,
            oldest_age_seconds: age,
        })
    }

    /// Whose payload it is, and since when it could have been run, as far as that can be told.
    async fn identify(&self, bytes: &[u8]) -> Result<(Option<String>, Option<Timestamp>), ServiceError> {
        let Ok(read) = payload::read(bytes) else { return Ok((None, None)) };
        let written = read.created_at.as_deref().and_then(iso::parse);
        let Some(id) = read.job_id else { return Ok((None, written)) };
        let doc = self.base.store.get(&[records::job_key(&id)]).await?.pop().flatten();
        let since = doc.and_then(|doc| doc.parse::<Job>().ok()).map(|job| job.ready_since());
        Ok((Some(id), since.or(written)))
    }
}

fn waiting(bytes: &[u8]) -> WaitingPayload {
    let short = |text: &str| text.chars().take(PREVIEW_CHARS).collect::<String>();
    match payload::read(bytes) {
        Ok(read) => WaitingPayload {
            task: read.task.as_deref().or(read.job.as_deref()).map(short),
            agent: read.agent_name.as_deref().map(short),
            job_id: read.job_id,
            raw: None,
        },
        Err(_) => {
            let most = &bytes[..bytes.len().min(4 * PREVIEW_CHARS)];
            let raw = Some(short(&String::from_utf8_lossy(most)));
            WaitingPayload { job_id: None, task: None, agent: None, raw }
        }
    }
}

fn priority_word(queue: Queue) -> &'static str {
    match queue {
        Queue::High => "high",
        Queue::Normal => "normal",
        Queue::Low => "low",
    }
}
