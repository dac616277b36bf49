//! From a delivery to a running attempt, or to the reason why there is none.

use chrono::TimeDelta;

use crate::{
    engine::{Effects, advance, intervene},
    model::{
        Attempt, AttemptOutcome, DeadReason, Job, JobMode, JobPayload, JobResult, JobState, ResultStatus,
        StepStatus, Timestamp, Workflow,
    },
    store::{CRASHES_BEFORE_POISON, Change, Delivery, LeaseEnd, Refusal, Revision, StoreError, Token},
};

use super::{Admission, Execution, Running, TRIES, answer, fail::Loss, journal, payload};
use crate::service::{ServiceError, dispatch, records};

/// How long a step that a foreign program queued before its inputs may wait for them.
const LONGEST_EARLY: TimeDelta = TimeDelta::minutes(10);

/// A workflow and the revision it was read at.
type Found<T> = Option<(T, Revision)>;

/// What is stored of a job when its payload is delivered.
struct Known {
    job: Found<Job>,
    has_result: bool,
    /// Somebody cancelled it before it was run.
    cancelled: bool,
}

impl Execution {
    /// Begins an attempt at a delivered job. May be repeated when its answer was lost.
    pub async fn admit(&self, delivery: &Delivery, worker_id: &str) -> Result<Admission, ServiceError> {
        let payload = match payload::read(&delivery.payload) {
            Ok(payload) => payload,
            Err(payload::Unreadable { why, job_id }) => {
                return self.bury_named(delivery, job_id.as_deref(), why).await;
            }
        };
        let Some(job_id) = payload.job_id.clone() else {
            return match delivery.crashes {
                0..CRASHES_BEFORE_POISON => self.name(delivery).await,
                crashes => self.bury(delivery, DeadReason::Poison, Self::poison(crashes).error).await,
            };
        };
        for _ in 0..TRIES {
            if let Some(admission) = self.try_admit(delivery, &payload, &job_id, worker_id).await? {
                return Ok(admission);
            }
        }
        Err(self.busy(&job_id))
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_admit(
        &self,
        delivery: &Delivery,
        payload: &JobPayload,
        job_id: &str,
        worker_id: &str,
    ) -> Result<Option<Admission>, ServiceError> {
        let now = self.base.clock.now();
        let Known { job: known, has_result, cancelled } = match self.known(job_id).await {
            Ok(found) => found,
            // The job's own documents would be as unreadable the next time; a person has to look.
            Err(e @ StoreError::Corrupt { .. }) => {
                return self.bury(delivery, DeadReason::Unreadable, e.to_string()).await.map(Some);
            }
            Err(e) => return Err(e.into()),
        };
        if known.is_none() && cancelled {
            return self.settle_cancelled(delivery, job_id).await.map(Some);
        }
        let (mut job, job_before) = match known {
            Some((job, revision)) => (job, Some(revision)),
            None => (payload::foreign_job(payload, job_id, delivery.queue, now), None),
        };
        if has_result || job.state.is_terminal() {
            return self.settle(delivery, "it has its result already").await.map(Some);
        }
        let agent = self.agents.persona(&job.agent).await?;
        let running = |job: Job, workflow: Option<Workflow>, job_revision: Revision| Running {
            token: delivery.token,
            ready_since: job.ready_since(),
            job,
            job_revision,
            workflow,
            agent: agent.clone(),
        };
        let workflow: Found<Workflow> = match self.workflow_for(&job).await {
            Ok(workflow) => workflow,
            Err(e @ StoreError::Corrupt { .. }) => {
                let loss = Loss {
                    error: e.to_string(),
                    reason: DeadReason::Permanent,
                    outcome: AttemptOutcome::Failed,
                    class: None,
                };
                let stand_in = running(job, None, Revision::of(b""));
                return self.fail_unrun(&stand_in, job_before, None, loss, now).await;
            }
            Err(e) => return Err(e.into()),
        };
        if job.mode == JobMode::Step && workflow.is_none() {
            // A step of a workflow that is not here (any more) is still a text for an agent.
            job.mode = JobMode::Task;
        }
        let (mut workflow, workflow_before) = workflow.unzip();

        if let Some(open) = job.attempts.last().filter(|a| a.outcome.is_none()) {
            if open.token == Some(delivery.token.0) {
                // This very delivery was admitted before; only the answer was lost.
                let revision = job_before.unwrap_or_else(|| Revision::of(b""));
                return Ok(Some(Admission::Run(Box::new(running(job, workflow, revision)))));
            }
            if let Some(token) = open.token
                && self.holds(Token(token)).await?
            {
                return self.come_again(delivery, None, "it is run by another worker already").await;
            }
        }
        job.close_attempt(
            AttemptOutcome::Crashed,
            Some("the worker was not heard of before the lease ran out".to_owned()),
            now,
        );

        // Poison and steps nobody needs any more still get their one result, through the front door.
        let over = workflow.as_ref().is_some_and(|w| step_is_over(w, job_id));
        if over {
            let stand_in = running(job, workflow, Revision::of(b""));
            return self.cancel_unrun(stand_in, job_before, workflow_before, now).await;
        }
        if delivery.crashes >= CRASHES_BEFORE_POISON {
            let stand_in = running(job, workflow, Revision::of(b""));
            let loss = Self::poison(delivery.crashes);
            return self.fail_unrun(&stand_in, job_before, workflow_before, loss, now).await;
        }
        if let (Some(found), Some(before)) = (&workflow, &workflow_before)
            && intervene::is_held(found)
        {
            return self.hold(delivery, job, job_before, (found, before)).await;
        }
        if let (Some(found), Some(before)) = (&workflow, &workflow_before)
            && let missing = missing_inputs(found, job_id)
            && !missing.is_empty()
        {
            if self.adopt_results(found, before, &missing, now).await? {
                return Ok(None);
            }
            if job_before.is_some() && now - job.created_at > LONGEST_EARLY {
                let loss = Loss {
                    error: format!("its inputs did not come within {} minutes", LONGEST_EARLY.num_minutes()),
                    reason: DeadReason::Permanent,
                    outcome: AttemptOutcome::Failed,
                    class: None,
                };
                let stand_in = running(job, workflow, Revision::of(b""));
                return self.fail_unrun(&stand_in, job_before, workflow_before, loss, now).await;
            }
            if job_before.is_none() {
                job.created_at = now;
            }
            let waiting = Some((&job, job_before));
            return self.come_again(delivery, waiting, "its inputs are not there yet").await;
        }

        let ready_since = job.ready_since();
        let number = job.attempts.len() as u32 + 1;
        job.attempts.push(Attempt {
            number,
            worker: worker_id.to_owned(),
            token: Some(delivery.token.0),
            started_at: now,
            ended_at: None,
            outcome: None,
            class: None,
            error: None,
        });
        job.state = JobState::Running;
        job.due_at = None;
        job.waits_for = None;
        let put = records::put_job(&job);
        let job_revision = Revision::of(&put.body);
        let mut change = Change::new().under(delivery.token, LeaseEnd::Keep).put(put);
        if job_before.is_none() {
            // A foreign program may use an id again: the journal of the earlier job is not this one's.
            change = change.delete(records::call_key(job_id, journal::FIRST));
        }
        change.claim = self.claims(&agent);
        change = change.expect(records::job_key(job_id), job_before.clone());
        if let Some(workflow) = &mut workflow {
            let effects = advance::started(workflow, job_id, number, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), workflow_before);
            change = dispatch::add_effects(change, workflow, &effects, now);
        }
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => {
                let running = Running { ready_since, ..running(job, workflow, job_revision) };
                Some(Admission::Run(Box::new(running)))
            }
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Limited(claim)) => {
                // It has not begun after all.
                job.attempts.pop();
                return self.park(delivery, job, job_before, claim).await;
            }
            Err(Refusal::Changed(_) | Refusal::Exceeded { .. }) => None,
        })
    }

    /// What is stored of a job.
    async fn known(&self, job_id: &str) -> Result<Known, StoreError> {
        let keys = [records::job_key(job_id), records::result_key(job_id), records::tombstone_key(job_id)];
        let mut found = self.base.store.get(&keys).await?;
        let cancelled = found.pop().flatten().is_some();
        let has_result = found.pop().flatten().is_some();
        let job = match found.pop().flatten() {
            Some(doc) => Some((doc.parse::<Job>()?, doc.revision())),
            None => None,
        };
        Ok(Known { job, has_result, cancelled })
    }

    /// The workflow that a job is a step of, if it has that step.
    async fn workflow_for(&self, job: &Job) -> Result<Found<Workflow>, StoreError> {
        let (JobMode::Step, Some(id)) = (job.mode, &job.workflow_id) else { return Ok(None) };
        let found: Found<Workflow> =
            records::load(self.base.store.as_ref(), records::workflow_key(id)).await?;
        Ok(found.filter(|(workflow, _)| workflow.step(&job.job_id).is_some()))
    }

    /// Takes the results that a legacy worker wrote for steps of this workflow as their outputs;
    /// whether there was one.
    async fn adopt_results(
        &self,
        workflow: &Workflow,
        before: &Revision,
        missing: &[String],
        now: Timestamp,
    ) -> Result<bool, ServiceError> {
        let (mut workflow, mut all) = (workflow.clone(), Effects::default());
        for job_id in missing {
            let found: Found<JobResult> =
                records::load(self.base.store.as_ref(), records::result_key(job_id)).await?;
            let Some((result, _)) = found else { continue };
            let effects = match result.status {
                ResultStatus::Completed => {
                    advance::completed(&mut workflow, job_id, answer::output_of(&result), now)
                }
                ResultStatus::Failed | ResultStatus::Cancelled => {
                    let spending = answer::spending_of(&result);
                    advance::failed(&mut workflow, job_id, &result.output, result.attempts, spending, now)
                }
            };
            all.events.extend(effects.events);
        }
        let adopted = !all.events.is_empty();
        if adopted {
            // The steps that are ready now need no job from us: whoever queued this one before its
            // inputs queued them all, as the legacy system did.
            let change =
                Change::new().expect(records::workflow_key(&workflow.workflow_id), Some(before.clone()));
            let _ = self.base.store.apply(dispatch::add_effects(change, &workflow, &all, now)).await?;
        }
        Ok(adopted)
    }
}

/// Whether the workflow has no use for the step's work any more.
fn step_is_over(workflow: &Workflow, job_id: &str) -> bool {
    workflow.is_over() || workflow.step(job_id).is_none_or(|s| s.status.is_terminal())
}

/// The steps whose outputs a step needs and that have none yet.
fn missing_inputs(workflow: &Workflow, job_id: &str) -> Vec<String> {
    let Some(step) = workflow.step(job_id) else { return Vec::new() };
    let open = |needed: &&String| workflow.step(needed).is_some_and(|s| s.status != StepStatus::Completed);
    step.depends_on.iter().filter(open).cloned().collect()
}
