//! Queues and workers: how much waits and for what, who runs what; pause, resume, drain.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Posted, Visitor, now},
    job_line::JobLine,
    jobs::paused,
    notice::see_other_saying,
    page::{IDLE, LIVE, PageError, Shell, answer},
    workflow_view::seconds_between,
};
use crate::{
    http::{HttpState, render::first_line},
    model::{JobState, Timestamp, is_valid_id, iso},
    service::{
        jobs::{JobFilter, StateFilter},
        queues::{QueueInfo, WaitingPayload},
        workers::WorkerAtWork,
    },
    store::MAX_BATCH,
};

/// How many payloads of each queue are shown.
const NEXT: usize = 5;
/// How many scheduled and parked jobs are shown.
const LATER: usize = 10;

/// A queue, ready to print.
#[derive(Serialize)]
pub struct QueueLine {
    pub name: &'static str,
    pub list: &'static str,
    pub depth: u64,
    /// Its share of all that is ready, in per cent.
    pub share: String,
    pub paused: bool,
    pub oldest_job_id: Option<String>,
    pub oldest_age: Option<f64>,
}

impl QueueLine {
    /// `ready`: how much is ready in all queues.
    pub fn new(queue: &QueueInfo, ready: u64) -> Self {
        Self {
            name: queue.name,
            list: queue.list,
            depth: queue.depth,
            share: super::throughput::percent(queue.depth as f64 * 100.0 / ready.max(1) as f64),
            paused: queue.paused,
            oldest_job_id: queue.oldest_job_id.clone(),
            oldest_age: queue.oldest_age_seconds,
        }
    }
}

#[derive(Serialize)]
struct NextLine {
    id: Option<String>,
    title: String,
    agent: Option<String>,
    unreadable: bool,
}

impl NextLine {
    fn new(waiting: WaitingPayload) -> Self {
        let text = waiting.raw.as_deref().or(waiting.task.as_deref());
        Self {
            title: first_line(text.unwrap_or_default()),
            unreadable: waiting.raw.is_some(),
            // One that is no id of ours has no page.
            id: waiting.job_id.filter(|id| is_valid_id(id)),
            agent: waiting.agent,
        }
    }
}

#[derive(Serialize)]
struct QueueCard {
    #[serde(flatten)]
    line: QueueLine,
    next: Vec<NextLine>,
    /// How many more there are than are shown.
    more: u64,
}

/// A job that a worker runs.
#[derive(Serialize)]
struct RunningLine {
    id: String,
    agent: String,
    attempt: u32,
    seconds: f64,
}

/// A worker, ready to print.
#[derive(Serialize)]
pub struct WorkerLine {
    id: String,
    host: String,
    pid: u32,
    version: String,
    slots: usize,
    busy: usize,
    draining: bool,
    /// It lives and takes nothing although it could.
    stuck: bool,
    seen_at: String,
    started_at: String,
    jobs: Vec<RunningLine>,
}

impl WorkerLine {
    pub fn new(worker: &WorkerAtWork, now: Timestamp) -> Self {
        let info = &worker.info;
        let jobs = worker.jobs.iter().map(|job| RunningLine {
            id: job.job_id.clone(),
            agent: job.agent.clone(),
            attempt: job.attempt,
            seconds: seconds_between(job.since, now),
        });
        Self {
            id: info.worker_id.clone(),
            host: info.host.clone(),
            pid: info.pid,
            version: info.version.clone(),
            slots: info.slots,
            busy: worker.jobs.len(),
            draining: info.draining,
            stuck: info.is_idle_alive(),
            seen_at: iso::format(&info.seen_at),
            started_at: iso::format(&info.started_at),
            jobs: jobs.collect(),
        }
    }
}

#[derive(Serialize)]
struct QueuesPage {
    queues: Vec<QueueCard>,
    ready: u64,
    due: u64,
    parked: u64,
    leased: u64,
    scheduled: Vec<JobLine>,
    parked_jobs: Vec<JobLine>,
    workers: Vec<WorkerLine>,
    slots: usize,
    busy: usize,
    /// Something waits and nobody will take it.
    nobody: bool,
}

pub async fn show(visitor: Visitor, state: web::Data<HttpState>) -> Result<HttpResponse, PageError> {
    let services = &state.services;
    let now = now(&state);
    let all = services.queues.list().await?;
    let paused = paused(&all);
    let mut queues = Vec::with_capacity(all.queues.len());
    for queue in &all.queues {
        let next = match queue.depth {
            0 => Vec::new(),
            _ => services.queues.next(queue.name, NEXT).await?,
        };
        let more = queue.depth.saturating_sub(next.len() as u64);
        let next = next.into_iter().map(NextLine::new).collect();
        queues.push(QueueCard { line: QueueLine::new(queue, all.ready), next, more });
    }
    let in_state = |state| JobFilter { state: Some(StateFilter::Is(state)), ..JobFilter::default() };
    let scheduled = match all.due {
        0 => Vec::new(),
        _ => services.jobs.list(&in_state(JobState::Scheduled), LATER, None).await?.rows,
    };
    // Parked jobs are among the queued ones; the newest of these are looked at.
    let parked = match all.parked {
        0 => Vec::new(),
        _ => services.jobs.list(&in_state(JobState::Queued), MAX_BATCH, None).await?.rows,
    };
    let parked = parked.iter().filter(|row| row.waits_for.is_some()).take(LATER);
    let workers = services.workers.list().await?;
    let taking = workers.iter().any(|worker| !worker.info.draining);
    let live = all.ready + all.due + all.parked + all.leased > 0;
    let page = QueuesPage {
        queues,
        ready: all.ready,
        due: all.due,
        parked: all.parked,
        leased: all.leased,
        scheduled: scheduled.iter().map(|row| JobLine::new(row, paused)).collect(),
        parked_jobs: parked.map(|row| JobLine::new(row, paused)).collect(),
        slots: workers.iter().map(|worker| worker.info.slots).sum(),
        busy: workers.iter().map(|worker| worker.jobs.len()).sum(),
        workers: workers.iter().map(|worker| WorkerLine::new(worker, now)).collect(),
        nobody: !taking,
    };
    let shell = Shell::new(&state, &visitor, "Queues", "Queues and workers");
    answer(StatusCode::OK, "queues.html", &shell.live(if live { LIVE } else { IDLE }), &page)
}

pub async fn pause(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    _posted: Posted,
) -> Result<HttpResponse, PageError> {
    let queue = state.services.queues.pause(&name, true).await?;
    Ok(see_other_saying(&format!("/dashboard/queues#queue-{}", queue.name), "queue-paused", None))
}

pub async fn resume(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    _posted: Posted,
) -> Result<HttpResponse, PageError> {
    let queue = state.services.queues.pause(&name, false).await?;
    Ok(see_other_saying(&format!("/dashboard/queues#queue-{}", queue.name), "queue-resumed", None))
}

pub async fn drain(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    _posted: Posted,
) -> Result<HttpResponse, PageError> {
    if !is_valid_id(&id) {
        return Err(PageError::NotFound("There is no such worker.".to_owned()));
    }
    state.services.workers.drain(&id).await?;
    Ok(see_other_saying("/dashboard/queues#workers", "worker-drained", None))
}
