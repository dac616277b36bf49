//! How a workflow moves on when something happens to one of its steps.
//!
//! ```text
//! step:      waiting ──inputs done──▶ queued ──▶ processing ──▶ completed
//!               │                       ▲            │ ├──▶ failed  (the workflow fails with it)
//!               │                       └──retry─────┘ │
//!               └──────────── skipped ◀────────────────┘ (the workflow ended first, or not needed)
//!               └──────────── cancelled ◀── somebody cancelled it (the workflow ends with it)
//! workflow:  running ──every step ended──▶ completed        running ──a step failed──▶ failed
//!            running ──a budget is used up──▶ paused ──it is raised──▶ running (or as from running)
//!            running ──somebody pauses it──▶ paused ──somebody resumes it──▶ running
//!            running ──the work is at a gate──▶ paused ──approved, or sent back──▶ running; ──rejected──▶ failed
//!            running ──a step was cancelled──▶ cancelled     failed ──somebody retries──▶ running
//! review:    QA says revise, rounds left, something changed ──▶ one more round of specialist and QA
//!            anything else ──▶ the closing report
//! ```
//!
//! How QA's verdict leads to another round is in `rounds`, what people do to a workflow in
//! [`intervene`](super::intervene), [`approval`](super::approval) and [`fork`](super::fork).
//!
//! Every function may be called twice for the same happening; the second call changes nothing.

use crate::model::{
    Pause, PauseReason, ReviewOutcome, RunEventKind, Spending, Step, StepStatus, TemplateRole, Timestamp,
    Verdict, Workflow, WorkflowStatus,
};

use super::{Effects, approval, intervene, rounds};

/// How many characters of an output a workflow document carries, as in the legacy system.
const PREVIEW_CHARS: usize = 300;

/// What a step produced.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    pub text: String,
    /// A digest of the text; equal digests mean that nothing changed.
    pub digest: String,
    /// QA's verdict, for a review step.
    pub verdict: Option<Verdict>,
    /// The output ends early, because the answer reached its limit of tokens.
    pub truncated: bool,
    pub model: String,
    /// Of all model calls that it took.
    pub spending: Spending,
    pub simulated: bool,
    /// Seconds of the last attempt.
    pub execution_time: f64,
    pub attempts: u32,
}

/// An attempt at a step has begun.
pub fn started(workflow: &mut Workflow, job: &str, attempt: u32, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let Some(step) = open_step(workflow, job) else { return effects };
    step.status = StepStatus::Processing;
    step.started_at = Some(now);
    step.attempts = attempt;
    step.reason = None;
    let message = match attempt {
        1 => format!("{} has begun.", step.agent),
        n => format!("{} has begun attempt {n}.", step.agent),
    };
    effects.tell_step(RunEventKind::StepStarted, &id, step, message, now);
    effects
}

/// An attempt at a step ended without a result; the step waits for its next one.
pub fn back_to_queue(workflow: &mut Workflow, job: &str, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let Some(step) = open_step(workflow, job) else { return effects };
    step.status = StepStatus::Queued;
    step.reason = Some(why.to_owned());
    effects.tell_step(RunEventKind::StepRetrying, &id, step, why, now);
    effects
}

/// A step waits for its provider. Only the first time is told: it may look again many times.
pub fn put_off(workflow: &mut Workflow, job: &str, why: &str, first: bool, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let Some(step) = open_step(workflow, job) else { return effects };
    step.status = StepStatus::Queued;
    step.reason = Some(format!("Put off: {why}"));
    if first {
        effects.tell_step(RunEventKind::StepPostponed, &id, step, why, now);
    }
    effects
}

/// A step cannot begin, because a budget is used up: the workflow waits for somebody to raise it.
pub fn paused(workflow: &mut Workflow, job: &str, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let Some(step) = open_step(workflow, job) else { return effects };
    step.status = StepStatus::Queued;
    step.reason = Some(why.to_owned());
    if workflow.status == WorkflowStatus::Running {
        workflow.status = WorkflowStatus::Paused;
        workflow.pause =
            Some(Pause { reason: PauseReason::BudgetExceeded, detail: why.to_owned(), since: now });
        let step = workflow.step(job).cloned();
        if let Some(step) = step {
            effects.tell_step(RunEventKind::BudgetExceeded, &id, &step, why, now);
        }
    }
    effects
}

/// Adds up what model calls have used.
fn spend(workflow: &mut Workflow, spending: Spending) {
    workflow.usage += spending.usage;
    workflow.unpriced_calls += spending.unpriced_calls;
    if let Some(cost) = spending.known_cost() {
        workflow.cost_usd = Some(workflow.cost_usd.unwrap_or_default() + cost);
    }
}

/// A step's job ended without a run: nobody needs the step any more.
pub fn skipped(workflow: &mut Workflow, job: &str, why: &str, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let Some(step) = open_step(workflow, job) else { return effects };
    step.status = StepStatus::Skipped;
    step.reason = Some(why.to_owned());
    step.completed_at = Some(now);
    effects.tell_step(RunEventKind::StepSkipped, &id, step, why, now);
    effects
}

/// A step ended with an output.
pub fn completed(workflow: &mut Workflow, job: &str, output: StepOutput, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let over = workflow.is_over();
    let Some(step) = workflow.step_mut(job) else { return effects };
    // A step that was skipped while its job ran on has a result after all: say so.
    if matches!(step.status, StepStatus::Completed | StepStatus::Failed | StepStatus::Cancelled) {
        return effects;
    }
    let (role, round, spending, simulated) = (step.role, step.round, output.spending, output.simulated);
    let verdict = output.verdict.clone();
    step.status = StepStatus::Completed;
    step.output = Some(output.text.chars().take(PREVIEW_CHARS).collect());
    step.output_digest = Some(output.digest);
    step.execution_time = Some(output.execution_time);
    step.confidence_score = output.verdict.as_ref().and_then(|v| v.score);
    step.verdict = output.verdict;
    step.model = Some(output.model);
    step.usage = Some(spending.usage);
    step.cost_usd = spending.known_cost();
    step.unpriced_calls = spending.unpriced_calls;
    step.calls = spending.calls.max(1);
    step.truncated = output.truncated;
    step.attempts = output.attempts;
    step.reason = None;
    step.completed_at = Some(now);
    let message = match &verdict {
        Some(v) => format!("{} answered: {}.", step.agent, v.verdict.as_str()),
        None if step.truncated => {
            format!("{} has finished; the answer was cut at its limit of tokens.", step.agent)
        }
        None => format!("{} has finished.", step.agent),
    };
    effects.tell_step(RunEventKind::StepCompleted, &id, step, message, now);
    spend(workflow, spending);
    workflow.simulated |= simulated;
    if over {
        return effects;
    }
    match role {
        TemplateRole::Qa => {
            if let Some(verdict) = verdict {
                rounds::judge(workflow, job, round, &verdict, &mut effects, now);
            }
        }
        TemplateRole::Specialist => rounds::stop_without_progress(workflow, round, &mut effects, now),
        TemplateRole::Admin | TemplateRole::Feedback | TemplateRole::Approval => {}
    }
    queue_ready(workflow, &mut effects, now);
    end_when_done(workflow, &mut effects, now);
    effects
}

/// A step failed for good, and its workflow with it.
pub fn failed(
    workflow: &mut Workflow,
    job: &str,
    reason: &str,
    attempts: u32,
    spending: Spending,
    now: Timestamp,
) -> Effects {
    let mut effects = Effects::default();
    let id = workflow.workflow_id.clone();
    let over = workflow.is_over();
    let Some(step) = workflow.step_mut(job) else { return effects };
    if matches!(step.status, StepStatus::Completed | StepStatus::Failed | StepStatus::Cancelled) {
        return effects;
    }
    step.status = StepStatus::Failed;
    step.reason = Some(reason.to_owned());
    step.attempts = attempts;
    step.completed_at = Some(now);
    let name = step.step.clone();
    step.usage = Some(spending.usage).filter(|_| spending.calls > 0);
    step.cost_usd = spending.known_cost();
    step.calls = spending.calls.max(1);
    effects.tell_step(RunEventKind::StepFailed, &id, step, reason, now);
    spend(workflow, spending);
    if over {
        return effects;
    }
    let error = format!("{name} failed: {reason}");
    for step in workflow.steps.iter_mut() {
        if matches!(step.status, StepStatus::Waiting | StepStatus::Queued) {
            step.status = StepStatus::Skipped;
            step.reason = Some(format!("The workflow ended before it: {name} failed."));
            step.completed_at = Some(now);
            effects.tell_step(RunEventKind::StepSkipped, &id, step, "The workflow ended before it.", now);
        }
    }
    workflow.status = WorkflowStatus::Failed;
    workflow.pause = None;
    workflow.error = Some(error.clone());
    workflow.completed_at = Some(now);
    effects.tell(RunEventKind::WorkflowFailed, &id, error, now);
    effects
}

/// Ends a workflow whose steps have all ended without anybody having said so.
pub fn ended_if_done(workflow: &mut Workflow, now: Timestamp) -> Effects {
    let mut effects = Effects::default();
    end_when_done(workflow, &mut effects, now);
    effects
}

/// A step that has not ended: what has ended is not moved again.
pub(super) fn open_step<'a>(workflow: &'a mut Workflow, job: &str) -> Option<&'a mut Step> {
    workflow.step_mut(job).filter(|step| !step.status.is_terminal())
}

/// Queues every step whose inputs are all there; tells the others what they wait for.
pub(super) fn queue_ready(workflow: &mut Workflow, effects: &mut Effects, now: Timestamp) {
    let id = workflow.workflow_id.clone();
    let done: Vec<String> = workflow
        .steps
        .iter()
        .filter(|s| s.status == StepStatus::Completed)
        .map(|s| s.job_id.clone())
        .collect();
    let names: Vec<(String, String)> = workflow
        .steps
        .iter()
        .map(|s| (s.job_id.clone(), format!("{} (round {})", s.step, s.round)))
        .collect();
    let held = intervene::is_held(workflow);
    for step in workflow.steps.iter_mut().filter(|s| s.status == StepStatus::Waiting) {
        let missing: Vec<&str> = step
            .depends_on
            .iter()
            .filter(|needed| !done.contains(needed))
            .map(|needed| names.iter().find(|(job, _)| job == needed).map_or("a step", |(_, name)| name))
            .collect();
        if missing.is_empty() && held {
            step.reason = Some(intervene::HELD.to_owned());
        } else if missing.is_empty() && step.role == TemplateRole::Approval {
            step.reason = Some(approval::WAITS.to_owned());
        } else if missing.is_empty() {
            step.status = StepStatus::Queued;
            step.queued_at = Some(now);
            step.reason = None;
            effects.enqueue.push(step.job_id.clone());
            effects.tell_step(
                RunEventKind::StepQueued,
                &id,
                step,
                format!("Queued for {}.", step.agent),
                now,
            );
        } else {
            step.reason = Some(format!("Waits for {}.", missing.join(" and ")));
        }
    }
    if !held {
        approval::ask(workflow, effects, now);
    }
}

/// Ends the workflow when no step is left to do.
pub(super) fn end_when_done(workflow: &mut Workflow, effects: &mut Effects, now: Timestamp) {
    if workflow.is_over() || !workflow.steps.iter().all(|s| s.status.is_terminal()) {
        return;
    }
    workflow.status = WorkflowStatus::Completed;
    workflow.pause = None;
    workflow.completed_at = Some(now);
    workflow.report_job_id = workflow
        .steps
        .iter()
        .rev()
        .find(|s| s.status == StepStatus::Completed && s.role == TemplateRole::Feedback)
        .or_else(|| {
            let work = |s: &&Step| s.status == StepStatus::Completed && s.role != TemplateRole::Approval;
            workflow.steps.iter().rev().find(work)
        })
        .map(|s| s.job_id.clone());
    let message = match workflow.review {
        None => "The work is done.",
        Some(ReviewOutcome::Approved) => "The work is done and approved.",
        Some(ReviewOutcome::Rejected) => "The work is done; QA rejected it.",
        Some(ReviewOutcome::RoundsUsedUp) => {
            "The work is done; QA still wanted changes after the last round."
        }
        Some(ReviewOutcome::NoProgress) => "The work is done; the last revision changed nothing.",
        Some(ReviewOutcome::Unstructured) => "The work is done; QA's answer held no verdict.",
    };
    effects.tell(RunEventKind::WorkflowCompleted, &workflow.workflow_id.clone(), message, now);
}
