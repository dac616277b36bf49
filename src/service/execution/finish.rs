//! The end of an attempt: a result, a retry, or the way back into the queue.

use crate::{
    engine::{
        advance::{self, StepOutput},
        retry::{Decision, Failure},
        verdict::parse_verdict,
    },
    model::{
        AttemptOutcome, DeadJob, DeadReason, JobMode, JobResult, JobState, ResultStatus, StepStatus,
        TemplateRole, Timestamp, Verdict, Workflow,
    },
    store::{CRASHES_BEFORE_POISON, Change, Delivery, Enqueue, LeaseEnd, Refusal, Revision, Token},
};

use super::{Admission, Answer, Ending, Execution, Running, TRIES, admit::job_key};
use crate::service::{ServiceError, dispatch, records};

/// A failed attempt, for the decision and for people.
#[derive(Debug, Clone)]
struct Loss {
    error: String,
    reason: DeadReason,
}

impl Execution {
    /// The job has its answer: writes the one result, moves the workflow on, queues what follows
    /// and ends the lease, all in one step.
    pub async fn complete(&self, running: &Running, answer: &Answer) -> Result<Ending, ServiceError> {
        let is_review = running
            .workflow
            .as_ref()
            .and_then(|w| w.step(&running.job.job_id))
            .is_some_and(|s| s.role == TemplateRole::Qa);
        let verdict = is_review.then(|| parse_verdict(&answer.call.answer));
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let mut job = running.job.clone();
            job.close_attempt(AttemptOutcome::Completed, None, now);
            job.state = JobState::Completed;
            job.ended_at = Some(now);
            let mut result =
                self.result_of(running, ResultStatus::Completed, answer.call.answer.clone(), now);
            result.confidence_score = None;
            result.verdict = verdict.clone();
            result.simulated = answer.call.simulated;
            result.provider = Some(answer.call.provider.clone());
            result.model = Some(answer.call.model.clone());
            result.usage = Some(answer.call.usage);
            let mut change = self.ending(running, &mut result, now).put(records::put_job(&job));
            let mut queued_agents = Vec::new();
            if let Some((mut workflow, before)) = self.workflow_of(running).await? {
                let output = StepOutput {
                    text: answer.call.answer.clone(),
                    digest: answer.digest.clone(),
                    verdict: verdict.clone(),
                    model: answer.call.model.clone(),
                    usage: answer.call.usage,
                    simulated: answer.call.simulated,
                    execution_time: result.execution_time,
                    attempts: job.attempts.len() as u32,
                };
                let planned = workflow.steps.len();
                let effects = advance::completed(&mut workflow, &job.job_id, output, now);
                if workflow.steps.len() > planned {
                    let added = workflow.steps.iter().filter(|s| s.status != StepStatus::Completed);
                    queued_agents =
                        added.filter(|s| s.role != TemplateRole::Feedback).map(|s| s.agent.clone()).collect();
                }
                if let Some(verdict) = &verdict {
                    change = self.score_work(change, running, &workflow, verdict, now).await?;
                }
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
                change = dispatch::add_effects(change, &workflow, &effects, now);
            }
            match self.base.store.apply(change).await? {
                Ok(_) => {
                    self.agents.assigned(&queued_agents).await;
                    return Ok(Ending::Done);
                }
                Err(Refusal::LeaseLost) => return Ok(Ending::LeaseLost),
                Err(Refusal::Changed(key)) if key == job_key(&running.job) => return Ok(Ending::LeaseLost),
                Err(Refusal::Changed(key)) if key == records::result_key(&running.job.job_id) => {
                    return self.superseded(running).await;
                }
                Err(Refusal::Changed(_)) => {}
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// Somebody who holds no lease (a legacy worker beside us) has written the result. It stays.
    async fn superseded(&self, running: &Running) -> Result<Ending, ServiceError> {
        log::warn!(job_id = running.job.job_id.as_str(); "somebody else wrote the result already; that one stays");
        let mut job = running.job.clone();
        let now = self.base.clock.now();
        job.close_attempt(AttemptOutcome::Completed, Some("another result was there first".to_owned()), now);
        job.state = JobState::Completed;
        job.ended_at = Some(now);
        let change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(job_key(&job), Some(running.job_revision.clone()))
            .put(records::put_job(&job));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Ending::Done,
            Err(_) => Ending::LeaseLost,
        })
    }

    /// An attempt failed: plans the next one, or ends the job with the reason.
    pub async fn fail(
        &self,
        running: &Running,
        error: &str,
        failure: Failure,
    ) -> Result<Ending, ServiceError> {
        for _ in 0..TRIES {
            let now = self.base.clock.now();
            let workflow = self.workflow_of(running).await?;
            let needed = workflow.as_ref().is_none_or(|(w, _)| !w.is_over());
            let failures = running.job.failures() + 1;
            let decision = match self.base.retry.decide(failures, failure, rand::random::<f64>()) {
                Decision::RetryAfter(wait) if needed => Decision::RetryAfter(wait),
                _ => Decision::GiveUp,
            };
            let ended = match decision {
                Decision::RetryAfter(wait) => self.schedule(running, workflow, error, wait, now).await?,
                Decision::GiveUp => {
                    let reason =
                        if failure.retryable { DeadReason::Exhausted } else { DeadReason::Permanent };
                    let loss = Loss { error: error.to_owned(), reason };
                    let before = Some(running.job_revision.clone());
                    self.end_failed(running, before, workflow, &loss, AttemptOutcome::Failed, now).await?
                }
            };
            if let Some(ending) = ended {
                return Ok(ending);
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
                .expect(job_key(&job), Some(running.job_revision.clone()))
                .put(records::put_job(&job));
            if let Some((mut workflow, before)) = self.workflow_of(running).await? {
                let why = "Its worker was stopped; another one takes it.";
                let effects = advance::back_to_queue(&mut workflow, &job.job_id, why, now);
                change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
                change = dispatch::add_effects(change, &workflow, &effects, now);
            }
            match self.base.store.apply(change).await? {
                Ok(_) => return Ok(Ending::Done),
                Err(Refusal::LeaseLost) => return Ok(Ending::LeaseLost),
                Err(Refusal::Changed(key)) if key == job_key(&running.job) => return Ok(Ending::LeaseLost),
                Err(Refusal::Changed(_)) => {}
            }
        }
        Err(self.busy(&running.job.job_id))
    }

    /// A payload that brought down its workers too often ends as failed, unrun.
    pub(super) async fn fail_poison(
        &self,
        running: Running,
        job_before: Option<Revision>,
        workflow_before: Option<Revision>,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Option<Admission>, ServiceError> {
        let loss = Loss {
            error: format!(
                "its lease ran out {} times (limit {CRASHES_BEFORE_POISON}): the workers that ran it died or froze",
                delivery.crashes
            ),
            reason: DeadReason::Poison,
        };
        let workflow = running.workflow.clone().zip(workflow_before);
        let ended =
            self.end_failed(&running, job_before, workflow, &loss, AttemptOutcome::Crashed, now).await?;
        Ok(ended.map(|ending| match ending {
            Ending::LeaseLost => Admission::LeaseLost,
            _ => Admission::Settled(loss.error),
        }))
    }

    /// A job whose workflow has ended before it gets the result `cancelled`.
    pub(super) async fn cancel_unrun(
        &self,
        running: Running,
        job_before: Option<Revision>,
        workflow_before: Option<Revision>,
        now: Timestamp,
    ) -> Result<Option<Admission>, ServiceError> {
        let why = "The workflow ended before this step.";
        let mut job = running.job.clone();
        job.state = JobState::Cancelled;
        job.ended_at = Some(now);
        job.error = Some(why.to_owned());
        let mut result = self.result_of(&running, ResultStatus::Cancelled, why.to_owned(), now);
        result.error = Some(why.to_owned());
        let mut change =
            Change::new().under(running.token, LeaseEnd::Finish).expect(job_key(&job), job_before);
        change = change.expect(records::result_key(&job.job_id), None);
        if let (Some(workflow), Some(before)) = (&running.workflow, workflow_before) {
            change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
        }
        let change = change
            .put(records::put_result(&mut result, self.base.result_ttl, now))
            .put(records::put_job(&job));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Some(Admission::Settled(why.to_owned())),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_)) => None,
        })
    }

    /// Puts the payload into the due set for its next attempt. `None`: something changed meanwhile.
    async fn schedule(
        &self,
        running: &Running,
        workflow: Option<(Workflow, Revision)>,
        error: &str,
        wait: std::time::Duration,
        now: Timestamp,
    ) -> Result<Option<Ending>, ServiceError> {
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4);
        let mut job = running.job.clone();
        job.close_attempt(AttemptOutcome::Failed, Some(error.to_owned()), now);
        job.state = JobState::Scheduled;
        job.error = Some(error.to_owned());
        job.due_at = Some(now + chrono::Duration::milliseconds(wait_ms));
        let mut change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(job_key(&job), Some(running.job_revision.clone()))
            .put(records::put_job(&job))
            .enqueue(Enqueue {
                queue: dispatch::queue_of(job.priority),
                payload: self.payload_of(running),
                due_at: Some(self.base.store.now().await? + wait_ms),
            });
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
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Some(Ending::Retry(wait)),
            Err(Refusal::LeaseLost) => Some(Ending::LeaseLost),
            Err(Refusal::Changed(key)) if key == job_key(&running.job) => Some(Ending::LeaseLost),
            Err(Refusal::Changed(_)) => None,
        })
    }

    /// Ends a job as failed. `None`: something changed meanwhile.
    async fn end_failed(
        &self,
        running: &Running,
        job_before: Option<Revision>,
        workflow: Option<(Workflow, Revision)>,
        loss: &Loss,
        outcome: AttemptOutcome,
        now: Timestamp,
    ) -> Result<Option<Ending>, ServiceError> {
        let mut job = running.job.clone();
        job.close_attempt(outcome, Some(loss.error.clone()), now);
        job.state = JobState::Failed;
        job.ended_at = Some(now);
        job.error = Some(loss.error.clone());
        let mut result = self.result_of(running, ResultStatus::Failed, loss.error.clone(), now);
        result.error = Some(loss.error.clone());
        result.confidence_score = Some(0.0);
        let payload = self.payload_of(running);
        let dead = DeadJob {
            job_id: job.job_id.clone(),
            reason: loss.reason,
            error: loss.error.clone(),
            queue: dispatch::queue_of(job.priority).name().to_owned(),
            payload_text: String::from_utf8(payload).ok(),
            payload_base64: None,
            died_at: now,
        };
        let mut change = Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(job_key(&job), job_before)
            .expect(records::result_key(&job.job_id), None)
            .put(records::put_result(&mut result, self.base.result_ttl, now))
            .put(records::put_job(&job))
            .put(records::put_dead_job(&dead));
        if let Some((mut workflow, before)) = workflow {
            let effects =
                advance::failed(&mut workflow, &job.job_id, &loss.error, job.attempts.len() as u32, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), Some(before));
            change = dispatch::add_effects(change, &workflow, &effects, now);
        }
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => {
                log::error!(job_id = job.job_id.as_str(), error = loss.error.as_str(); "the job failed for good");
                Some(Ending::Done)
            }
            Err(Refusal::LeaseLost) => Some(Ending::LeaseLost),
            Err(Refusal::Changed(_)) => None,
        })
    }

    /// The last write of a job: under its lease, on its own document, with its only result.
    fn ending(&self, running: &Running, result: &mut JobResult, now: Timestamp) -> Change {
        Change::new()
            .under(running.token, LeaseEnd::Finish)
            .expect(job_key(&running.job), Some(running.job_revision.clone()))
            .expect(records::result_key(&running.job.job_id), None)
            .put(records::put_result(result, self.base.result_ttl, now))
    }

    /// The workflow as it is now: other steps may have moved it on since this attempt began.
    async fn workflow_of(&self, running: &Running) -> Result<Option<(Workflow, Revision)>, ServiceError> {
        match &running.workflow {
            Some(w) => {
                Ok(records::load(self.base.store.as_ref(), records::workflow_key(&w.workflow_id)).await?)
            }
            None => Ok(None),
        }
    }

    /// Writes QA's score onto the results of the work it judged, where they are still kept.
    async fn score_work(
        &self,
        mut change: Change,
        running: &Running,
        workflow: &Workflow,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<Change, ServiceError> {
        let round = running.job.round.unwrap_or(1);
        let judged = workflow.steps.iter().filter(|s| s.role == TemplateRole::Specialist && s.round == round);
        for step in judged {
            let key = records::result_key(&step.job_id);
            let Some((mut result, before)) =
                records::load::<JobResult>(self.base.store.as_ref(), key.clone()).await?
            else {
                continue;
            };
            let Some(left) = result.expires_at.and_then(|end| (end - now).to_std().ok()) else { continue };
            result.confidence_score = verdict.score;
            result.reviewed_by = Some(running.agent.name.clone());
            change = change.expect(key, Some(before)).put(records::put_result(&mut result, left, now));
        }
        Ok(change)
    }

    fn result_of(
        &self,
        running: &Running,
        status: ResultStatus,
        output: String,
        now: Timestamp,
    ) -> JobResult {
        let job = &running.job;
        let started_at = job.attempts.last().map(|a| a.started_at);
        let seconds = started_at.map_or(0.0, |s| (now - s).num_milliseconds().max(0) as f64 / 1000.0);
        JobResult {
            job_id: job.job_id.clone(),
            workflow_id: job.workflow_id.clone(),
            parent_job_id: job.parent_job_id.clone(),
            agent: job.agent.clone(),
            role: Some(running.agent.role.clone()),
            reviewed_by: None,
            status,
            output,
            started_at,
            completed_at: Some(now),
            execution_time: seconds,
            confidence_score: None,
            timestamp: now,
            task: Some(job.task.clone()),
            step: job.step.clone(),
            round: job.round,
            verdict: None,
            error: None,
            attempts: job.attempts.len() as u32,
            simulated: false,
            provider: None,
            model: None,
            usage: None,
            expires_at: None,
        }
    }

    /// The payload of a job, made from its document: the same fields the API queued.
    fn payload_of(&self, running: &Running) -> Vec<u8> {
        let job = &running.job;
        dispatch::payload_bytes(&crate::model::JobPayload {
            job_id: Some(job.job_id.clone()),
            workflow_id: job.workflow_id.clone(),
            job: Some(job.task.clone()),
            agent_name: Some(job.agent.clone()),
            step: job.step.clone(),
            parent_job_id: job.parent_job_id.clone(),
            created_at: Some(crate::model::iso::format(&job.created_at)),
            mode: Some(match (&job.mode, &job.step) {
                (JobMode::Step, Some(step)) => step.clone(),
                (JobMode::Review, _) => "admin_review".to_owned(),
                _ => "agent_dispatch".to_owned(),
            }),
            original_job_id: job.parent_job_id.clone().filter(|_| job.mode == JobMode::Review),
            ..crate::model::JobPayload::default()
        })
    }
}

/// The token of a delivery that could not even be admitted, to be given back.
impl Execution {
    /// Gives a payload back unrun (the store was in the way, say).
    pub async fn give_back(&self, token: Token) -> Result<(), ServiceError> {
        let change = Change::new().under(token, LeaseEnd::Requeue);
        let _ = self.base.store.apply(change).await?;
        Ok(())
    }
}
