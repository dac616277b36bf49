//! Deletion of a workflow that has ended, with all that belongs to it.
//!
//! It is several writes. The first marks the workflow: from then on nothing goes on from it (no fork, no retry), and the
//! audit finishes what a crash leaves.

use crate::{
    model::{Deletion, JobResult, RunEvent, RunEventKind, Workflow},
    store::{Change, DocKey, ListQuery, MAX_BATCH, Revision, Store},
};

use super::{
    Workflows,
    control::{busy, wrong_state},
};
use crate::service::{ServiceError, records};

/// The most model calls that are deleted with one job beside the one that has its output; more expire.
const MOST_CALLS: u32 = 80;
/// How many documents one write removes at the most.
const PORTION: usize = MAX_BATCH - 5;
const TRIES: usize = 20;

impl Workflows {
    /// Deletes a workflow that has ended: its document, its jobs, their model calls and their results. Its part in
    /// the figures of usage stays. What was begun and not finished (a crash) is finished by the audit.
    pub async fn delete(&self, id: &str) -> Result<(), ServiceError> {
        self.delete_with(id, Deletion::Whole).await
    }

    /// The same, but results that somebody has pinned stay.
    pub async fn delete_but_pinned(&self, id: &str) -> Result<(), ServiceError> {
        self.delete_with(id, Deletion::ButPinned).await
    }

    /// Finishes deletions that somebody began and did not finish, at most 100; how many.
    pub async fn finish_deletions(&self) -> Result<usize, ServiceError> {
        let begun = ListQuery::newest(records::WORKFLOW, MAX_BATCH).index(records::workflows_deleting());
        let mut finished = 0;
        for doc in self.base.store.list(&begun).await?.docs {
            match self.delete_but_pinned(&doc.key.id).await {
                Ok(()) => finished += 1,
                // Whoever began it has finished it; or it is needed again.
                Err(ServiceError::NotFound(_) | ServiceError::Conflict(_)) => {}
                Err(error) => self.told.passed_over(&doc.key.to_string(), error)?,
            }
        }
        Ok(finished)
    }

    async fn delete_with(&self, id: &str, wanted: Deletion) -> Result<(), ServiceError> {
        let mut begun = false;
        for _ in 0..TRIES {
            let (mut workflow, before) = match self.found(id).await {
                // The audit was faster with what was begun here.
                Err(ServiceError::NotFound(_)) if begun => return Ok(()),
                found => found?,
            };
            if !workflow.is_over() {
                return Err(wrong_state(&workflow, "cancel it first, or wait for its end"));
            }
            if let Some(fork) = unfinished_fork(self.base.store.as_ref(), &workflow).await? {
                return Err(ServiceError::Conflict(format!(
                    "workflow {id} is needed: {fork}, which was forked from it, has not ended"
                )));
            }
            // Whoever began it has said what it takes; a person may want more.
            let deletion = match (workflow.deleting, wanted) {
                (Some(said), Deletion::ButPinned) => said,
                _ => wanted,
            };
            if workflow.deleting != Some(deletion) {
                workflow.deleting = Some(deletion);
                let key = records::workflow_key(id);
                let change = Change::new().expect(key, Some(before)).put(records::put_workflow(&workflow));
                begun |= self.base.store.apply(change).await?.is_ok();
                continue;
            }
            if self.try_delete(&workflow, &before, deletion == Deletion::Whole).await? {
                log::info!(workflow_id = id; "a workflow was deleted");
                return Ok(());
            }
        }
        Err(busy(id))
    }

    /// False when the workflow changed meanwhile.
    async fn try_delete(
        &self,
        workflow: &Workflow,
        before: &Revision,
        pinned: bool,
    ) -> Result<bool, ServiceError> {
        let store = self.base.store.as_ref();
        let key = records::workflow_key(&workflow.workflow_id);
        let unchanged = || Change::new().expect(key.clone(), Some(before.clone()));
        let own: Vec<&str> =
            workflow.steps.iter().filter(|s| s.from_workflow.is_none()).map(|s| s.job_id.as_str()).collect();
        // A payload that waits still finds neither job nor workflow, and must not be run for that.
        let open: Vec<String> = self
            .jobs
            .documents(own.iter().copied())
            .await?
            .into_iter()
            .filter(|(job, _)| !job.state.is_terminal())
            .map(|(job, _)| job.job_id)
            .collect();
        let mut keys = Vec::new();
        for job in &own {
            keys.extend([
                records::job_key(job),
                records::dead_job_key(job),
                records::result_key(job),
                records::partial_key(job),
            ]);
            let calls = records::calls_of(store, job, 16, MOST_CALLS).await?;
            keys.extend(calls.iter().map(|call| records::call_key(job, call.number)));
        }
        // Those before it may have expired.
        keys.extend(workflow.steps.iter().filter(|s| s.from_workflow.is_none()).map(records::output_key));
        keys.sort();
        keys.dedup();
        if !pinned {
            let staying = self.pinned(&own).await?;
            keys.retain(|key| !staying.contains(key));
        }
        for portion in open.chunks(PORTION) {
            let change = portion.iter().fold(unchanged(), |c, job| c.put(records::put_tombstone(job, 0)));
            if store.apply(change).await?.is_err() {
                return Ok(false);
            }
        }
        for portion in keys.chunks(PORTION) {
            let change = portion.iter().cloned().fold(unchanged(), Change::delete);
            if store.apply(change).await?.is_err() {
                return Ok(false);
            }
        }
        let event = RunEvent {
            kind: RunEventKind::WorkflowDeleted,
            workflow_id: workflow.workflow_id.clone(),
            job_id: None,
            step: None,
            round: None,
            message: "It was deleted with all that belonged to it.".to_owned(),
            at: self.base.clock.now(),
        };
        let body = serde_json::to_vec(&event).expect("an event has only plain fields");
        let change = unchanged().delete(key.clone()).event(workflow.workflow_id.clone(), body);
        let is_done = store.apply(change).await?.is_ok();
        if is_done {
            // Its viewers have heard the last of it soon. Should this not be written, its events go with their age.
            if let Err(error) = store.retire(&workflow.workflow_id).await {
                log::debug!("the events of a deleted workflow stay for now: {error}");
            }
        }
        Ok(is_done)
    }
}

impl Workflows {
    /// The results of these jobs that are pinned.
    async fn pinned(&self, jobs: &[&str]) -> Result<Vec<DocKey>, ServiceError> {
        let keys: Vec<_> = jobs.iter().map(|job| records::result_key(job)).collect();
        let mut pinned = Vec::new();
        for chunk in keys.chunks(MAX_BATCH) {
            for doc in self.base.store.get(chunk).await?.into_iter().flatten() {
                if doc.parse::<JobResult>()?.pinned {
                    pinned.push(doc.key);
                }
            }
        }
        Ok(pinned)
    }
}

/// Refuses to go on from a workflow whose deletion has begun.
pub(in crate::service) fn refuse_deleting(workflow: &Workflow) -> Result<(), ServiceError> {
    match workflow.deleting {
        Some(_) => Err(ServiceError::Conflict(format!("workflow {} is being deleted", workflow.workflow_id))),
        None => Ok(()),
    }
}

/// A workflow that was forked from this one, needs its outputs and has not ended.
pub(in crate::service) async fn unfinished_fork(
    store: &dyn Store,
    workflow: &Workflow,
) -> Result<Option<String>, ServiceError> {
    for chunk in workflow.forks.chunks(MAX_BATCH) {
        let keys: Vec<_> = chunk.iter().map(|id| records::workflow_key(id)).collect();
        for doc in store.get(&keys).await?.into_iter().flatten() {
            let fork: Workflow = doc.parse()?;
            if !fork.is_over() {
                return Ok(Some(fork.workflow_id));
            }
        }
    }
    Ok(None)
}
