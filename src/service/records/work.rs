//! Agents, workflows with their jobs, results and deliveries, and the workers that run them.

use std::time::Duration;

use super::{AGENT, DAY_MS, DEAD_JOB, DELIVERY, JOB, RESULT, TOMBSTONE, WORKER, WORKFLOW, millis};
use crate::{
    model::{
        Agent, DeadJob, Delivery, Job, JobResult, JobState, ResultStatus, Timestamp, WorkerInfo, Workflow,
        WorkflowStatus,
    },
    store::{Change, DocKey, IndexName, Put, UnixMs},
};

const JOB_TTL_MS: u64 = 7 * DAY_MS;
const DEAD_JOB_TTL_MS: u64 = 180 * DAY_MS;
const TOMBSTONE_TTL_MS: u64 = 30 * DAY_MS;
const DELIVERY_TTL_MS: u64 = 7 * DAY_MS;
/// How long a worker that is not heard of counts as alive.
pub const WORKER_TTL_MS: u64 = 60_000;

pub fn agent_key(name: &str) -> DocKey {
    DocKey::new(AGENT, name)
}

pub fn put_agent(agent: &Agent) -> Put {
    Put::json(agent_key(&agent.name), agent).indexed(agent.created_at.timestamp_millis())
}

pub fn workflow_key(id: &str) -> DocKey {
    DocKey::new(WORKFLOW, id)
}

pub fn workflows_by_status(status: WorkflowStatus) -> IndexName {
    IndexName::by(WORKFLOW, "status", status.as_str())
}

/// The workflows whose deletion has begun.
pub fn workflows_deleting() -> IndexName {
    IndexName::by(WORKFLOW, "deletion", "begun")
}

pub fn put_workflow(workflow: &Workflow) -> Put {
    let at = workflow.created_at.timestamp_millis();
    let put = Put::json(workflow_key(&workflow.workflow_id), workflow)
        .indexed(at)
        .index(workflows_by_status(workflow.status), at);
    if workflow.deleting.is_some() { put.index(workflows_deleting(), at) } else { put }
}

pub fn job_key(id: &str) -> DocKey {
    DocKey::new(JOB, id)
}

pub fn jobs_by_state(state: JobState) -> IndexName {
    IndexName::by(JOB, "state", state.as_str())
}

pub fn jobs_by_agent(agent: &str) -> IndexName {
    IndexName::by(JOB, "agent", agent)
}

pub fn jobs_by_workflow(workflow_id: &str) -> IndexName {
    IndexName::by(JOB, "workflow", workflow_id)
}

pub fn put_job(job: &Job) -> Put {
    let at = job.created_at.timestamp_millis();
    let mut put = Put::json(job_key(&job.job_id), job)
        .indexed(at)
        .index(jobs_by_state(job.state), at)
        .index(jobs_by_agent(&job.agent), at);
    if let Some(workflow) = &job.workflow_id {
        put = put.index(jobs_by_workflow(workflow), at);
    }
    if job.state.is_terminal() { put.ttl_ms(JOB_TTL_MS) } else { put }
}

pub fn result_key(job_id: &str) -> DocKey {
    DocKey::new(RESULT, job_id)
}

pub fn results_by_status(status: ResultStatus) -> IndexName {
    IndexName::by(RESULT, "status", status.as_str())
}

pub fn results_by_agent(agent: &str) -> IndexName {
    IndexName::by(RESULT, "agent", agent)
}

pub fn results_by_workflow(workflow_id: &str) -> IndexName {
    IndexName::by(RESULT, "workflow", workflow_id)
}

/// The results that are pinned.
pub fn results_pinned() -> IndexName {
    IndexName::by(RESULT, "pinned", "yes")
}

/// Lets the document of a result stand where results belong.
pub fn index_result(put: Put, result: &JobResult, at: UnixMs) -> Put {
    let put = put
        .indexed(at)
        .index(results_by_status(result.status), at)
        .index(results_by_agent(&result.agent), at);
    let put = if result.pinned { put.index(results_pinned(), at) } else { put };
    match &result.workflow_id {
        Some(workflow) => put.index(results_by_workflow(workflow), at),
        None => put,
    }
}

/// Stores a result for `ttl` from now on, or for ever where it is pinned; the document says which.
pub fn put_result(result: &mut JobResult, ttl: Duration, now: Timestamp) -> Put {
    let ttl_ms = millis(ttl);
    let end = now + chrono::Duration::milliseconds(i64::try_from(ttl_ms).unwrap_or(i64::MAX / 4));
    result.expires_at = (!result.pinned).then_some(end);
    let at = result.timestamp.timestamp_millis();
    let put = index_result(Put::json(result_key(&result.job_id), result), result, at);
    if result.pinned { put } else { put.ttl_ms(ttl_ms) }
}

/// How many results a change writes.
pub fn results_in(change: &Change) -> u64 {
    change.put.iter().filter(|put| put.key.kind == RESULT).count() as u64
}

pub fn dead_job_key(job_id: &str) -> DocKey {
    DocKey::new(DEAD_JOB, job_id)
}

/// The dead jobs with the oldest first: lists are read from the highest time on, so the times are turned
/// round.
pub fn dead_jobs_oldest() -> IndexName {
    IndexName::by(DEAD_JOB, "age", "oldest")
}

pub fn put_dead_job(dead: &DeadJob) -> Put {
    let at = dead.died_at.timestamp_millis();
    Put::json(dead_job_key(&dead.job_id), dead)
        .ttl_ms(DEAD_JOB_TTL_MS)
        .indexed(at)
        .index(dead_jobs_oldest(), -at)
}

pub fn tombstone_key(job_id: &str) -> DocKey {
    DocKey::new(TOMBSTONE, job_id)
}

/// For a cancelled job whose payload waits still, perhaps for a time that is far off.
pub fn put_tombstone(job_id: &str, due_in_ms: u64) -> Put {
    Put::raw(tombstone_key(job_id), "{}").ttl_ms(TOMBSTONE_TTL_MS + due_in_ms)
}

/// The deliveries that are to be tried, the next one in front: lists are read from the highest time on, so the times
/// are turned round.
pub fn deliveries_due() -> IndexName {
    IndexName::by(DELIVERY, "due", "next")
}

pub fn put_delivery(delivery: &Delivery) -> Put {
    let put = Put::json(DocKey::new(DELIVERY, &delivery.delivery_id), delivery)
        .ttl_ms(DELIVERY_TTL_MS)
        .indexed(delivery.at.timestamp_millis());
    match delivery.due_at {
        Some(due) => put.index(deliveries_due(), -due.timestamp_millis()),
        None => put,
    }
}

pub fn put_worker(worker: &WorkerInfo) -> Put {
    Put::json(DocKey::new(WORKER, &worker.worker_id), worker)
        .ttl_ms(WORKER_TTL_MS)
        .indexed(worker.started_at.timestamp_millis())
}

/// The owner's `worker:heartbeat`: seconds since the epoch with a fraction, one for all workers.
pub fn heartbeat_key() -> DocKey {
    DocKey::new(WORKER, "heartbeat")
}

pub fn put_heartbeat(now: Timestamp) -> Put {
    let micros = now.timestamp_micros();
    Put::raw(heartbeat_key(), format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
        .ttl_ms(WORKER_TTL_MS)
}
