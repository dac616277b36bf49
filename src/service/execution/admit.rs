//! From a delivery to a running attempt, or to the reason why there is none.

use base64::Engine as _;

use crate::{
    engine::advance,
    model::{
        Attempt, AttemptOutcome, DeadJob, DeadReason, Job, JobMode, JobPayload, JobState, StepStatus,
        Timestamp, Workflow, derived_id, is_valid_id, new_id,
    },
    store::{
        CRASHES_BEFORE_POISON, Change, Delivery, DocKey, Enqueue, LeaseEnd, Refusal, Revision, StoreError,
    },
};

use super::{Admission, Execution, Running, TRIES};
use crate::service::{ServiceError, dispatch, records, tasks::MAX_TASK_CHARS};

/// How long a step that came too early (a foreign program queued it) waits for its inputs.
const EARLY_STEP_MS: i64 = 2_000;

impl Execution {
    /// Begins an attempt at a delivered job.
    pub async fn admit(&self, delivery: &Delivery, worker_id: &str) -> Result<Admission, ServiceError> {
        let payload = match read_payload(&delivery.payload) {
            Ok(payload) => payload,
            Err(why) => return self.bury(delivery, why).await,
        };
        let Some(job_id) = payload.job_id.clone() else { return self.name(delivery).await };
        for _ in 0..TRIES {
            match self.try_admit(delivery, &payload, &job_id, worker_id).await {
                Ok(Some(admission)) => return Ok(admission),
                Ok(None) => {}
                // It would be as unreadable the next time; a person has to look at it.
                Err(ServiceError::Store(e @ StoreError::Corrupt { .. })) => {
                    return self.bury(delivery, e.to_string()).await;
                }
                Err(e) => return Err(e),
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
        let store = self.base.store.as_ref();
        let now = self.base.clock.now();
        let mut found = store.get(&[records::job_key(job_id), records::result_key(job_id)]).await?;
        let result = found.pop().flatten();
        let (mut job, job_before) = match found.pop().flatten() {
            Some(doc) => (doc.parse::<Job>()?, Some(doc.revision())),
            None => (foreign_job(payload, job_id, delivery, now), None),
        };
        if result.is_some() || job.state.is_terminal() {
            return self.settle(delivery, "it has its result already").await.map(Some);
        }
        let workflow = match &job.workflow_id {
            Some(id) => records::load::<Workflow>(store, records::workflow_key(id)).await?,
            None => None,
        };
        if job.mode == JobMode::Step && workflow.as_ref().is_none_or(|(w, _)| w.step(job_id).is_none()) {
            // A step of a workflow that is not here (any more) is still a text for an agent.
            job.mode = JobMode::Task;
        }
        let (mut workflow, workflow_before) = match workflow {
            Some((workflow, revision)) if job.mode == JobMode::Step => (Some(workflow), Some(revision)),
            _ => (None, None),
        };
        job.close_attempt(
            AttemptOutcome::Crashed,
            Some("the worker was not heard of before the lease ran out".to_owned()),
            now,
        );
        let agent = self.agents.persona(&job.agent).await?;
        let running = |job: Job, workflow: Option<Workflow>, job_revision: Revision| Running {
            token: delivery.token,
            job,
            job_revision,
            workflow,
            agent: agent.clone(),
        };

        // Poison and steps nobody needs any more still get their one result, through the front door.
        let over = workflow.as_ref().is_some_and(|w| step_is_over(w, job_id));
        let poison = delivery.crashes >= CRASHES_BEFORE_POISON;
        if poison || over {
            let stand_in = running(job, workflow, Revision::of(b""));
            let ended = if over {
                self.cancel_unrun(stand_in, job_before, workflow_before, now).await?
            } else {
                self.fail_poison(stand_in, job_before, workflow_before, delivery, now).await?
            };
            return Ok(ended);
        }
        if let Some(workflow) = &workflow
            && waits_for_inputs(workflow, job_id)
        {
            return self.postpone(delivery).await.map(Some);
        }

        let number = job.attempts.len() as u32 + 1;
        job.attempts.push(Attempt {
            number,
            worker: worker_id.to_owned(),
            started_at: now,
            ended_at: None,
            outcome: None,
            error: None,
        });
        job.state = JobState::Running;
        job.due_at = None;
        let put = records::put_job(&job);
        let job_revision = Revision::of(&put.body);
        let mut change = Change::new()
            .under(delivery.token, LeaseEnd::Keep)
            .expect(records::job_key(job_id), job_before)
            .put(put);
        if let Some(workflow) = &mut workflow {
            let effects = advance::started(workflow, job_id, number, now);
            change = change.expect(records::workflow_key(&workflow.workflow_id), workflow_before);
            change = dispatch::add_effects(change, workflow, &effects, now);
        }
        Ok(match store.apply(change).await? {
            Ok(_) => Some(Admission::Run(Box::new(running(job, workflow, job_revision)))),
            Err(Refusal::LeaseLost) => Some(Admission::LeaseLost),
            Err(Refusal::Changed(_)) => None,
        })
    }

    /// Ends the lease: there is nothing to do.
    async fn settle(&self, delivery: &Delivery, why: &str) -> Result<Admission, ServiceError> {
        let change = Change::new().under(delivery.token, LeaseEnd::Finish);
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled(why.to_owned()),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Queues the payload again with an id in it: a job without a name could not be told from its
    /// own second delivery.
    async fn name(&self, delivery: &Delivery) -> Result<Admission, ServiceError> {
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&delivery.payload).unwrap_or_default();
        let id = new_id();
        object.insert("job_id".to_owned(), id.clone().into());
        let payload = serde_json::to_vec(&object).expect("a JSON object is serialisable");
        let change = Change::new().under(delivery.token, LeaseEnd::Finish).enqueue(Enqueue {
            queue: delivery.queue,
            payload,
            due_at: None,
        });
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled(format!("it came without an id and is now {id}")),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Puts the payload back for a moment: its inputs are not there yet.
    async fn postpone(&self, delivery: &Delivery) -> Result<Admission, ServiceError> {
        let due_at = self.base.store.now().await? + EARLY_STEP_MS;
        let change = Change::new().under(delivery.token, LeaseEnd::Finish).enqueue(Enqueue {
            queue: delivery.queue,
            payload: delivery.payload.clone(),
            due_at: Some(due_at),
        });
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => Admission::Settled("its inputs are not there yet; it comes again".to_owned()),
            Err(_) => Admission::LeaseLost,
        })
    }

    /// Puts a payload that is no job into the dead set, with its raw bytes.
    async fn bury(&self, delivery: &Delivery, why: String) -> Result<Admission, ServiceError> {
        let now = self.base.clock.now();
        let text = String::from_utf8(delivery.payload.clone()).ok();
        let dead = DeadJob {
            job_id: derived_id("unreadable", &format!("{}/{now}", delivery.token)),
            reason: DeadReason::Unreadable,
            error: why.clone(),
            queue: delivery.queue.name().to_owned(),
            payload_base64: text
                .is_none()
                .then(|| base64::engine::general_purpose::STANDARD.encode(&delivery.payload)),
            payload_text: text,
            died_at: now,
        };
        let change = Change::new().under(delivery.token, LeaseEnd::Finish).put(records::put_dead_job(&dead));
        Ok(match self.base.store.apply(change).await? {
            Ok(_) => {
                log::error!(
                    "a payload from {} is not a job and is kept in the dead set as {}: {why}",
                    delivery.queue.name(),
                    dead.job_id
                );
                Admission::Settled(format!("it is not readable: {why}"))
            }
            Err(_) => Admission::LeaseLost,
        })
    }
}

/// Reads the owner's job JSON. A number as id is taken as its digits.
fn read_payload(bytes: &[u8]) -> Result<JobPayload, String> {
    let mut value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON: {e}"))?;
    let Some(object) = value.as_object_mut() else { return Err("it is not a JSON object".to_owned()) };
    if let Some(id) = object.get("job_id").filter(|id| id.is_number()).map(ToString::to_string) {
        object.insert("job_id".to_owned(), id.into());
    }
    // `agent` is what legacy workers read, `agent_name` what the legacy API wrote; the API's wins.
    if object.contains_key("agent_name") {
        object.remove("agent");
    }
    let payload: JobPayload =
        serde_json::from_value(value).map_err(|e| format!("a field has the wrong type: {e}"))?;
    if payload.job_id.as_deref().is_some_and(|id| !is_valid_id(id)) {
        return Err("its job_id is empty, too long or has control characters".to_owned());
    }
    let text = payload.job.as_deref().or(payload.task.as_deref()).unwrap_or("");
    if text.trim().is_empty() {
        return Err("it says nothing to do: 'job' and 'task' are empty".to_owned());
    }
    if text.chars().count() > MAX_TASK_CHARS {
        return Err(format!("its text is longer than {MAX_TASK_CHARS} characters"));
    }
    Ok(payload)
}

/// The job that a foreign program put into a queue.
fn foreign_job(payload: &JobPayload, job_id: &str, delivery: &Delivery, now: Timestamp) -> Job {
    let mode = match (&payload.workflow_id, &payload.step, payload.mode.as_deref()) {
        (Some(_), Some(_), _) => JobMode::Step,
        (_, _, Some("admin_review")) => JobMode::Review,
        _ => JobMode::Task,
    };
    let text = payload.job.as_deref().or(payload.task.as_deref()).unwrap_or("");
    let agent = payload.agent_name.as_deref().filter(|a| !a.is_empty() && *a != "default_agent");
    let mut job = dispatch::new_job(
        job_id,
        mode,
        agent.unwrap_or(crate::engine::specialist::GENERALIST),
        text,
        dispatch::priority_of(delivery.queue),
        payload.created_at.as_deref().and_then(crate::model::iso::parse).unwrap_or(now),
    );
    job.workflow_id = payload.workflow_id.clone();
    job.step = payload.step.clone();
    job.parent_job_id = payload.original_job_id.clone().or_else(|| payload.parent_job_id.clone());
    job.foreign = true;
    job
}

/// Whether the workflow has no use for the step's work any more.
fn step_is_over(workflow: &Workflow, job_id: &str) -> bool {
    workflow.is_over() || workflow.step(job_id).is_none_or(|s| s.status.is_terminal())
}

fn waits_for_inputs(workflow: &Workflow, job_id: &str) -> bool {
    workflow.step(job_id).is_some_and(|step| {
        step.depends_on
            .iter()
            .any(|needed| workflow.step(needed).is_some_and(|s| s.status != StepStatus::Completed))
    })
}

/// The key of a job's document, for expectations.
pub(super) fn job_key(job: &Job) -> DocKey {
    records::job_key(&job.job_id)
}
