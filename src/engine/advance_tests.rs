//! The review chain's behaviour, including random histories.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{
    Effects,
    advance::{self, StepOutput},
    plan::{self, Plan},
    prompt, templates,
};
use crate::model::{
    Finding, Priority, ReviewOutcome, Spending, StepStatus, TemplateRole, Timestamp, Usage, Verdict,
    VerdictKind, Workflow, WorkflowStatus,
};

fn chain(with_qa: bool, max_revisions: u32, specialists: &[&str]) -> (Workflow, Effects) {
    plan::create(
        Plan {
            workflow_id: "w".into(),
            template: templates::find(templates::REVIEW_CHAIN).unwrap(),
            brief: "Fix the login bug".into(),
            specialists: specialists.iter().map(|s| s.to_string()).collect(),
            with_qa,
            max_revisions,
            priority: Priority::Normal,
            metadata: None,
            run_at: None,
            step_timeout_seconds: None,
            budget: None,
            approval: false,
            api_key: None,
            upload_id: None,
        },
        Timestamp::default(),
    )
}

fn output(text: &str, verdict: Option<VerdictKind>) -> StepOutput {
    StepOutput {
        text: text.into(),
        digest: text.into(),
        verdict: verdict.map(|verdict| Verdict {
            verdict,
            score: Some(0.5),
            findings: vec![Finding { severity: None, text: "too short".into() }],
            must_fix: vec![],
        }),
        model: "m".into(),
        truncated: false,
        spending: Spending::of(Usage { total_tokens: 1, ..Usage::default() }, None),
        simulated: false,
        execution_time: 0.1,
        attempts: 1,
    }
}

/// Finishes the one step that is queued under this name; returns the names of what is queued next.
fn finish(w: &mut Workflow, name: &str, text: &str, verdict: Option<VerdictKind>) -> Vec<String> {
    let step = w.steps.iter().find(|s| s.step == name && s.status == StepStatus::Queued).unwrap();
    let job = step.job_id.clone();
    let _ = advance::started(w, &job, 1, Timestamp::default());
    let effects = advance::completed(w, &job, output(text, verdict), Timestamp::default());
    names(w, &effects)
}

fn names(w: &Workflow, effects: &Effects) -> Vec<String> {
    effects.enqueue.iter().map(|job| w.step(job).unwrap().step.clone()).collect()
}

#[test]
fn steps_are_queued_one_after_the_other_and_approval_ends_in_a_report() {
    let (mut w, effects) = chain(true, 2, &["debugger_bot"]);
    assert_eq!(names(&w, &effects), ["admin_analysis"]);
    assert_eq!(
        w.steps.iter().map(|s| s.step.as_str()).collect::<Vec<_>>(),
        ["admin_analysis", "specialist_execution", "qa_validation", "admin_feedback"]
    );
    assert_eq!(finish(&mut w, "admin_analysis", "plan", None), ["specialist_execution"]);
    assert_eq!(finish(&mut w, "specialist_execution", "work", None), ["qa_validation"]);
    assert_eq!(finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Approve)), ["admin_feedback"]);
    assert_eq!(w.status, WorkflowStatus::Running);
    assert!(finish(&mut w, "admin_feedback", "report", None).is_empty());
    assert_eq!(w.status, WorkflowStatus::Completed);
    assert_eq!(w.review, Some(ReviewOutcome::Approved));
    assert_eq!(w.step(w.report_job_id.as_ref().unwrap()).unwrap().step, "admin_feedback");
    assert_eq!(w.usage.total_tokens, 4);
}

#[test]
fn without_qa_two_steps_make_the_workflow() {
    let (mut w, _) = chain(false, 2, &["qa_bot"]);
    finish(&mut w, "admin_analysis", "plan", None);
    finish(&mut w, "specialist_execution", "work", None);
    assert_eq!((w.status, w.steps.len(), w.review), (WorkflowStatus::Completed, 2, None));
}

#[test]
fn a_revision_goes_back_to_the_specialist_with_the_findings() {
    let (mut w, _) = chain(true, 2, &["a"]);
    finish(&mut w, "admin_analysis", "plan", None);
    finish(&mut w, "specialist_execution", "draft 1", None);
    assert_eq!(finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Revise)), ["specialist_execution"]);
    let step = w.steps.iter().find(|s| s.step == "specialist_execution" && s.round == 2).unwrap().clone();
    let titles: Vec<String> = prompt::inputs(&w, &step).into_iter().map(|i| i.title).collect();
    assert_eq!(
        titles,
        ["Analysis by general_assistant", "Your earlier draft (round 1)", "Review by qa_bot (round 1)"]
    );
    finish(&mut w, "specialist_execution", "draft 2", None);
    assert_eq!(finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Approve)), ["admin_feedback"]);
    let report = w.steps.iter().find(|s| s.role == TemplateRole::Feedback).unwrap().clone();
    let titles: Vec<String> = prompt::inputs(&w, &report).into_iter().map(|i| i.title).collect();
    assert_eq!(
        titles,
        ["Analysis by general_assistant", "Work of a (round 2)", "Review by qa_bot (round 2)"]
    );
    finish(&mut w, "admin_feedback", "report", None);
    assert_eq!(w.steps.len(), 6);
    assert_eq!(w.status, WorkflowStatus::Completed);
}

#[test]
fn revisions_are_bounded_and_the_report_still_comes() {
    let (mut w, _) = chain(true, 2, &["a"]);
    finish(&mut w, "admin_analysis", "plan", None);
    for round in 1..=3 {
        finish(&mut w, "specialist_execution", &format!("draft {round}"), None);
        finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Revise));
    }
    assert_eq!(w.review, Some(ReviewOutcome::RoundsUsedUp));
    finish(&mut w, "admin_feedback", "report", None);
    assert_eq!((w.status, w.steps.len()), (WorkflowStatus::Completed, 8));
}

#[test]
fn a_revision_that_changes_nothing_is_not_reviewed_again() {
    let (mut w, _) = chain(true, 5, &["a"]);
    finish(&mut w, "admin_analysis", "plan", None);
    finish(&mut w, "specialist_execution", "same", None);
    finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Revise));
    assert_eq!(finish(&mut w, "specialist_execution", "same", None), ["admin_feedback"]);
    assert_eq!(w.review, Some(ReviewOutcome::NoProgress));
    finish(&mut w, "admin_feedback", "report", None);
    assert_eq!(w.status, WorkflowStatus::Completed);
    let skipped: Vec<_> = w.steps.iter().filter(|s| s.status == StepStatus::Skipped).collect();
    assert_eq!((skipped.len(), skipped[0].round), (1, 2));
}

#[test]
fn specialists_work_side_by_side_and_qa_waits_for_all() {
    let (mut w, _) = chain(true, 1, &["a", "b"]);
    assert_eq!(finish(&mut w, "admin_analysis", "plan", None).len(), 2);
    assert!(finish(&mut w, "specialist_execution", "work a", None).is_empty());
    assert_eq!(finish(&mut w, "specialist_execution", "work b", None), ["qa_validation"]);
    assert_eq!(finish(&mut w, "qa_validation", "{}", Some(VerdictKind::Revise)).len(), 2);
}

#[test]
fn a_failed_step_fails_the_workflow_with_its_reason() {
    let (mut w, effects) = chain(true, 2, &["a"]);
    let job = effects.enqueue[0].clone();
    advance::failed(&mut w, &job, "the key is wrong", 1, Spending::default(), Timestamp::default());
    assert_eq!(w.status, WorkflowStatus::Failed);
    assert_eq!(w.error.as_deref(), Some("admin_analysis failed: the key is wrong"));
    assert!(w.steps[1..].iter().all(|s| s.status == StepStatus::Skipped && s.reason.is_some()));
    let twice = advance::failed(&mut w, &job, "again", 1, Spending::default(), Timestamp::default());
    assert_eq!(twice, Effects::default());
}

proptest! {
    /// Whatever happens in whatever order: the workflow ends, within its bounds, no job is queued
    /// twice, and a step is queued only when all its inputs are done.
    #[test]
    fn every_history_ends(choices in proptest::collection::vec(0u8..12, 0..200), max in 0u32..4, n in 1usize..4) {
        let agents = ["a", "b", "c"];
        let (mut w, effects) = chain(true, max, &agents[..n]);
        let mut open = effects.enqueue;
        let mut seen = open.clone();
        let mut choices = choices.into_iter().chain(std::iter::repeat(11));
        for turn in 0.. {
            if open.is_empty() { break }
            prop_assert!(turn < 200, "does not end");
            let choice = choices.next().unwrap();
            let job = open.remove(choice as usize % open.len());
            let now = Timestamp::default();
            if choice == 3 {
                advance::back_to_queue(&mut w, &job, "later", now);
                open.push(job);
                continue;
            }
            advance::started(&mut w, &job, 1, now);
            let role = w.step(&job).unwrap().role;
            let effects = if choice == 0 {
                advance::failed(&mut w, &job, "x", 1, Spending::default(), now)
            } else {
                let verdict = (role == TemplateRole::Qa).then_some(match choice {
                    1 => VerdictKind::Approve,
                    2 => VerdictKind::Unstructured,
                    4 => VerdictKind::Reject,
                    _ => VerdictKind::Revise,
                });
                advance::completed(&mut w, &job, output(&format!("text {}", choice / 3), verdict), now)
            };
            for new in effects.enqueue {
                prop_assert!(!seen.contains(&new), "queued twice");
                let step = w.step(&new).unwrap();
                for needed in &step.depends_on {
                    prop_assert_eq!(w.step(needed).unwrap().status, StepStatus::Completed);
                }
                seen.push(new.clone());
                open.push(new);
            }
            if w.is_over() {
                // Jobs of skipped steps are cancelled by the worker without a word here.
                open.retain(|job| !w.step(job).unwrap().status.is_terminal());
            }
        }
        prop_assert!(w.is_over());
        prop_assert!(w.steps.iter().all(|s| s.status.is_terminal()));
        prop_assert!(w.steps.len() <= 2 + (max as usize + 1) * (n + 1));
        prop_assert!(w.completed_at.is_some());
    }
}
