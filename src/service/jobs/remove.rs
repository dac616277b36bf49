//! Removal: what has ended is deleted by hand, and the dead set is kept within its bounds.

use crate::{
    model::Workflow,
    store::{Change, ListQuery, MAX_BATCH},
};

use super::{Jobs, TRIES, busy};
use crate::service::{ServiceError, records, workflows::unfinished_fork};

/// The most dead jobs that are kept; the oldest go first.
pub const MAX_DEAD_JOBS: u64 = 10_000;

/// The most calls that are deleted with a job; more expire.
const MOST_CALLS: u32 = 80;

impl Jobs {
    /// Deletes a job that has ended: its document, its entry in the dead set and its model calls, with
    /// its result if that is asked for. A step is kept while its workflow may need it.
    pub async fn delete(&self, id: &str, with_result: bool) -> Result<(), ServiceError> {
        for _ in 0..TRIES {
            let found = self.find(id).await?;
            if !found.job.state.is_terminal() {
                let state = found.job.state.as_str();
                return Err(ServiceError::Conflict(format!(
                    "job {id} is {state}; cancel it first, or wait for its end"
                )));
            }
            let mut change = Change::new();
            if let Some((workflow, before)) = self.workflow_of(&found.job).await? {
                if !workflow.is_over() {
                    return Err(self.needed(id, &workflow));
                }
                if let Some(fork) = unfinished_fork(self.base.store.as_ref(), &workflow).await? {
                    return Err(ServiceError::Conflict(format!(
                        "job {id} is needed: workflow {fork}, which was forked from its own, has not ended"
                    )));
                }
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
            }
            change = change
                .expect(records::job_key(id), found.before)
                .delete(records::job_key(id))
                .delete(records::dead_job_key(id));
            for call in records::calls_of(self.base.store.as_ref(), id, 16, MOST_CALLS).await? {
                change = change.delete(records::call_key(id, call.number));
            }
            if with_result {
                change = change.delete(records::result_key(id));
            }
            if self.base.store.apply(change).await?.is_ok() {
                return Ok(());
            }
        }
        Err(busy(id))
    }

    fn needed(&self, id: &str, workflow: &Workflow) -> ServiceError {
        let name = &workflow.workflow_id;
        ServiceError::Conflict(format!("job {id} is a step of workflow {name}, which still runs"))
    }

    /// Removes at most 100 of the oldest entries of the dead set if it has more than `most`; whether
    /// more are left to remove. To be called from time to time.
    pub async fn trim_dead(&self, most: u64) -> Result<bool, ServiceError> {
        let store = self.base.store.as_ref();
        let index = records::dead_jobs_oldest();
        // Counted behind the page: what another process has removed since stands in the page, not behind it.
        let mut page =
            store.list(&ListQuery::newest(records::DEAD_JOB, MAX_BATCH).index(index.clone())).await?;
        let excess = store.count(&index).await?.saturating_sub(most);
        if excess == 0 {
            return Ok(false);
        }
        page.docs.truncate(usize::try_from(excess).unwrap_or(usize::MAX));
        let removed = page.docs.len();
        let change = page.docs.into_iter().fold(Change::new(), |change, doc| change.delete(doc.key));
        let _ = store.apply(change).await?;
        log::info!("the dead set has more than {most} entries: the {removed} oldest were removed");
        Ok(removed > 0 && excess > removed as u64)
    }
}
