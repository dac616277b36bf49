//! Retry by hand: a dead job goes back into its queue, and the workflow it stopped goes on.

use serde_json::{Map, Value};

use crate::{
    engine::intervene,
    model::{DeadJob, DeadReason, Job, JobState, StepStatus, Timestamp, Workflow, WorkflowStatus},
    store::{Change, Enqueue, MAX_PAYLOAD_BYTES, Queue, Revision},
};

use super::{
    Jobs, TRIES, busy,
    story::{queue_named, raw_payload},
};
use crate::service::{ServiceError, dispatch, execution::payload, records, workflows::refuse_deleting};

impl Jobs {
    /// Queues a failed job again with a fresh number of attempts; its failed result is removed. With a
    /// step, all that failed in its workflow is queued again. A payload that is no job needs another one
    /// in its place.
    pub async fn retry(
        &self,
        id: &str,
        replacement: Option<Map<String, Value>>,
    ) -> Result<Job, ServiceError> {
        for _ in 0..TRIES {
            if let Some(job) = self.try_retry(id, replacement.as_ref()).await? {
                log::info!(job_id = id; "a dead job is tried again");
                return Ok(job);
            }
        }
        Err(busy(id))
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_retry(
        &self,
        id: &str,
        replacement: Option<&Map<String, Value>>,
    ) -> Result<Option<Job>, ServiceError> {
        let found = self.find(id).await?;
        if found.job.state != JobState::Failed {
            let state = found.job.state.as_str();
            return Err(ServiceError::Conflict(format!("job {id} is {state}; only failed jobs are retried")));
        }
        let now = self.base.clock.now();
        let unreadable = found.dead.as_ref().filter(|dead| dead.job.is_none());
        let change = Change::new();
        let (change, job) = match (unreadable, replacement) {
            (Some(dead), replacement) => {
                let (job, bytes) = rewritten(dead, &found.job, replacement, now)?;
                (requeue_bytes(change, &job, found.before, bytes), job)
            }
            (None, Some(_)) => {
                let message = "The payload of this job can be run; leave `payload` out";
                return Err(ServiceError::field("payload", "not_needed", message));
            }
            (None, None) => match self.workflow_of(&found.job).await? {
                Some((workflow, before)) => {
                    return self.reopen(id, found.job, found.before, workflow, before, now).await;
                }
                None => {
                    let mut job = found.job;
                    job.replay(now);
                    (requeue(change, &job, found.before), job)
                }
            },
        };
        Ok(self.base.store.apply(change).await?.is_ok().then_some(job))
    }

    /// Lets the workflow of a failed step go on.
    async fn reopen(
        &self,
        id: &str,
        job: Job,
        before: Option<Revision>,
        mut workflow: Workflow,
        workflow_before: Revision,
        now: Timestamp,
    ) -> Result<Option<Job>, ServiceError> {
        refuse_deleting(&workflow)?;
        if workflow.status != WorkflowStatus::Failed {
            let (name, status) = (&workflow.workflow_id, workflow.status.as_str());
            return Err(ServiceError::Conflict(format!("the workflow {name} of job {id} is {status}")));
        }
        let others = workflow.steps.iter().map(|s| s.job_id.as_str()).filter(|other| *other != id);
        let mut known = self.documents(others).await?;
        let is_open = |job: &str| known.iter().any(|(j, _)| j.job_id == job && !j.state.is_terminal());
        let effects = intervene::reopened(&mut workflow, is_open, now);
        let mut change =
            Change::new().expect(records::workflow_key(&workflow.workflow_id), Some(workflow_before));
        change = dispatch::add_story(change, &workflow, &effects, now);
        for (other, before) in &known {
            let key = records::job_key(&other.job_id);
            let waits = workflow.step(&other.job_id).is_some_and(|step| step.status == StepStatus::Waiting);
            if !other.state.is_terminal() {
                // The workflow counts on it: it must not end at this moment.
                if !effects.enqueue.contains(&other.job_id) {
                    change = change.expect(key, Some(before.clone()));
                }
            } else if waits {
                // It gets a job anew when its time comes.
                change = change
                    .expect(key.clone(), Some(before.clone()))
                    .delete(key)
                    .delete(records::result_key(&other.job_id))
                    .delete(records::dead_job_key(&other.job_id))
                    .delete(records::tombstone_key(&other.job_id));
            }
        }
        let mut retried = job;
        retried.replay(now);
        for step in effects.enqueue.iter().filter_map(|job| workflow.step(job)) {
            if step.job_id == id {
                change = requeue(change, &retried, before.clone());
            } else if let Some(place) = known.iter().position(|(job, _)| job.job_id == step.job_id) {
                let (mut other, before) = known.swap_remove(place);
                other.replay(now);
                change = requeue(change, &other, Some(before));
            } else {
                // Its document is gone, or it never had one.
                let (mut other, _) = dispatch::step_job(&workflow, step, now);
                other.replay(now);
                change = requeue(change, &other, None);
            }
        }
        Ok(self.base.store.apply(change).await?.is_ok().then_some(retried))
    }
}

/// Adds a job's way back into its queue.
fn requeue(change: Change, job: &Job, before: Option<Revision>) -> Change {
    requeue_bytes(change, job, before, payload::of_job(job))
}

fn requeue_bytes(change: Change, job: &Job, before: Option<Revision>, payload: Vec<u8>) -> Change {
    change
        .expect(records::job_key(&job.job_id), before)
        .put(records::put_job(job))
        .delete(records::result_key(&job.job_id))
        .delete(records::dead_job_key(&job.job_id))
        .delete(records::tombstone_key(&job.job_id))
        .enqueue(Enqueue { queue: dispatch::queue_of(job.priority), payload, due_at: None })
}

/// The job that takes the place of a payload that could not be run, and its payload.
fn rewritten(
    dead: &DeadJob,
    stand_in: &Job,
    replacement: Option<&Map<String, Value>>,
    now: Timestamp,
) -> Result<(Job, Vec<u8>), ServiceError> {
    let id = &dead.job_id;
    let mut object = match replacement {
        Some(object) => object.clone(),
        // It was readable and brought its workers down before it had an id.
        None if dead.reason == DeadReason::Poison => {
            let raw = raw_payload(dead).and_then(|raw| serde_json::from_slice(&raw).ok());
            raw.ok_or_else(|| needs_payload(dead))?
        }
        None => return Err(needs_payload(dead)),
    };
    if object.get("job_id").is_some_and(|given| given != id.as_str() && !given.is_null()) {
        let message = format!("The job keeps its id: leave `job_id` out, or write \"{id}\"");
        return Err(ServiceError::field("payload", "wrong_id", message));
    }
    object.insert("job_id".to_owned(), id.clone().into());
    let bytes = serde_json::to_vec(&object).expect("a JSON object is serialisable");
    if bytes.len() > MAX_PAYLOAD_BYTES {
        let message = format!("The payload has {} bytes, the most is {MAX_PAYLOAD_BYTES}", bytes.len());
        return Err(ServiceError::field("payload", "too_long", message));
    }
    let read = payload::read(&bytes).map_err(|unreadable| {
        ServiceError::field("payload", "unreadable", format!("It cannot be run: {}", unreadable.why))
    })?;
    let queue = queue_named(&dead.queue).unwrap_or(Queue::Normal);
    let mut job = payload::foreign_job(&read, id, queue, now);
    job.attempts.clone_from(&stand_in.attempts);
    job.created_at = stand_in.created_at;
    job.replay(now);
    Ok((job, bytes))
}

fn needs_payload(dead: &DeadJob) -> ServiceError {
    ServiceError::Conflict(format!(
        "its payload cannot be run ({}); send a corrected one: {{\"payload\": {{\"job\": \"…\"}}}}",
        dead.error
    ))
}
