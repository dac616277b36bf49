//! What becomes of work that the earlier system left behind.
//!
//! It moved a workflow on only when somebody looked at it, kept results for an hour, and its worker took a
//! job without a trace. So of a step that is not said to be over
//! - whose result is there, that result is its end;
//! - whose job waits or has a document, the job will be run;
//! - everything else is lost. If any other job of the workflow will be run, the lost ones are queued again,
//!   urgently, as those others may need them. If none will, the workflow fails with a reason that says so:
//!   it would be running for ever.

use crate::{
    engine::{Effects, advance},
    model::{JobResult, Priority, ResultStatus, Spending, StepStatus, Timestamp, Workflow},
    store::{Change, Doc, MAX_BATCH, Revision, Store, StoreError},
};

use super::{
    dispatch,
    execution::{answer, payload},
    records,
};

/// Begins the reason of every end that adoption gave.
const ADOPTED: &str = "adopted: ";

/// What is to become of a workflow.
#[derive(Debug)]
pub struct Settled {
    /// Expects the workflow as it was read.
    pub change: Change,
    /// In a sentence.
    pub told: String,
}

/// The id of the job that a payload describes, if it is one and names itself.
pub fn job_id(payload: &[u8]) -> Option<String> {
    payload::read(payload).ok()?.job_id
}

/// Whether a payload is one that the earlier API made: it has a text, an id and a mode.
pub fn is_legacy_job(payload: &[u8]) -> bool {
    payload::read(payload).is_ok_and(|job| job.job_id.is_some() && job.mode.is_some())
}

/// What is to become of a running workflow; nothing if it is as it should be.
///
/// `waits` tells whether a job waits in a list, as it was before anything else was read; `ended_at` when the
/// body of a result says that it was written.
pub async fn settle(
    store: &dyn Store,
    workflow: &Workflow,
    before: Revision,
    waits: impl Fn(&str) -> bool,
    ended_at: impl Fn(&[u8], &JobResult) -> Timestamp,
    now: Timestamp,
) -> Result<Option<Settled>, StoreError> {
    let mut after = workflow.clone();
    let open: Vec<String> = after
        .steps
        .iter()
        .filter(|step| !step.status.is_terminal())
        .map(|step| step.job_id.clone())
        .collect();
    let results = documents(store, &open, records::result_key).await?;
    let jobs = documents(store, &open, records::job_key).await?;
    let (mut effects, mut taken) = (Effects::default(), 0);
    for (job_id, result) in open.iter().zip(&results) {
        // One that cannot be read is none that could be shown.
        let Some((doc, result)) = result.as_ref().and_then(|doc| Some((doc, doc.parse::<JobResult>().ok()?)))
        else {
            continue;
        };
        let at = ended_at(&doc.body, &result);
        let more = match result.status {
            ResultStatus::Completed => advance::completed(&mut after, job_id, answer::output_of(&result), at),
            ResultStatus::Failed | ResultStatus::Cancelled => {
                let spending = answer::spending_of(&result);
                advance::failed(&mut after, job_id, &result.output, result.attempts, spending, at)
            }
        };
        effects.events.extend(more.events);
        effects.enqueue.extend(more.enqueue);
        taken += 1;
    }
    if open.is_empty() {
        let more = advance::ended_if_done(&mut after, now);
        effects.events.extend(more.events);
    }
    let will_run = |job_id: &str| {
        let known = open.iter().zip(&jobs).any(|(open, job)| open == job_id && job.is_some());
        known || waits(job_id)
    };
    let still_open = after.steps.iter().filter(|step| !step.status.is_terminal());
    // A step that waits for its inputs has no job yet, and is moved on by theirs.
    let (lost, others): (Vec<_>, Vec<_>) =
        still_open.partition(|step| step.status != StepStatus::Waiting && !will_run(&step.job_id));
    let lost: Vec<String> = lost.into_iter().map(|step| step.job_id.clone()).collect();
    let any_runs = others.iter().any(|step| will_run(&step.job_id));
    let mut change = Change::new().expect(records::workflow_key(&workflow.workflow_id), Some(before));
    let told = match (after.is_over(), lost.as_slice(), any_runs) {
        (true, _, _) => format!("{taken} results make it {}", after.status.as_str()),
        (false, [], _) if taken == 0 => return Ok(None),
        (false, [], _) => format!("{taken} results, and its other jobs wait"),
        (false, [first, ..], false) => {
            fail(&mut after, first, &lost, &mut effects, now);
            format!("{taken} results, {} lost jobs, and none that waits: it is failed", lost.len())
        }
        (false, lost, true) => {
            for job_id in lost {
                change = queue_again(change, &mut after, job_id, &mut effects, now);
            }
            format!("{taken} results, and {} lost jobs are queued again", lost.len())
        }
    };
    let change = dispatch::add_effects(change, &after, &effects, now);
    Ok(Some(Settled { change, told }))
}

/// The documents of these jobs, in the same order.
async fn documents(
    store: &dyn Store,
    job_ids: &[String],
    key: impl Fn(&str) -> crate::store::DocKey,
) -> Result<Vec<Option<Doc>>, StoreError> {
    let mut found = Vec::with_capacity(job_ids.len());
    for piece in job_ids.chunks(MAX_BATCH) {
        let keys: Vec<_> = piece.iter().map(|id| key(id)).collect();
        found.extend(store.get(&keys).await?);
    }
    Ok(found)
}

fn fail(workflow: &mut Workflow, first: &str, lost: &[String], effects: &mut Effects, now: Timestamp) {
    // The earlier system said "processing" of whatever had no result when somebody looked.
    for step in workflow.steps.iter_mut().filter(|step| lost.contains(&step.job_id)) {
        step.status = StepStatus::Queued;
    }
    let reason = format!(
        "{ADOPTED}it has no result, and no job of the workflow waits; the earlier system kept results for an hour"
    );
    effects.events.extend(advance::failed(workflow, first, &reason, 0, Spending::default(), now).events);
}

fn queue_again(
    change: Change,
    workflow: &mut Workflow,
    job_id: &str,
    effects: &mut Effects,
    now: Timestamp,
) -> Change {
    let why = format!("{ADOPTED}its job was lost and is queued again");
    effects.events.extend(advance::back_to_queue(workflow, job_id, &why, now).events);
    let Some(step) = workflow.step(job_id).cloned() else { return change };
    let (mut job, payload) = dispatch::step_job(workflow, &step, now);
    // Its followers wait already, and not for long.
    job.priority = Priority::High;
    dispatch::add_job(change, &job, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_earlier_api_made_is_told_from_other_payloads() {
        let job = br#"{"job_id":"a","job":"hello","mode":"agent_dispatch"}"#;
        assert!(is_legacy_job(job));
        assert_eq!(job_id(job).as_deref(), Some("a"));
        for other in
            [&b"not json"[..], b"[]", br#"{"to":"someone","job":"mail"}"#, br#"{"job_id":"a","mode":"x"}"#]
        {
            assert!(!is_legacy_job(other));
        }
    }
}
