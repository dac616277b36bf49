//! The gate: a person looks at the work before the closing report, or, without one, before the end.
//!
//! A gate is a step that no job runs. When what it looks at is there, the workflow is paused for it; the
//! person's word lets it go on, sends the work back for one more round, or ends the workflow.

use crate::model::{
    Decision, DecisionOutcome, Pause, PauseReason, RunEventKind, Step, StepStatus, TemplateRole, Timestamp,
    Workflow, WorkflowStatus,
};

use super::{
    Effects,
    advance::{end_when_done, queue_ready},
    plan::{job_id, new_step},
    rounds,
};

/// The name of a gate, and who it waits for.
pub const STEP: &str = "approval";
pub const PERSON: &str = "person";
/// Why a gate waits.
pub const WAITS: &str = "Waits for somebody to approve the work.";
/// The most rounds that QA and people together may ask for.
pub const MOST_ROUNDS: u32 = 20;

/// Why a person's word cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nothing waits for it.
    NothingWaits,
    /// The work has gone through as many rounds as there may be.
    TooManyRounds,
}

/// Puts a gate before the closing report, or at the end where there is none.
pub(super) fn add_gate(steps: &mut Vec<Step>, workflow_id: &str) {
    let closing = steps.iter().position(|s| s.role == TemplateRole::Feedback);
    let needed: Vec<String> = match closing {
        Some(place) => steps[place].depends_on.clone(),
        None => {
            let used: Vec<&String> = steps.iter().flat_map(|s| &s.depends_on).collect();
            steps.iter().map(|s| &s.job_id).filter(|id| !used.contains(id)).cloned().collect()
        }
    };
    let gate = new_step(workflow_id, STEP, TemplateRole::Approval, PERSON, 1, 0, needed);
    for step in steps.iter_mut().filter(|s| s.role == TemplateRole::Feedback) {
        step.depends_on.push(gate.job_id.clone());
    }
    steps.insert(closing.unwrap_or(steps.len()), gate);
}

/// The gate that stands open: all that it looks at is there.
fn open_gate(workflow: &Workflow) -> Option<usize> {
    let done = |id: &String| workflow.step(id).is_none_or(|s| s.status == StepStatus::Completed);
    workflow.steps.iter().position(|s| {
        s.role == TemplateRole::Approval && s.status == StepStatus::Waiting && s.depends_on.iter().all(done)
    })
}

/// Pauses a workflow whose work is at its gate.
pub(super) fn ask(workflow: &mut Workflow, effects: &mut Effects, now: Timestamp) {
    let waits_already = workflow.waits_for(PauseReason::Approval);
    if workflow.is_over() || waits_already {
        return;
    }
    let Some(place) = open_gate(workflow) else { return };
    workflow.steps[place].queued_at = Some(now);
    let detail = "The work is done; it waits for somebody to approve it, send it back or reject it.";
    workflow.status = WorkflowStatus::Paused;
    workflow.pause = Some(Pause { reason: PauseReason::Approval, detail: detail.to_owned(), since: now });
    let (id, step) = (workflow.workflow_id.clone(), workflow.steps[place].clone());
    effects.tell_step(RunEventKind::ApprovalRequested, &id, &step, detail, now);
}

/// A person has spoken.
pub fn decided(
    workflow: &mut Workflow,
    outcome: DecisionOutcome,
    comment: Option<&str>,
    now: Timestamp,
) -> Result<Effects, Refused> {
    let waits = workflow.waits_for(PauseReason::Approval);
    let Some(place) = open_gate(workflow).filter(|_| waits) else { return Err(Refused::NothingWaits) };
    let last = workflow.steps.iter().map(|s| s.round).max().unwrap_or(1);
    if outcome == DecisionOutcome::SentBack && last >= MOST_ROUNDS {
        return Err(Refused::TooManyRounds);
    }
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let gate = &mut workflow.steps[place];
    gate.decision = Some(Decision { outcome, comment: comment.map(str::to_owned), at: now });
    gate.completed_at = Some(now);
    gate.reason = None;
    let (kind, mut said) = match outcome {
        DecisionOutcome::Approved => (RunEventKind::WorkApproved, "A person approved the work".to_owned()),
        DecisionOutcome::SentBack => (RunEventKind::WorkRejected, "A person sent the work back".to_owned()),
        DecisionOutcome::Rejected => (RunEventKind::WorkRejected, "A person rejected the work".to_owned()),
    };
    match comment {
        Some(comment) => said = format!("{said}: {comment}"),
        None => said.push('.'),
    }
    gate.status = match outcome {
        DecisionOutcome::Rejected => StepStatus::Failed,
        _ => StepStatus::Completed,
    };
    if gate.status == StepStatus::Failed {
        gate.reason = Some(said.clone());
    }
    let gate = gate.clone();
    effects.tell_step(kind, &id, &gate, said.clone(), now);
    workflow.status = WorkflowStatus::Running;
    workflow.pause = None;
    match outcome {
        DecisionOutcome::Approved => {}
        DecisionOutcome::SentBack => send_back(workflow, &gate, last, &mut effects, now),
        DecisionOutcome::Rejected => reject(workflow, &said, &mut effects, now),
    }
    queue_ready(workflow, &mut effects, now);
    end_when_done(workflow, &mut effects, now);
    Ok(effects)
}

/// Ends the workflow: nobody wants the rest.
fn reject(workflow: &mut Workflow, said: &str, effects: &mut Effects, now: Timestamp) {
    let id = workflow.workflow_id.clone();
    for step in workflow.steps.iter_mut().filter(|s| !s.status.is_terminal()) {
        step.status = StepStatus::Skipped;
        step.reason = Some("The workflow ended before it: the work was rejected.".to_owned());
        step.completed_at = Some(now);
        effects.tell_step(RunEventKind::StepSkipped, &id, step, "The work was rejected.", now);
    }
    workflow.status = WorkflowStatus::Failed;
    workflow.error = Some(said.to_owned());
    workflow.completed_at = Some(now);
    effects.tell(RunEventKind::WorkflowFailed, &id, said, now);
}

/// Adds a round with the person's words for the specialists, and a gate of its own.
fn send_back(workflow: &mut Workflow, gate: &Step, last: u32, effects: &mut Effects, now: Timestamp) {
    let (id, round) = (workflow.workflow_id.clone(), last + 1);
    let latest = |role: TemplateRole| {
        let of_role = || workflow.steps.iter().filter(move |s| s.role == role);
        let round = of_role().map(|s| s.round).max().unwrap_or(1);
        of_role().filter(|s| s.round == round).cloned().collect::<Vec<_>>()
    };
    let (work, review) = (latest(TemplateRole::Specialist), latest(TemplateRole::Qa));
    let mut added = rounds::work_and_review(&id, &work, review.first(), round, &gate.job_id);
    let last_of_round: Vec<String> = match review.is_empty() {
        true => added.iter().map(|s| s.job_id.clone()).collect(),
        false => added.last().map(|s| s.job_id.clone()).into_iter().collect(),
    };
    let new_gate = job_id(&id, STEP, round, 0);
    for step in workflow.steps.iter_mut().filter(|s| s.status == StepStatus::Waiting) {
        step.depends_on.retain(|needed| !review.iter().any(|qa| &qa.job_id == needed));
        for needed in step.depends_on.iter_mut().filter(|n| **n == gate.job_id) {
            needed.clone_from(&new_gate);
        }
        step.depends_on.splice(0..0, last_of_round.iter().filter(|_| !review.is_empty()).cloned());
    }
    added.push(new_step(&id, STEP, TemplateRole::Approval, PERSON, round, 0, last_of_round));
    let after = workflow.steps.iter().position(|s| s.job_id == gate.job_id).map_or(0, |i| i + 1);
    workflow.steps.splice(after..after, added);
    workflow.review = None;
    let message = format!("The work is sent back for round {round}.");
    effects.tell(RunEventKind::RevisionRequested, &id, message, now);
}
