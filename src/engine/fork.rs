//! Forks: a new workflow that goes on from a step of another one, which stays as it is.
//!
//! ```text
//! original:  admin ✓ ── specialist ✓ ── QA ✓ revise ── specialist 2 ✓ ── QA 2 ✓ ── report ✓
//! from QA:   admin ═══ specialist ════ QA (runs again, or says what a person wrote) ── report
//! ```
//!
//! What was completed and does not depend on the step is taken over (`═`): it keeps its job, which nobody
//! runs again, so that its output, its prompt and its result are found where they are. All that depends on
//! the step is planned afresh; rounds that followed from it are forgotten, for a new verdict asks for its own.

use std::collections::HashMap;

use crate::model::{
    Fork, ReviewOutcome, RunEventKind, Step, StepStatus, TemplateRole, Timestamp, Usage, VerdictKind,
    Workflow, WorkflowStatus,
};

use super::{
    Effects,
    advance::{self, StepOutput},
    plan::{job_id, new_step},
};

/// The step that somebody means: a job's id, `name` for the last of that name, or `name:round`.
pub fn find<'a>(workflow: &'a Workflow, text: &str) -> Option<&'a Step> {
    if let Some(step) = workflow.step(text) {
        return Some(step);
    }
    let (name, round) = match text.split_once(':') {
        Some((name, round)) => (name, Some(round.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let of_name = workflow.steps.iter().filter(|s| s.step == name);
    of_name.filter(|s| round.is_none_or(|round| s.round == round)).max_by_key(|s| s.round)
}

/// The new workflow. `edited` is what the step says instead; without it the step runs again.
pub fn create(
    original: &Workflow,
    from: &Step,
    edited: Option<StepOutput>,
    new_id: &str,
    now: Timestamp,
) -> (Workflow, Effects) {
    let stale = depending_on(original, from);
    let is_stale = |step: &Step| stale.contains(&step.job_id);
    let review_is_over = original.review.is_some()
        && !original
            .steps
            .iter()
            .any(|s| s.role == TemplateRole::Qa && (is_stale(s) || s.job_id == from.job_id));
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut steps: Vec<Step> = Vec::new();
    for step in &original.steps {
        let is_from = step.job_id == from.job_id;
        if is_stale(step) && step.round > from.round && from.role != TemplateRole::Feedback {
            continue;
        }
        let not_needed =
            review_is_over && step.role == TemplateRole::Qa && step.status == StepStatus::Skipped;
        let keeps = !is_from && !is_stale(step) && (step.status == StepStatus::Completed || not_needed);
        if keeps {
            steps.push(taken_over(original, step));
            continue;
        }
        let place = steps.iter().filter(|s| s.step == step.step && s.round == step.round).count();
        let id = job_id(new_id, &step.step, step.round, place);
        ids.insert(step.job_id.clone(), id);
        steps.push(new_step(
            new_id,
            &step.step,
            step.role,
            &step.agent,
            step.round,
            place,
            step.depends_on.clone(),
        ));
    }
    rewire(&mut steps, original, &ids);
    let review = if review_is_over { original.review } else { told_by_the_last(&steps) };
    let any_taken_over = steps.iter().any(|s| s.from_workflow.is_some());
    let mut workflow = Workflow {
        workflow_id: new_id.to_owned(),
        simulated: original.simulated && any_taken_over,
        steps,
        status: WorkflowStatus::Running,
        created_at: now,
        completed_at: None,
        review,
        error: None,
        usage: Usage::default(),
        cost_usd: None,
        unpriced_calls: 0,
        pause: None,
        report_job_id: None,
        run_at: None,
        // Whoever asked for the original was not asked about this one.
        callback: None,
        request_digest: None,
        request_id: None,
        traceparent: None,
        forked_from: Some(Fork {
            workflow_id: original.workflow_id.clone(),
            job_id: from.job_id.clone(),
            step: from.step.clone(),
            edited: edited.is_some(),
        }),
        forks: Vec::new(),
        deleting: None,
        ..original.clone()
    };
    let mut effects = Effects::default();
    let how = if edited.is_some() { "with another output of it" } else { "which runs again" };
    let message =
        format!("It goes on from {} (round {}) of {}, {how}.", from.step, from.round, original.workflow_id);
    effects.tell(RunEventKind::WorkflowCreated, new_id, message, now);
    let followed = match (edited, ids.get(&from.job_id)) {
        (Some(output), Some(job)) => {
            if let Some(step) = workflow.step_mut(job) {
                step.edited = true;
                step.queued_at = Some(now);
                step.started_at = Some(now);
            }
            advance::completed(&mut workflow, job, output, now)
        }
        _ => {
            let mut followed = Effects::default();
            advance::queue_ready(&mut workflow, &mut followed, now);
            advance::end_when_done(&mut workflow, &mut followed, now);
            followed
        }
    };
    effects.events.extend(followed.events);
    effects.enqueue.extend(followed.enqueue);
    effects.with(workflow)
}

/// The jobs of all steps that depend on a step, directly or not. A closing report looks at the whole work, a gate at
/// all rounds before it, whatever they wait for.
fn depending_on(workflow: &Workflow, from: &Step) -> Vec<String> {
    let mut stale: Vec<String> = vec![from.job_id.clone()];
    loop {
        let more: Vec<String> = workflow
            .steps
            .iter()
            .filter(|s| !stale.contains(&s.job_id))
            .filter(|s| {
                let looks_at_it = match s.role {
                    TemplateRole::Feedback => true,
                    TemplateRole::Approval => judges(workflow, s, from),
                    _ => false,
                };
                looks_at_it || s.depends_on.iter().any(|needed| stale.contains(needed))
            })
            .map(|s| s.job_id.clone())
            .collect();
        if more.is_empty() {
            stale.remove(0);
            return stale;
        }
        stale.extend(more);
    }
}

/// Whether a gate looks at what a step did: it does so for all rounds up to the next gate's.
fn judges(workflow: &Workflow, gate: &Step, step: &Step) -> bool {
    let gates = workflow.steps.iter().filter(|s| s.role == TemplateRole::Approval);
    let next = gates.map(|s| s.round).filter(|round| *round > gate.round).min();
    let is_work = !matches!(step.role, TemplateRole::Approval | TemplateRole::Feedback);
    is_work && next.is_none_or(|next| next > step.round)
}

/// How the review ended where its last round is taken over and those after it are forgotten.
fn told_by_the_last(steps: &[Step]) -> Option<ReviewOutcome> {
    let reviews = || steps.iter().filter(|s| s.role == TemplateRole::Qa);
    if reviews().any(|s| !s.status.is_terminal()) {
        return None;
    }
    let last = reviews().filter(|s| s.status == StepStatus::Completed).max_by_key(|s| s.round)?;
    Some(match last.verdict.as_ref()?.verdict {
        VerdictKind::Approve => ReviewOutcome::Approved,
        VerdictKind::Reject => ReviewOutcome::Rejected,
        VerdictKind::Revise => ReviewOutcome::RoundsUsedUp,
        VerdictKind::Unstructured => ReviewOutcome::Unstructured,
    })
}

/// A completed step of the original, as the new workflow has it.
fn taken_over(original: &Workflow, step: &Step) -> Step {
    let source = step.from_workflow.clone().unwrap_or_else(|| original.workflow_id.clone());
    Step { from_workflow: Some(source), usage: None, cost_usd: None, unpriced_calls: 0, ..step.clone() }
}

/// Lets the steps depend on what is there now: fresh jobs for old ones, the last review for a forgotten one.
fn rewire(steps: &mut [Step], original: &Workflow, ids: &HashMap<String, String>) {
    let there: Vec<String> = steps.iter().map(|s| s.job_id.clone()).collect();
    let last = |role: TemplateRole| {
        let of_role = || steps.iter().filter(move |s| s.role == role && s.status != StepStatus::Skipped);
        let round = of_role().map(|s| s.round).max()?;
        Some(of_role().filter(|s| s.round == round).map(|s| s.job_id.clone()).collect::<Vec<_>>())
    };
    let (last_review, last_gate) = (last(TemplateRole::Qa), last(TemplateRole::Approval));
    let last_work = last(TemplateRole::Specialist);
    for step in steps.iter_mut() {
        let mut needed: Vec<String> = Vec::new();
        for id in &step.depends_on {
            let now_called = ids.get(id).unwrap_or(id);
            let found = match original.step(id).map(|s| s.role) {
                _ if there.contains(now_called) => vec![now_called.clone()],
                Some(TemplateRole::Qa) => {
                    last_review.clone().or_else(|| last_work.clone()).unwrap_or_default()
                }
                Some(TemplateRole::Approval) => last_gate.clone().unwrap_or_default(),
                Some(TemplateRole::Specialist) => last_work.clone().unwrap_or_default(),
                _ => Vec::new(),
            };
            needed.extend(found.into_iter().filter(|id| !needed.contains(id)).collect::<Vec<_>>());
        }
        // The closing report looks at the last review, also where the original stopped before it.
        if step.role == TemplateRole::Feedback
            && let Some(review) = &last_review
        {
            let reviews: Vec<&Step> = original.steps.iter().filter(|s| s.role == TemplateRole::Qa).collect();
            let is_review =
                |id: &String| reviews.iter().any(|qa| &qa.job_id == id || ids.get(&qa.job_id) == Some(id));
            needed.retain(|id| !is_review(id));
            needed.splice(0..0, review.iter().cloned());
        }
        step.depends_on = needed;
    }
}
