//! The slow look at jobs that have not ended: one whose payload is nowhere any more is queued again.
//!
//! A payload can only vanish when the store itself forgets it: keys that were evicted or flushed, a failover
//! to a replica that lagged. The job's document says what it was. To queue it once too often does no harm:
//! a second delivery finds the job running or ended and is settled.
//!
//! What is reserved of budgets for a job that has ended or is gone is given back likewise.

use chrono::TimeDelta;

use super::{Execution, Reservation, budget, payload};
use crate::{
    model::{Job, JobPayload, JobState, Timestamp, iso},
    service::{ServiceError, dispatch, records},
    store::{Audited, Change, Cursor, Enqueue, ListQuery, MAX_BATCH, QueueDepth, Revision, Token},
};

/// A job that was touched later than this ago is left alone: its payload may be between two places.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(30);

impl Execution {
    /// Looks at a page of all jobs, newest first; queues again those whose payload is nowhere.
    pub async fn audit_jobs(&self, after: Option<Cursor>) -> Result<Audited, ServiceError> {
        let store = self.base.store.as_ref();
        let page = store.list(&ListQuery::newest(records::JOB, MAX_BATCH).after(after)).await?;
        let mut audited = Audited { looked_at: page.docs.len(), mended: Vec::new(), next: page.next };
        let now = self.base.clock.now();
        for doc in &page.docs {
            // A document that cannot be read is a matter for whoever asks for it.
            let Ok(job) = doc.parse::<Job>() else { continue };
            if job.state.is_terminal() || now - last_touched(&job) < SETTLED_AFTER {
                continue;
            }
            let depth = store.depth().await?;
            if self.is_nowhere(&job, &depth, now).await? && self.queue_again(&job, doc.revision()).await? {
                audited.mended.push(format!(
                    "job {} ({}) was nowhere in the store any more and is queued again",
                    job.job_id,
                    job.state.as_str()
                ));
            }
        }
        Ok(audited)
    }

    /// Looks at a page of all reservations, newest first; gives back those whose job cannot use them any
    /// more. Every write that ends an attempt does so itself: this is for documents that the store forgot.
    pub async fn audit_reservations(&self, after: Option<Cursor>) -> Result<Audited, ServiceError> {
        let store = self.base.store.as_ref();
        let page = store.list(&ListQuery::newest(records::RESERVATION, MAX_BATCH).after(after)).await?;
        let mut audited = Audited { looked_at: page.docs.len(), mended: Vec::new(), next: page.next };
        let settled = (self.base.clock.now() - SETTLED_AFTER).timestamp_millis();
        for doc in &page.docs {
            let Ok(held) = doc.parse::<Reservation>() else { continue };
            if held.at_ms > settled {
                continue;
            }
            // A job that is retried meanwhile takes its reservation with it: the revision says so.
            let job = records::load::<Job>(store, records::job_key(&held.job_id)).await?;
            if job.as_ref().is_some_and(|(job, _)| !job.state.is_terminal()) {
                continue;
            }
            let key = records::reservation_key(&held.job_id);
            let mut change = Change::new().expect(key.clone(), Some(doc.revision())).delete(key);
            change.add = budget::given_back(&held);
            if store.apply(change).await?.is_ok() {
                audited.mended.push(format!(
                    "{} tokens and {} reserved for job {}, which has ended, are given back",
                    held.tokens, held.usd, held.job_id
                ));
            }
        }
        Ok(audited)
    }

    /// Whether no queue, no lease and no due time can have the job's payload. In doubt it is somewhere.
    async fn is_nowhere(&self, job: &Job, depth: &QueueDepth, now: Timestamp) -> Result<bool, ServiceError> {
        if depth.parked > 0 && job.waits_for.is_some() {
            return Ok(false);
        }
        match job.state {
            JobState::Scheduled => {
                let overdue = job.due_at.is_some_and(|due| now - due > SETTLED_AFTER);
                Ok(overdue && !self.may_wait(job).await?)
            }
            JobState::Queued => Ok(!self.may_wait(job).await?),
            JobState::Running => {
                let token = job.attempts.last().and_then(|attempt| attempt.token);
                let held = match token {
                    Some(token) => self.holds(Token(token)).await?,
                    None => depth.leased > 0,
                };
                Ok(!held && !self.may_wait(job).await?)
            }
            JobState::Completed | JobState::Failed | JobState::Cancelled => Ok(false),
        }
    }

    /// Whether the job may wait in its queue. It does not if the oldest payload there is younger than it,
    /// for what is taken is the oldest.
    async fn may_wait(&self, job: &Job) -> Result<bool, ServiceError> {
        let queue = dispatch::queue_of(job.priority);
        let oldest = self.base.store.waiting(queue, 1).await?.pop();
        let Some(oldest) = oldest else { return Ok(false) };
        let created_at = serde_json::from_slice::<JobPayload>(&oldest)
            .ok()
            .and_then(|payload| payload.created_at)
            .and_then(|text| iso::parse(&text));
        // One that does not say how old it is may be as old as any.
        Ok(created_at.is_none_or(|created_at| created_at <= last_touched(job)))
    }

    async fn queue_again(&self, job: &Job, before: Revision) -> Result<bool, ServiceError> {
        let change = Change::new().expect(records::job_key(&job.job_id), Some(before)).enqueue(Enqueue {
            queue: dispatch::queue_of(job.priority),
            payload: payload::of_job(job),
            due_at: None,
        });
        Ok(self.base.store.apply(change).await?.is_ok())
    }
}

/// When something last happened to the job: its payload was put into its queue then, or later.
fn last_touched(job: &Job) -> Timestamp {
    let attempt = job.attempts.last().map(|attempt| attempt.ended_at.unwrap_or(attempt.started_at));
    attempt.unwrap_or(job.created_at).max(job.ready_since())
}
