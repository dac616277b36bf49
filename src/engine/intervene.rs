//! What people do to a workflow: cancel it, pause and resume it, retry what failed. The moves are in the diagram of
//! [`advance`](super::advance); here, too, a second call changes nothing.

use crate::model::{
    Pause, PauseReason, RunEventKind, StepStatus, TemplateRole, Timestamp, Workflow, WorkflowStatus,
};

use super::{
    Effects,
    advance::{end_when_done, open_step, queue_ready},
};

/// Why a step of such a workflow waits.
pub const HELD: &str = "The workflow is paused: it waits for somebody to resume it.";

/// Whether nothing new may begin.
pub fn is_held(workflow: &Workflow) -> bool {
    workflow.waits_for(PauseReason::Requested)
}

/// Somebody paused the workflow: what runs goes on to its end, nothing new begins.
pub fn held(workflow: &mut Workflow, why: Option<&str>, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    if workflow.status != WorkflowStatus::Running {
        return effects;
    }
    let detail = match why {
        Some(why) => format!("Somebody paused it: {why}"),
        None => "Somebody paused it; it waits for somebody to resume it.".to_owned(),
    };
    workflow.status = WorkflowStatus::Paused;
    workflow.pause = Some(Pause { reason: PauseReason::Requested, detail: detail.clone(), since: now });
    for step in workflow.steps.iter_mut().filter(|step| step.status == StepStatus::Queued) {
        step.reason = Some(HELD.to_owned());
    }
    effects.tell(RunEventKind::WorkflowPaused, &workflow.workflow_id, detail, now);
    effects
}

/// Somebody set the budget of a workflow; it stands in the workflow already.
pub fn budget_set(workflow: &Workflow, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let limits = workflow.budget.map_or_else(Vec::new, |budget| {
        let tokens = budget.tokens.map(|tokens| format!("{tokens} tokens"));
        tokens.into_iter().chain(budget.usd.map(|usd| usd.to_string())).collect()
    });
    let message = match limits.is_empty() {
        true => "Its budget was lifted.".to_owned(),
        false => format!("Its budget is {} now.", limits.join(" and ")),
    };
    effects.tell(RunEventKind::BudgetSet, &workflow.workflow_id, message, now);
    effects
}

/// A paused workflow goes on: what is ready begins.
pub fn resumed(workflow: &mut Workflow, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    if workflow.status != WorkflowStatus::Paused {
        return effects;
    }
    workflow.status = WorkflowStatus::Running;
    workflow.pause = None;
    for step in workflow.steps.iter_mut().filter(|step| step.status == StepStatus::Queued) {
        step.reason = None;
    }
    effects.tell(RunEventKind::WorkflowResumed, &workflow.workflow_id, why, now);
    queue_ready(workflow, &mut effects, now);
    end_when_done(workflow, &mut effects, now);
    effects
}

/// Somebody cancelled the job of a step: the workflow ends with it. What had begun is cancelled, what
/// had not is skipped.
pub fn cancelled(workflow: &mut Workflow, job: &str, why: &str, now: Timestamp) -> Effects {
    if open_step(workflow, job).is_none() {
        return Effects::default();
    }
    let name = workflow.step(job).map(|s| s.step.clone()).unwrap_or_default();
    end(workflow, Some(job), &name, why, now)
}

/// Somebody cancelled the workflow.
pub fn cancelled_whole(workflow: &mut Workflow, why: &str, now: Timestamp) -> Effects {
    end(workflow, None, "The workflow", why, now)
}

fn end(workflow: &mut Workflow, job: Option<&str>, name: &str, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    if workflow.is_over() {
        return effects;
    }
    for step in workflow.steps.iter_mut().filter(|s| !s.status.is_terminal()) {
        let is_it = job == Some(step.job_id.as_str());
        let begun = is_it || step.status == StepStatus::Processing;
        let (status, kind) = match begun {
            true => (StepStatus::Cancelled, RunEventKind::StepCancelled),
            false => (StepStatus::Skipped, RunEventKind::StepSkipped),
        };
        let reason = match (is_it, job) {
            (true, _) => why.to_owned(),
            (false, Some(_)) => format!("The workflow was cancelled with {name}."),
            (false, None) => format!("The workflow was cancelled: {why}"),
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
            // A person is asked once more.
            StepStatus::Failed if step.role == TemplateRole::Approval => {
                step.status = StepStatus::Waiting;
                step.decision = None;
            }
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
