//! What people do to a workflow: cancel it, retry what failed. The moves are in the diagram of
//! [`advance`](super::advance); here, too, a second call changes nothing.

use crate::model::{RunEventKind, StepStatus, TemplateRole, Timestamp, Workflow, WorkflowStatus};

use super::{
    Effects,
    advance::{open_step, queue_ready},
};

/// Somebody cancelled the job of a step: the workflow ends with it. What had begun is cancelled, what
/// had not is skipped.
pub fn cancelled(workflow: &mut Workflow, job: &str, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    if workflow.is_over() || open_step(workflow, job).is_none() {
        return effects;
    }
    let name = workflow.step(job).map(|s| s.step.clone()).unwrap_or_default();
    for step in workflow.steps.iter_mut().filter(|s| !s.status.is_terminal()) {
        let begun = step.job_id == job || step.status == StepStatus::Processing;
        let (status, kind) = match begun {
            true => (StepStatus::Cancelled, RunEventKind::StepCancelled),
            false => (StepStatus::Skipped, RunEventKind::StepSkipped),
        };
        let reason = match step.job_id == job {
            true => why.to_owned(),
            false => format!("The workflow was cancelled with {name}."),
        };
        step.status = status;
        step.completed_at = Some(now);
        effects.tell_step(kind, &id, step, reason.clone(), now);
        step.reason = Some(reason);
    }
    let error = format!("{name} was cancelled: {why}");
    workflow.status = WorkflowStatus::Cancelled;
    workflow.pause = None;
    workflow.error = Some(error.clone());
    workflow.completed_at = Some(now);
    effects.tell(RunEventKind::WorkflowCancelled, &id, error, now);
    effects
}

/// Somebody retries what failed: the workflow goes on.
///
/// Every failed step is queued again, as the workflow needs them all, and what was skipped with them
/// waits again. `has_job` says of a skipped step whether its job is in a queue still; such a one is not
/// queued a second time.
pub fn reopened(workflow: &mut Workflow, has_job: impl Fn(&str) -> bool, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    if workflow.status != WorkflowStatus::Failed {
        return effects;
    }
    workflow.status = WorkflowStatus::Running;
    workflow.error = None;
    workflow.completed_at = None;
    let message = "Somebody retries what failed; the workflow goes on.";
    effects.tell(RunEventKind::WorkflowReopened, &id, message, now);
    // A review that has ended needs no more QA: what was skipped for that stays so.
    let review_is_over = workflow.review.is_some();
    for step in workflow.steps.iter_mut() {
        match step.status {
            StepStatus::Failed => {
                step.status = StepStatus::Queued;
                step.queued_at = Some(now);
                step.reason = Some("It is tried again.".to_owned());
                effects.enqueue.push(step.job_id.clone());
                let message = format!("Queued again for {}.", step.agent);
                effects.tell_step(RunEventKind::StepQueued, &id, step, message, now);
            }
            StepStatus::Skipped if has_job(&step.job_id) => {
                step.status = StepStatus::Queued;
                step.reason = None;
                let message = format!("Its job is in the queue of {} still.", step.agent);
                effects.tell_step(RunEventKind::StepQueued, &id, step, message, now);
            }
            StepStatus::Skipped if !(review_is_over && step.role == TemplateRole::Qa) => {
                step.status = StepStatus::Waiting;
            }
            _ => continue,
        }
        step.completed_at = None;
    }
    queue_ready(workflow, &mut effects, now);
    effects
}
