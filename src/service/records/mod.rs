//! How each noun is stored: its kind, key, life and indexes. The one place that says so.
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
//! | secret of sessions | `session_secret:current` | none | for ever |
//! | entry of the audit log | `audit_entry:{id}` | `audit_entrys_index`, `audit_entrys_by_key:{name}` | `AUDIT_TTL`; 7 days at the most if it was refused |
//! | delivery of a report | `delivery:{id}` | `deliverys_index`, `deliverys_by_due:next` | 7 days after it was last written |
//! | worker | `worker:{id}` | `workers_index` | 60 s after it was last heard of |
//! | heartbeat | `worker:heartbeat` | none | 60 s |

mod access;
mod calls;
mod files;
mod work;

use std::time::Duration;

use crate::{
    model::{JobState, ResultStatus, WorkflowStatus},
    store::{AuditPart, DocKey, IndexName, Kind, Revision, Store, StoreError},
};

pub use access::*;
pub use calls::*;
pub use files::*;
pub use work::*;

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
/// What sessions are signed with, beside the API key.
pub const SESSION_SECRET: Kind = Kind("session_secret");
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
