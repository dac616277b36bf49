//! Jobs that cannot go on now, through no fault of theirs: they are put off, give their slot back, and no
//! attempt is charged.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    engine::advance,
    model::{AttemptOutcome, Job, JobState, Timestamp, Workflow},
    store::{Change, Delivery, Enqueue, LeaseEnd, Refusal, Revision},
};

use super::{Admission, Ending, Execution, Running, TRIES, budget::UsedUp, journal, payload};
use crate::service::{ServiceError, dispatch, records};

/// How long a job waits for a provider, put off again and again, before it fails.
pub const LONGEST_WAIT: TimeDelta = TimeDelta::hours(24);
/// What the job of a paused workflow waits for.
pub const HOLD: &str = "resume:workflow";
/// How soon a job looks again that others have left nothing of a budget.
const BUSY_AGAIN: Duration = Duration::from_secs(2);
/// How soon a job looks again whether a budget was raised that does not renew itself. Raising it through
/// the API lets it go on at once.
const RAISED_AGAIN: Duration = Duration::from_secs(600);

/// Why a job is put off.
#[derive(Debug, Clone, PartialEq)]
pub struct Postponement {
    /// `provider:groq` or `budget:workflow`.
    waits_for: String,
    /// For a person.
    why: String,
    wait: Duration,
    /// Whether a model was asked in this attempt.
    asked: bool,
    /// Whether the workflow is paused for it.
    pauses: bool,
}

impl Postponement {
    /// The provider asked to wait, or its circuit is open.
    pub fn provider(name: &str, why: &str, wait: Duration, asked: bool) -> Self {
        let (waits_for, why) = (format!("provider:{name}"), why.to_owned());
        Self { waits_for, why, wait, asked, pauses: false }
    }

    /// A budget is used up.
    pub fn used_up(budget: &UsedUp, now: Timestamp, asked: bool) -> Self {
        let renews_in = budget.renews_at.and_then(|at| (at - now).to_std().ok());
        Self {
            waits_for: format!("budget:{}", budget.scope),
            why: budget.detail.clone(),
            wait: renews_in.unwrap_or(RAISED_AGAIN).min(RAISED_AGAIN),
            asked,
            pauses: true,
        }
    }

    /// Others hold what is left of a budget.
    pub fn busy(budget: &UsedUp, asked: bool) -> Self {
        Self {
            waits_for: format!("budget:{}", budget.scope),
            why: "calls that run hold what is left of the budget".to_owned(),
            wait: BUSY_AGAIN.mul_f64(0.5 + rand::random::<f64>()),
            asked,
            pauses: false,
        }
    }
}

impl Execution {
    /// Keeps the job of a workflow that somebody paused until it is resumed, which calls it back at once.
    /// `None` when a document changed meanwhile.
    pub(super) async fn hold(
        &self,
        delivery: &Delivery,
        mut job: Job,
        before: Option<Revision>,
        workflow: (&Workflow, &Revision),
    ) -> Result<Option<Admission>, ServiceError> {
        let due_at = self.base.store.now().await? + RAISED_AGAIN.as_millis() as i64;
        job.state = JobState::Scheduled;
        job.waits_for = Some(HOLD.to_owned());
        job.due_at = Timestamp::from_timestamp_millis(due_at);
        let mut change = Change::new().under(delivery.token, LeaseEnd::Finish);
        if before.is_none() {
            // The journal of an earlier job of this id is not this one's.
            change = change.delete(records::call_key(&job.job_id, journal::FIRST));
        }
        let change = change
            .expect(records::job_key(&job.job_id), before)
            // Whoever resumes it meanwhile would not see that this job waits.
            .expect(records::workflow_key(&workflow.0.workflow_id), Some(workflow.1.clone()))
            .put(records::put_job(&job))
            .enqueue(Enqueue {
                queue: delivery.queue,
                payload: delivery.payload.clone(),
                due_at: Some(due_at),
            });
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Some(Admission::Settled("its workflow is paused".to_owned())),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_) | Refusal::Limited(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// How long a job has been put off without having got anywhere.
    pub fn waits_since(&self, running: &Running) -> TimeDelta {
        let since = running.job.postponed_since;
        since.map_or_else(TimeDelta::zero, |since| self.base.clock.now() - since)
    }

    /// Puts a job off: it comes again when its wait is over.
    pub async fn postpone(&self, running: &Running, reason: &Postponement) -> Result<Ending, ServiceError> {
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let mut job = running.job.clone();
            let first = job.postponed_since.is_none();
            job.postponed_since.get_or_insert(now);
            if reason.asked {
                job.close_attempt(AttemptOutcome::Postponed, Some(reason.why.clone()), now);
            } else {
                // It has not begun after all.
                job.attempts.pop();
            }
            job.state = JobState::Scheduled;
            job.waits_for = Some(reason.waits_for.clone());
            let wait_ms = i64::try_from(reason.wait.as_millis()).unwrap_or(i64::MAX / 4);
            let due_at = self.base.store.now().await? + wait_ms;
            job.due_at = Timestamp::from_timestamp_millis(due_at);
            let mut change = Change::new()
                .under(running.token, LeaseEnd::Finish)
                .expect(records::job_key(&job.job_id), Some(running.job_revision.clone()))
                .put(records::put_job(&job))
                .enqueue(Enqueue {
                    queue: dispatch::queue_of(job.priority),
                    payload: payload::of_job(&job),
                    due_at: Some(due_at),
                });
            change = self.give_back(change, &job.job_id).await?;
            if let Some((mut workflow, before)) = self.workflow_of(running).await? {
                let why = &reason.why;
                let effects = match reason.pauses {
                    true => advance::paused(&mut workflow, &job.job_id, why, now),
                    false => advance::put_off(&mut workflow, &job.job_id, why, first, now),
                };
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
                change = dispatch::add_effects(change, &workflow, &effects, now);
            }
            match self.base.store.apply(change).await? {
                Ok(_) => return Ok(Ending::Postponed(reason.wait)),
                Err(refusal) => {
                    if let Some(ending) = self.refused(running, &refusal).await? {
                        return Ok(ending);
                    }
                }
            }
        }
        Err(self.busy(&running.job.job_id))
    }
}
