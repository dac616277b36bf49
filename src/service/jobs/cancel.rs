//! Cancel: a job that has not ended ends here, with the one result `cancelled`.

use crate::{
    engine::intervene,
    model::{AttemptOutcome, Job, JobState, ResultStatus, Timestamp},
    store::{Change, REVOKED, Refusal, Revision, Token},
    telemetry::counters,
};

use super::{Jobs, TRIES, busy, not_found, story::open_attempt};
use crate::service::{
    ServiceError, dispatch,
    execution::{self, budget},
    records,
};

/// The longest reason.
pub(in crate::service) const MAX_REASON_CHARS: usize = 1_000;
const NO_REASON: &str = "Somebody cancelled it.";

/// The reason of a cancellation: the one given, within its length, or that none was.
pub(in crate::service) fn checked_reason(reason: Option<&str>) -> Result<&str, ServiceError> {
    // As it was sent: so the document says it.
    if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
        let message = format!("String should have at most {MAX_REASON_CHARS} characters");
        return Err(ServiceError::field("reason", "string_too_long", message));
    }
    Ok(reason.map(str::trim).filter(|reason| !reason.is_empty()).unwrap_or(NO_REASON))
}

impl Jobs {
    /// Cancels a job, and with a step its workflow. One write: the job and its result say so, and the
    /// lease of a running attempt ends, so that nothing its worker writes is taken any more. A payload
    /// that waits is passed over when it is delivered. Cancelling twice is as good as once.
    pub async fn cancel(&self, id: &str, reason: Option<&str>) -> Result<Job, ServiceError> {
        let reason = checked_reason(reason)?;
        for _ in 0..TRIES {
            if let Some(job) = self.try_cancel(id, reason).await? {
                return Ok(job);
            }
        }
        Err(busy(id))
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_cancel(&self, id: &str, reason: &str) -> Result<Option<Job>, ServiceError> {
        let store = self.base.store.as_ref();
        let Some((job, before)) = records::load::<Job>(store, records::job_key(id)).await? else {
            // A payload that is no job is in the dead set alone.
            let dead = store.get(&[records::dead_job_key(id)]).await?.pop().flatten();
            return Err(match dead {
                Some(_) => ServiceError::Conflict(format!("job {id} is dead already")),
                None => not_found(id),
            });
        };
        match job.state {
            JobState::Cancelled => return Ok(Some(job)),
            JobState::Completed | JobState::Failed => {
                return Err(ServiceError::Conflict(format!("job {id} has {} already", job.state.as_str())));
            }
            JobState::Queued | JobState::Running | JobState::Scheduled => {}
        }
        let now = self.base.clock.now();
        let mut change = Change::new();
        let mut others = Vec::new();
        if let Some((mut workflow, workflow_before)) = self.workflow_of(&job).await? {
            let effects = intervene::cancelled(&mut workflow, id, reason, now);
            // Also where it says nothing new of the workflow: somebody may reopen it at this moment and
            // count on this job.
            let key = records::workflow_key(&workflow.workflow_id);
            change = change.expect(key, Some(workflow_before));
            if !effects.events.is_empty() {
                change = dispatch::add_story(change, &workflow, &effects, now);
                let ids = workflow.steps.iter().map(|s| s.job_id.as_str()).filter(|other| *other != id);
                others = self.documents(ids).await?;
                others.retain(|(job, _)| !job.state.is_terminal());
            }
        }
        let (mut change, cancelled) = self.ended(change, job, before, reason, now);
        change = budget::give_back(store, change, id).await?;
        for (other, before) in others {
            let why = format!("The workflow was cancelled: {reason}");
            let ended;
            (change, ended) = self.ended(change, other, before, &why, now);
            change = budget::give_back(store, change, &ended.job_id).await?;
        }
        let number = records::results_in(&change);
        match store.apply(change).await? {
            Ok(_) => {
                counters::FINISHED.of(ResultStatus::Cancelled.as_str()).add(number);
                log::info!(job_id = id, reason = reason; "a job was cancelled");
                Ok(Some(cancelled))
            }
            Err(Refusal::Changed(key)) if key == records::result_key(id) => {
                Err(ServiceError::Conflict(format!("job {id} has its result already")))
            }
            Err(_) => Ok(None),
        }
    }

    /// Adds the end of one job, and gives the job as it will be.
    pub(in crate::service) fn ended(
        &self,
        mut change: Change,
        mut job: Job,
        before: Revision,
        why: &str,
        now: Timestamp,
    ) -> (Change, Job) {
        if let Some(token) = open_attempt(&job).and_then(|attempt| attempt.token) {
            change = change.revoke(Token(token)).event(REVOKED, token.to_string().into_bytes());
        }
        let due_in = job.due_at.and_then(|due| (due - now).to_std().ok()).unwrap_or_default();
        job.close_attempt(AttemptOutcome::Cancelled, Some(why.to_owned()), now);
        job.end(JobState::Cancelled, Some(why.to_owned()), now);
        let mut result = execution::result_of(&job, None, ResultStatus::Cancelled, why.to_owned(), now);
        result.error = Some(why.to_owned());
        let change = change
            .expect(records::job_key(&job.job_id), Some(before))
            .put(records::put_job(&job))
            // The payload may wait longer than the document is kept.
            .put(records::put_tombstone(&job.job_id, due_in.as_millis() as u64));
        (self.base.add_result(change, &mut result, now), job)
    }
}
