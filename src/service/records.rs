//! How each noun is stored: its kind, key, life and indexes. The one file that says so.
//!
//! | noun | key | indexes | life |
//! |---|---|---|---|
//! | agent | `agent:{name}` | `agents_index` | for ever |
//! | workflow | `workflow:{id}` | `workflows_index`, `workflows_by_status:{status}`, `workflows_by_deletion:begun` | for ever, or as `WORKFLOW_TTL` and `MAX_WORKFLOWS` say |
//! | job | `job:{id}` | `jobs_index`, `jobs_by_state:{state}`, `jobs_by_agent:{name}`, `jobs_by_workflow:{id}` | 7 days after its end |
//! | result | `result:{job_id}` | `results_index`, `results_by_status:{status}`, `results_by_agent:{name}`, `results_by_workflow:{id}`, `results_by_pinned:yes` | `RESULT_TTL`, `MAX_RESULTS`; for ever while it is pinned |
//! | call | `call:{job_id}:{number}` | none | 30 days; the one with the output of a step as long as its workflow |
//! | partial answer | `partial:{job_id}` | none | 60 s after it was last written |
//! | reservation | `reservation:{job_id}` | `reservations_index` | 30 days; until its call is journaled or its attempt ends |
//! | lane | `lane:{provider}-{key}` | `lanes_index` | 7 days after it was last written |
//! | dead job | `dead_job:{job_id}` | `dead_jobs_index`, `dead_jobs_by_age:oldest` | 180 days |
//! | report | `report:{filename}` | `reports_index` | 180 days |
//! | upload | `upload:{id}` | `uploads_index`, `uploads_by_end:first` | `UPLOAD_TTL`, then the janitor removes it with its file; 3 days more at the most |
//! | contents of an upload | `upload_contents:{id}` | none | as its upload |
//! | analysis of an upload | `upload_analysis:{id}` | none | as its upload |
//! | installation | `installation:id` | none | for ever |
//! | orphan | `orphan:{blob}` | none | 30 days; until its file is removed |
//! | tombstone | `tombstone:{job_id}` | none | 30 days, or so long after its job's due time |
//! | key | `key:{id}` | `keys_index` | for ever; 180 days after it was revoked |
//! | name of a key | `key_name:{name}` | none | as the newest key of that name |
//! | use of a key | `key_use:{id}` | none | 400 days after the last use |
//! | ended session | `ended_session:{id}` | none | until the session would have ended by itself |
//! | entry of the audit log | `audit_entry:{id}` | `audit_entrys_index`, `audit_entrys_by_key:{name}` | `AUDIT_TTL`; 7 days at the most if it was refused |
//! | delivery of a report | `delivery:{id}` | `deliverys_index`, `deliverys_by_due:next` | 7 days after it was last written |
//! | worker | `worker:{id}` | `workers_index` | 60 s after it was last heard of |
//! | heartbeat | `worker:heartbeat` | none | 60 s |

use std::time::Duration;

use crate::{
    archive::Contents,
    model::{
        Agent, AuditEntry, Call, DeadJob, Delivery, Job, JobResult, JobState, Key, PartialAnswer,
        ResultStatus, Step, Timestamp, Upload, WorkerInfo, Workflow, WorkflowStatus,
    },
    store::{AuditPart, Change, DocKey, IndexName, Kind, Put, Revision, Store, StoreError, UnixMs},
};

use super::{execution::Reservation, pacing::StoredLane, reports::Report, uploads::UploadAnalysis};

pub const AGENT: Kind = Kind("agent");
pub const WORKFLOW: Kind = Kind("workflow");
pub const JOB: Kind = Kind("job");
pub const RESULT: Kind = Kind("result");
pub const CALL: Kind = Kind("call");
pub const DEAD_JOB: Kind = Kind("dead_job");
pub const WORKER: Kind = Kind("worker");
/// A report of a week.
pub const REPORT: Kind = Kind("report");
/// An uploaded archive.
pub const UPLOAD: Kind = Kind("upload");
/// What was found in an upload's archive when it was inspected: where its files are.
pub const UPLOAD_CONTENTS: Kind = Kind("upload_contents");
/// What was found in an upload when it was analysed.
pub const UPLOAD_ANALYSIS: Kind = Kind("upload_analysis");
/// Which installation this store is of, and the files of uploads with it.
pub const INSTALLATION: Kind = Kind("installation");
/// A file that no upload names, and when that was first seen.
pub const ORPHAN: Kind = Kind("orphan");
/// Says that a payload which may still be in a queue is not to be run, where the job's document is gone.
pub const TOMBSTONE: Kind = Kind("tombstone");

/// A session of the dashboard that somebody ended.
pub const ENDED_SESSION: Kind = Kind("ended_session");
/// A named API key.
pub const KEY: Kind = Kind("key");
/// Which key has a name.
pub const KEY_NAME: Kind = Kind("key_name");
/// When a key was last used.
pub const KEY_USE: Kind = Kind("key_use");
/// What a running model call has said so far.
pub const PARTIAL: Kind = Kind("partial");
/// What is reserved of budgets for a job's next call.
pub const RESERVATION: Kind = Kind("reservation");
/// What is known of a provider's limits and faults.
pub const LANE: Kind = Kind("lane");

/// Who has changed what.
pub const AUDIT_ENTRY: Kind = Kind("audit_entry");

/// A report of a workflow to the address that its brief named.
pub const DELIVERY: Kind = Kind("delivery");

const DAY_MS: u64 = 24 * 3600 * 1000;
const JOB_TTL_MS: u64 = 7 * DAY_MS;
const CALL_TTL_MS: u64 = 30 * DAY_MS;
const DEAD_JOB_TTL_MS: u64 = 180 * DAY_MS;
const ORPHAN_TTL_MS: u64 = 30 * DAY_MS;
const REPORT_TTL_MS: u64 = 180 * DAY_MS;
const TOMBSTONE_TTL_MS: u64 = 30 * DAY_MS;
const PARTIAL_TTL_MS: u64 = 60_000;
const RESERVATION_TTL_MS: u64 = 30 * DAY_MS;
const DELIVERY_TTL_MS: u64 = 7 * DAY_MS;
const LANE_TTL_MS: u64 = 7 * DAY_MS;
const REVOKED_KEY_TTL_MS: u64 = 180 * DAY_MS;
const KEY_USE_TTL_MS: u64 = 400 * DAY_MS;
/// How long a worker that is not heard of counts as alive.
pub const WORKER_TTL_MS: u64 = 60_000;

/// What the auditor walks through: leases, and every index whose name does not depend on the data.
pub fn audit_parts() -> Vec<AuditPart> {
    let main = [
        AGENT,
        WORKFLOW,
        JOB,
        RESULT,
        DEAD_JOB,
        WORKER,
        RESERVATION,
        LANE,
        REPORT,
        UPLOAD,
        KEY,
        AUDIT_ENTRY,
        DELIVERY,
    ]
    .map(|kind| (kind, IndexName::all(kind)));
    let jobs = JobState::ALL.map(|state| (JOB, jobs_by_state(state)));
    let workflows = WorkflowStatus::ALL.map(|status| (WORKFLOW, workflows_by_status(status)));
    let dead = [(DEAD_JOB, dead_jobs_oldest()), (UPLOAD, uploads_by_end()), (DELIVERY, deliveries_due())];
    let results = ResultStatus::ALL.map(|status| (RESULT, results_by_status(status)));
    let marked = [(RESULT, results_pinned()), (WORKFLOW, workflows_deleting())];
    let indexes = main.into_iter().chain(marked).chain(jobs).chain(workflows).chain(results).chain(dead);
    std::iter::once(AuditPart::Leases)
        .chain(indexes.map(|(kind, index)| AuditPart::Index(kind, index)))
        .collect()
}

pub fn agent_key(name: &str) -> DocKey {
    DocKey::new(AGENT, name)
}

pub fn workflow_key(id: &str) -> DocKey {
    DocKey::new(WORKFLOW, id)
}

pub fn job_key(id: &str) -> DocKey {
    DocKey::new(JOB, id)
}

pub fn result_key(job_id: &str) -> DocKey {
    DocKey::new(RESULT, job_id)
}

pub fn call_key(job_id: &str, number: u32) -> DocKey {
    DocKey::new(CALL, format!("{job_id}:{number}"))
}

pub fn put_agent(agent: &Agent) -> Put {
    Put::json(agent_key(&agent.name), agent).indexed(agent.created_at.timestamp_millis())
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

pub fn put_call(call: &Call) -> Put {
    Put::json(call_key(&call.job_id, call.number), call).ttl_ms(CALL_TTL_MS)
}

/// Where the output of a step is.
pub fn output_key(step: &Step) -> DocKey {
    call_key(&step.job_id, step.calls)
}

/// The call that has the output of a step: other steps need it, and it goes with its workflow.
pub fn put_output(call: &Call) -> Put {
    Put::json(call_key(&call.job_id, call.number), call)
}

/// All journaled calls of a job, in order, read so many at a time.
pub async fn calls_of(
    store: &dyn Store,
    job_id: &str,
    page: u32,
    most: u32,
) -> Result<Vec<Call>, StoreError> {
    let mut calls = Vec::new();
    for first in (1..=most).step_by(page.max(1) as usize) {
        let keys: Vec<_> = (first..first + page).map(|number| call_key(job_id, number)).collect();
        for doc in store.get(&keys).await? {
            match doc {
                Some(doc) => calls.push(doc.parse::<Call>()?),
                None => return Ok(calls),
            }
        }
    }
    Ok(calls)
}

pub fn partial_key(job_id: &str) -> DocKey {
    DocKey::new(PARTIAL, job_id)
}

pub fn put_partial(partial: &PartialAnswer) -> Put {
    Put::json(partial_key(&partial.job_id), partial).ttl_ms(PARTIAL_TTL_MS)
}

pub fn reservation_key(job_id: &str) -> DocKey {
    DocKey::new(RESERVATION, job_id)
}

pub fn put_reservation(reservation: &Reservation) -> Put {
    Put::json(reservation_key(&reservation.job_id), reservation)
        .ttl_ms(RESERVATION_TTL_MS)
        .indexed(reservation.at_ms)
}

pub fn lane_key(id: &str) -> DocKey {
    DocKey::new(LANE, id)
}

pub fn put_lane(lane: &StoredLane, at: UnixMs) -> Put {
    Put::json(lane_key(&lane.id), lane).ttl_ms(LANE_TTL_MS).indexed(at)
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

pub fn report_key(filename: &str) -> DocKey {
    DocKey::new(REPORT, filename)
}

pub fn put_report(report: &Report) -> Put {
    Put::json(report_key(&report.filename), report)
        .ttl_ms(REPORT_TTL_MS)
        .indexed(report.created_at.timestamp_millis())
}

pub fn upload_key(id: &str) -> DocKey {
    DocKey::new(UPLOAD, id)
}

/// The uploads with the one that ends first in front: lists are read from the highest time on, so the times
/// are turned round.
pub fn uploads_by_end() -> IndexName {
    IndexName::by(UPLOAD, "end", "first")
}

pub fn put_upload(upload: &Upload, kept_for: Duration) -> Put {
    let put = Put::json(upload_key(&upload.upload_id), upload)
        .ttl_ms(millis(kept_for))
        .indexed(upload.uploaded_at.timestamp_millis());
    match upload.expires_at {
        Some(end) => put.index(uploads_by_end(), -end.timestamp_millis()),
        None => put,
    }
}

pub fn contents_key(upload_id: &str) -> DocKey {
    DocKey::new(UPLOAD_CONTENTS, upload_id)
}

pub fn put_contents(upload_id: &str, contents: &Contents, kept_for: Duration) -> Put {
    Put::json(contents_key(upload_id), contents).ttl_ms(millis(kept_for))
}

pub fn analysis_key(upload_id: &str) -> DocKey {
    DocKey::new(UPLOAD_ANALYSIS, upload_id)
}

pub fn put_analysis(analysis: &UploadAnalysis, kept_for: Duration) -> Put {
    Put::json(analysis_key(&analysis.upload_id), analysis).ttl_ms(millis(kept_for))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

pub fn tombstone_key(job_id: &str) -> DocKey {
    DocKey::new(TOMBSTONE, job_id)
}

/// For a cancelled job whose payload waits still, perhaps for a time that is far off.
pub fn put_tombstone(job_id: &str, due_in_ms: u64) -> Put {
    Put::raw(tombstone_key(job_id), "{}").ttl_ms(TOMBSTONE_TTL_MS + due_in_ms)
}

pub fn ended_session_key(id: &str) -> DocKey {
    DocKey::new(ENDED_SESSION, id)
}

pub fn put_ended_session(id: &str, left: Duration) -> Put {
    Put::raw(ended_session_key(id), "{}").ttl_ms(millis(left))
}

pub fn key_key(id: &str) -> DocKey {
    DocKey::new(KEY, id)
}

pub fn key_name_key(name: &str) -> DocKey {
    DocKey::new(KEY_NAME, name)
}

pub fn key_use_key(id: &str) -> DocKey {
    DocKey::new(KEY_USE, id)
}

/// A key, and who has its name: both live as long.
pub fn put_key(key: &Key) -> [Put; 2] {
    let at = key.created_at.timestamp_millis();
    let puts = [
        Put::json(key_key(&key.id), key).indexed(at),
        Put::json(key_name_key(&key.name), &serde_json::json!({"id": key.id})),
    ];
    if key.revoked_at.is_some() { puts.map(|put| put.ttl_ms(REVOKED_KEY_TTL_MS)) } else { puts }
}

/// When a key was used: milliseconds since the epoch.
pub fn put_key_use(id: &str, at: UnixMs) -> Put {
    Put::json(key_use_key(id), &serde_json::json!({"last_used": at})).ttl_ms(KEY_USE_TTL_MS)
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

pub fn audit_entries() -> IndexName {
    IndexName::all(AUDIT_ENTRY)
}

pub fn audit_entries_by_key(name: &str) -> IndexName {
    IndexName::by(AUDIT_ENTRY, "key", name)
}

pub fn put_audit_entry(entry: &AuditEntry, kept_for: Duration) -> Put {
    let at = entry.at.timestamp_millis();
    let put =
        Put::json(DocKey::new(AUDIT_ENTRY, &entry.audit_id), entry).ttl_ms(millis(kept_for)).indexed(at);
    match &entry.key {
        Some(key) => put.index(audit_entries_by_key(key), at),
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

pub fn installation_key() -> DocKey {
    DocKey::new(INSTALLATION, "id")
}

pub fn put_installation(id: &str) -> Put {
    Put::json(installation_key(), &serde_json::json!({"id": id}))
}

pub fn orphan_key(blob: &str) -> DocKey {
    DocKey::new(ORPHAN, blob)
}

pub fn put_orphan(blob: &str, first_seen: UnixMs) -> Put {
    Put::json(orphan_key(blob), &serde_json::json!({"first_seen": first_seen})).ttl_ms(ORPHAN_TTL_MS)
}

/// One document, parsed, with the revision it was read at.
pub async fn load<T: serde::de::DeserializeOwned>(
    store: &dyn Store,
    key: DocKey,
) -> Result<Option<(T, Revision)>, StoreError> {
    match store.get(&[key]).await?.pop().flatten() {
        Some(doc) => Ok(Some((doc.parse()?, doc.revision()))),
        None => Ok(None),
    }
}

/// How many results a change writes.
pub fn results_in(change: &Change) -> u64 {
    change.put.iter().filter(|put| put.key.kind == RESULT).count() as u64
}
