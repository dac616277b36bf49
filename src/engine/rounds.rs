//! Rounds: what follows from QA's verdict, and when more rounds would lead nowhere.

use crate::model::{
    ReviewOutcome, RunEventKind, Step, StepStatus, TemplateRole, Timestamp, Verdict, VerdictKind, Workflow,
};

use super::{
    Effects,
    plan::{job_id, new_step},
};

/// QA has spoken: another round, or on to the closing report.
pub(super) fn judge(
    workflow: &mut Workflow,
    qa_job: &str,
    round: u32,
    verdict: &Verdict,
    effects: &mut Effects,
    now: Timestamp,
) {
    // The work that was judged carries the score.
    for step in workflow.steps.iter_mut() {
        if step.role == TemplateRole::Specialist && step.round == round {
            step.confidence_score = verdict.score;
        }
    }
    let outcome = match verdict.verdict {
        VerdictKind::Approve => ReviewOutcome::Approved,
        VerdictKind::Reject => ReviewOutcome::Rejected,
        VerdictKind::Unstructured => ReviewOutcome::Unstructured,
        VerdictKind::Revise if round > workflow.max_revisions => ReviewOutcome::RoundsUsedUp,
        VerdictKind::Revise => {
            add_round(workflow, qa_job, round + 1);
            effects.tell(
                RunEventKind::RevisionRequested,
                &workflow.workflow_id,
                format!("QA asks for revision {round} of at most {}.", workflow.max_revisions),
                now,
            );
            return;
        }
    };
    workflow.review = Some(outcome);
}

/// The same specialists once more, with what `needed` says, and the same QA behind them.
pub(super) fn work_and_review(
    workflow_id: &str,
    work: &[Step],
    qa: Option<&Step>,
    round: u32,
    needed: &str,
) -> Vec<Step> {
    let again = |(place, s): (usize, &Step)| {
        new_step(workflow_id, &s.step, s.role, &s.agent, round, place, vec![needed.to_owned()])
    };
    let mut added: Vec<Step> = work.iter().enumerate().map(again).collect();
    if let Some(qa) = qa {
        let drafts = added.iter().map(|s| s.job_id.clone()).collect();
        added.push(new_step(workflow_id, &qa.step, qa.role, &qa.agent, round, 0, drafts));
    }
    added
}

/// Adds specialists and QA once more, before the closing report, which then waits for the new QA.
fn add_round(workflow: &mut Workflow, qa_job: &str, round: u32) {
    let id = workflow.workflow_id.clone();
    let Some(qa) = workflow.step(qa_job).cloned() else { return };
    let of_last = |s: &&Step| s.role == TemplateRole::Specialist && s.round == round - 1;
    let work: Vec<Step> = workflow.steps.iter().filter(of_last).cloned().collect();
    let added = work_and_review(&id, &work, Some(&qa), round, qa_job);
    let new_qa = job_id(&id, &qa.step, round, 0);
    for step in workflow.steps.iter_mut().filter(|s| s.status == StepStatus::Waiting) {
        for needed in step.depends_on.iter_mut().filter(|n| *n == qa_job) {
            needed.clone_from(&new_qa);
        }
    }
    let after = workflow.steps.iter().position(|s| s.job_id == qa.job_id).map_or(0, |i| i + 1);
    workflow.steps.splice(after..after, added);
}

/// Skips the review of a revision that changed nothing: QA would only repeat itself.
pub(super) fn stop_without_progress(
    workflow: &mut Workflow,
    round: u32,
    effects: &mut Effects,
    now: Timestamp,
) {
    if round < 2 {
        return;
    }
    let digests = |round: u32| -> Option<Vec<&String>> {
        workflow
            .steps
            .iter()
            .filter(|s| s.role == TemplateRole::Specialist && s.round == round)
            .map(|s| s.output_digest.as_ref())
            .collect()
    };
    let (Some(before), Some(after)) = (digests(round - 1), digests(round)) else { return };
    if before != after {
        return;
    }
    let id = workflow.workflow_id.clone();
    let last_review = workflow
        .steps
        .iter()
        .find(|s| s.role == TemplateRole::Qa && s.round == round - 1)
        .map(|s| s.job_id.clone());
    let Some(last_review) = last_review else { return };
    let skipped = workflow
        .steps
        .iter_mut()
        .find(|s| s.role == TemplateRole::Qa && s.round == round && s.status == StepStatus::Waiting);
    let Some(qa) = skipped else { return };
    qa.status = StepStatus::Skipped;
    qa.reason = Some("The revision changed nothing, so there is nothing new to review.".to_owned());
    qa.completed_at = Some(now);
    let skipped_job = qa.job_id.clone();
    effects.tell_step(RunEventKind::StepSkipped, &id, qa, "The revision changed nothing.", now);
    workflow.review = Some(ReviewOutcome::NoProgress);
    for step in workflow.steps.iter_mut().filter(|s| s.status == StepStatus::Waiting) {
        for needed in step.depends_on.iter_mut().filter(|n| **n == skipped_job) {
            needed.clone_from(&last_review);
        }
    }
}
