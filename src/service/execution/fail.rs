//! The end of an attempt without an answer: the next attempt, the last one's result, or the way
//! back into the queue.

use std::time::Duration;

use crate::{
    engine::{
        advance,
        retry::{Decision, Failure},
    },
    model::{AttemptOutcome, DeadJob, DeadReason, FailureClass, JobState, ResultStatus, Timestamp, Workflow},
    store::{Change, Enqueue, LeaseEnd, Refusal, Revision},
    telemetry::counters,
};

use super::{Ending, Execution, Running, TRIES, payload};
use crate::service::{ServiceError, dispatch, records};

/// Why an attempt has no answer.
#[derive(Debug, Clone)]
pub struct Fault {
    /// For a person.
    pub error: String,
    pub failure: Failure,
    /// `Failed` or `TimedOut`.
    pub outcome: AttemptOutcome,
}

/// Why a job ends as failed.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub error: String,
    pub reason: DeadReason,
    pub outcome: AttemptOutcome,
    pub class: Option<FailureClass>,
}

impl Execution {
    /// An attempt failed: plans the next one, or ends the job with the reason.
    pub async fn fail(&self, running: &Running, fault: &Fault) -> Result<Ending, ServiceError> {
        let failure = fault.failure;
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let workflow = self.workflow_of(running).await?;
            let needed = workflow.as_ref().is_none_or(|(w, _)| !w.is_over());
            let failures = running.job.failures() + 1;
            let outcome = match self.base.retry.decide(failures, failure, rand::random::<f64>()) {
                Decision::RetryAfter(wait) if needed => {
                    self.schedule(running, workflow, fault, wait, now).await?
                }
                _ => {
                    let reason =
                        if failure.retryable { DeadReason::Exhausted } else { DeadReason::Permanent };
                    let loss = Loss {
                        error: fault.error.clone(),
                        reason,
                        outcome: fault.outcome,
                        class: Some(failure.class),
                    };
                    let before = Some(running.job_revision.clone());
                    self.end_failed(running, before, workflow, &loss, now).await?
                }
            };
            match outcome {
                Ok(ending) => return Ok(ending),
                Err(refusal) => {
                    if let Some(ending) = self.refused(running, &refusal).await? {
                        return Ok(ending);
                    }
                }
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// The worker stops: gives the job back with no attempt charged.
    pub async fn release(&self, running: &Running) -> Result<Ending, ServiceError> {
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let mut job = running.job.clone();
            job.close_attempt(AttemptOutcome::Released, Some("the worker was stopped".to_owned()), now);
            job.state = JobState::Queued;
            let mut change = Change::new()
                .under(running.token, LeaseEnd::Requeue)
                .expect(records::job_key(&job.job_id), Some(running.job_revision.clone()))
                .put(records::put_job(&job));
            change = self.give_back(change, &job.job_id).await?;
            if let Some((mut workflow, before)) = self.workflow_of(running).await? {
                let why = "Its worker was stopped; another one takes it.";
                let effects = advance::back_to_queue(&mut workflow, &job.job_id, why, now);
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
                change = dispatch::add_effects(change, &workflow, &effects, now);
            }
            match self.base.store.apply(change).await? {
                Ok(_) => return Ok(Ending::Done),
                Err(refusal) => {
                    if let Some(ending) = self.refused(running, &refusal).await? {
                        return Ok(ending);
                    }
                }
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// Puts the payload into the due set for its next attempt.
    async fn schedule(
        &self,
        running: &Running,
        workflow: Option<(Workflow, Revision)>,
        fault: &Fault,
        wait: Duration,
        now: Timestamp,
    ) -> Result<Result<Ending, Refusal>, ServiceError> {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4);
        let mut job = running.job.clone();
        let error = &fault.error;
        job.close_attempt_as(fault.outcome, Some(fault.failure.class), Some(error.clone()), now);
        job.state = JobState::Scheduled;
        job.error = Some(error.clone());
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
        if let Some((mut workflow, before)) = workflow {
            let why = format!(
                "Attempt {} failed ({error}); the next one begins in {:.1} s.",
                job.attempts.len(),
                wait.as_secs_f64()
            );
            let effects = advance::back_to_queue(&mut workflow, &job.job_id, &why, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
            change = dispatch::add_effects(change, &workflow, &effects, now);
        }
        Ok(self.base.store.apply(change).await?.map(|_| Ending::Retry(wait)))
    }

    /// Ends a job as failed, and its workflow with it.
    pub(super) async fn end_failed(
        &self,
        running: &Running,
        job_before: Option<Revision>,
        workflow: Option<(Workflow, Revision)>,
        loss: &Loss,
        now: Timestamp,
    ) -> Result<Result<Ending, Refusal>, ServiceError> {
        let mut job = running.job.clone();
        job.close_attempt_as(loss.outcome, loss.class, Some(loss.error.clone()), now);
        job.end(JobState::Failed, Some(loss.error.clone()), now);
        let mut result = self.result_of(running, ResultStatus::Failed, loss.error.clone(), now);
        result.error = Some(loss.error.clone());
        result.confidence_score = Some(0.0);
        let dead = DeadJob {
            job_id: job.job_id.clone(),
            reason: loss.reason,
            error: loss.error.clone(),
            queue: dispatch::queue_of(job.priority).name().to_owned(),
            payload_text: String::from_utf8(payload::of_job(&job)).ok(),
            payload_base64: None,
            job: Some(Box::new(job.clone())),
            died_at: now,
        };
        let mut change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(records::job_key(&job.job_id), job_before)
            .put(records::put_job(&job))
            .put(records::put_dead_job(&dead));
        change = self.base.add_result(change, &mut result, now);
        change = self.give_back(change, &job.job_id).await?;
        if let Some((mut workflow, before)) = workflow {
            let attempts = job.attempts.len() as u32;
            let spending = self.spending_of(&job.job_id).await?;
            let effects = advance::failed(&mut workflow, &job.job_id, &loss.error, attempts, spending, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
            change = dispatch::add_effects(change, &workflow, &effects, now);
        }
        let outcome = self.base.store.apply(change).await?.map(|_| Ending::Done);
        if outcome.is_ok() {
            counters::FINISHED.of(ResultStatus::Failed.as_str()).add(1);
            log::error!(job_id = job.job_id.as_str(), error = loss.error.as_str(); "the job failed for good");
        }
        Ok(outcome)
    }
}
