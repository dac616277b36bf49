//! From "this job is to run" to its document and its entry in a queue, and from effects to a change.

use std::time::Duration;

use crate::{
    engine::{Effects, templates},
    model::{Job, JobMode, JobPayload, JobState, Priority, Step, Timestamp, Workflow, iso},
    store::{Change, Enqueue, Queue, Revision, Store, StoreError},
    telemetry::context,
};

use super::{ServiceError, execution, records, webhooks};

/// How long a write whose answer was lost waits before it is repeated.
const UNSURE_WAIT: Duration = Duration::from_millis(150);

pub(super) fn queue_of(priority: Priority) -> Queue {
    match priority {
        Priority::High => Queue::High,
        Priority::Normal => Queue::Normal,
        Priority::Low => Queue::Low,
    }
}

pub(super) fn priority_of(queue: Queue) -> Priority {
    match queue {
        Queue::High => Priority::High,
        Queue::Normal => Priority::Normal,
        Queue::Low => Priority::Low,
    }
}

/// A job that was just accepted, for whomever this task works.
pub(super) fn new_job(
    job_id: &str,
    mode: JobMode,
    agent: &str,
    task: &str,
    priority: Priority,
    now: Timestamp,
) -> Job {
    Job {
        job_id: job_id.to_owned(),
        mode,
        state: JobState::Queued,
        agent: agent.to_owned(),
        priority,
        task: task.to_owned(),
        workflow_id: None,
        step: None,
        round: None,
        parent_job_id: None,
        foreign: false,
        attempts: Vec::new(),
        created_at: now,
        due_at: None,
        ended_at: None,
        error: None,
        run_at: None,
        timeout_seconds: None,
        waits_for: None,
        postponed_since: None,
        upload_id: None,
        api_key: None,
        replays: Vec::new(),
        request_digest: None,
        request_id: context::request_id(),
        traceparent: context::traceparent(),
    }
}

/// Lets a job wait for its time, if it has one.
pub(super) fn plan_for(job: &mut Job, run_at: Option<Timestamp>) {
    if run_at.is_some() {
        (job.state, job.run_at, job.due_at) = (JobState::Scheduled, run_at, run_at);
    }
}

/// Notes on a new workflow for whom it is made: its jobs take that over from it.
pub(super) fn note_origin(workflow: &mut Workflow) {
    workflow.request_id = context::request_id();
    workflow.traceparent = context::traceparent();
}

/// Puts a job and its payload into a change: the job must not exist yet.
pub(super) fn add_job(change: Change, job: &Job, payload: &JobPayload) -> Change {
    let change = change.expect(records::job_key(&job.job_id), None).put(records::put_job(job));
    change.enqueue(enqueue(job, payload_bytes(payload)))
}

/// The entry of a job in its queue, or in the due set while it waits for its time.
pub(super) fn enqueue(job: &Job, payload: Vec<u8>) -> Enqueue {
    let waits = job.due_at.filter(|_| job.state == JobState::Scheduled);
    Enqueue { queue: queue_of(job.priority), payload, due_at: waits.map(|t| t.timestamp_millis()) }
}

/// Adds that a job which was put off comes at once. Its entry in the due set comes later and finds it run.
pub(super) fn call_back(change: Change, mut job: Job, before: Revision) -> Change {
    job.state = JobState::Queued;
    job.due_at = None;
    job.waits_for = None;
    let payload = execution::payload::of_job(&job);
    change
        .expect(records::job_key(&job.job_id), Some(before))
        .put(records::put_job(&job))
        .enqueue(enqueue(&job, payload))
}

/// Removes what an earlier job of the same id may have left behind, where ids are used again.
pub(super) fn forget_earlier(change: Change, job_id: &str) -> Change {
    change
        .delete(records::call_key(job_id, 1))
        .delete(records::result_key(job_id))
        .delete(records::tombstone_key(job_id))
}

pub(super) fn payload_bytes(payload: &JobPayload) -> Vec<u8> {
    serde_json::to_vec(payload).expect("a payload has only plain fields")
}

/// Makes a change that creates something under a fresh id. A write whose answer was lost may have
/// been made; it is repeated once as it was, and that its id exists then means that it was made. So
/// a client is not told "try again" about something that has begun.
pub(super) async fn create(store: &dyn Store, change: Change) -> Result<(), ServiceError> {
    match create_or_find(store, change).await? {
        Created::Made | Created::Unsure => Ok(()),
        Created::Existed => Err(ServiceError::Conflict("the new id exists already; try again".to_owned())),
    }
}

/// What became of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Made,
    /// It is there; whether this try made it is unknown, as an answer was lost.
    Unsure,
    /// Something of its id was there before.
    Existed,
}

/// The same for something whose id others may use at the same time.
pub(super) async fn create_or_find(store: &dyn Store, change: Change) -> Result<Created, ServiceError> {
    match store.apply(change.clone()).await {
        Err(StoreError::Unavailable(_)) => {
            tokio::time::sleep(UNSURE_WAIT).await;
            Ok(if store.apply(change).await?.is_ok() { Created::Made } else { Created::Unsure })
        }
        outcome => Ok(if outcome?.is_ok() { Created::Made } else { Created::Existed }),
    }
}

/// The job of a step, with the payload the legacy system would have queued.
pub(super) fn step_job(workflow: &Workflow, step: &Step, now: Timestamp) -> (Job, JobPayload) {
    let mut job =
        new_job(&step.job_id, JobMode::Step, &step.agent, &workflow.original_task, workflow.priority, now);
    job.workflow_id = Some(workflow.workflow_id.clone());
    job.step = Some(step.step.clone());
    job.round = Some(step.round);
    job.parent_job_id = step.depends_on.first().cloned();
    job.api_key = workflow.api_key.clone();
    job.request_id = workflow.request_id.clone();
    job.traceparent = workflow.traceparent.clone();
    job.timeout_seconds = workflow.step_timeout_seconds.or_else(|| {
        templates::find(&workflow.template).and_then(|t| t.step(&step.step)).and_then(|s| s.timeout_seconds)
    });
    let payload = JobPayload {
        job_id: Some(step.job_id.clone()),
        workflow_id: Some(workflow.workflow_id.clone()),
        job: Some(workflow.original_task.clone()),
        agent_name: Some(step.agent.clone()),
        step: Some(step.step.clone()),
        parent_job_id: job.parent_job_id.clone(),
        created_at: Some(iso::format(&now)),
        mode: Some(step.step.clone()),
        ..JobPayload::default()
    };
    (job, payload)
}

/// Adds what a decision of the engine asks for: the workflow itself, the jobs of steps that became
/// ready, and the events.
pub(super) fn add_effects(change: Change, workflow: &Workflow, effects: &Effects, now: Timestamp) -> Change {
    let mut change = add_story(change, workflow, effects, now);
    for step in effects.enqueue.iter().filter_map(|job| workflow.step(job)) {
        let (job, payload) = step_job(workflow, step, now);
        change = add_job(change, &job, &payload);
    }
    change
}

/// Adds a workflow that was just accepted: its first jobs wait for its time, if it has one.
pub(super) fn add_workflow(change: Change, workflow: &Workflow, effects: &Effects, now: Timestamp) -> Change {
    let mut change = add_story(change, workflow, effects, now);
    for step in effects.enqueue.iter().filter_map(|job| workflow.step(job)) {
        let (mut job, payload) = step_job(workflow, step, now);
        plan_for(&mut job, workflow.run_at);
        change = add_job(change, &job, &payload);
    }
    change
}

/// Adds the workflow as it now is and what is told of it.
///
/// Where it is to be reported that the workflow has ended or waits, the report is part of the same write.
pub(super) fn add_story(
    mut change: Change,
    workflow: &Workflow,
    effects: &Effects,
    now: Timestamp,
) -> Change {
    change = match webhooks::announce(workflow, now) {
        None => change.put(records::put_workflow(workflow)),
        Some((workflow, delivery)) => {
            let change = change.put(records::put_workflow(&workflow));
            delivery.iter().fold(change, |change, delivery| change.put(records::put_delivery(delivery)))
        }
    };
    for event in &effects.events {
        let body = serde_json::to_vec(event).expect("an event has only plain fields");
        change = change.event(workflow.workflow_id.clone(), body);
    }
    change
}
