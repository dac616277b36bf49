//! Workflows that somebody cancels or retries.
#![allow(clippy::unwrap_used)]

use super::{
    Effects,
    advance::{self, StepOutput},
    intervene,
    plan::{self, Plan},
    templates,
};
use crate::model::{
    Priority, ReviewOutcome, RunEventKind, Spending, StepStatus, Timestamp, Verdict, VerdictKind, Workflow,
    WorkflowStatus,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn chain(specialists: &[&str]) -> Workflow {
    let plan = Plan {
        workflow_id: "w".into(),
        template: templates::find(templates::REVIEW_CHAIN).unwrap(),
        brief: "Fix the login bug".into(),
        specialists: specialists.iter().map(|s| s.to_string()).collect(),
        with_qa: true,
        max_revisions: 2,
        priority: Priority::Normal,
        metadata: None,
        run_at: None,
        step_timeout_seconds: None,
        budget: None,
        approval: false,
        api_key: None,
        upload_id: None,
    };
    plan::create(plan, NOW).0
}

fn job(w: &Workflow, name: &str, place: usize) -> String {
    w.steps.iter().filter(|s| s.step == name).nth(place).unwrap().job_id.clone()
}

fn finish(w: &mut Workflow, job: &str, text: &str, verdict: Option<VerdictKind>) -> Effects {
    let output = StepOutput {
        text: text.into(),
        digest: text.into(),
        verdict: verdict.map(|verdict| Verdict { verdict, score: None, findings: vec![], must_fix: vec![] }),
        model: "m".into(),
        truncated: false,
        spending: Spending::default(),
        simulated: false,
        execution_time: 0.1,
        attempts: 1,
    };
    let _ = advance::started(w, job, 1, NOW);
    advance::completed(w, job, output, NOW)
}

fn statuses(w: &Workflow) -> Vec<&str> {
    w.steps.iter().map(|s| s.status.as_str()).collect()
}

#[test]
fn to_cancel_a_step_ends_its_workflow() {
    let mut w = chain(&["a", "b"]);
    let admin = job(&w, "admin_analysis", 0);
    finish(&mut w, &admin, "plan", None);
    let (first, second) = (job(&w, "specialist_execution", 0), job(&w, "specialist_execution", 1));
    let _ = advance::started(&mut w, &second, 1, NOW);
    let effects = intervene::cancelled(&mut w, &first, "not wanted any more", NOW);
    assert_eq!(w.status, WorkflowStatus::Cancelled);
    assert_eq!(w.error.as_deref(), Some("specialist_execution was cancelled: not wanted any more"));
    assert_eq!(statuses(&w), ["completed", "cancelled", "cancelled", "skipped", "skipped"]);
    assert!(w.steps.iter().all(|s| s.status == StepStatus::Completed || s.reason.is_some()));
    assert_eq!(effects.events.last().unwrap().kind, RunEventKind::WorkflowCancelled);
    assert!(effects.enqueue.is_empty());
    assert_eq!(intervene::cancelled(&mut w, &first, "again", NOW), Effects::default());
    // What comes late moves nothing.
    let before = w.clone();
    assert_eq!(finish(&mut w, &second, "late", None), Effects::default());
    assert_eq!(w, before);
}

#[test]
fn a_retried_step_lets_its_workflow_go_on_to_its_end() {
    let mut w = chain(&["a"]);
    let admin = job(&w, "admin_analysis", 0);
    let _ = advance::failed(&mut w, &admin, "no money", 1, Spending::default(), NOW);
    assert_eq!(statuses(&w), ["failed", "skipped", "skipped", "skipped"]);
    let effects = intervene::reopened(&mut w, |_| false, NOW);
    assert_eq!(effects.enqueue, [admin.as_str()]);
    assert_eq!(statuses(&w), ["queued", "waiting", "waiting", "waiting"]);
    assert_eq!((w.status, w.error.as_deref(), w.completed_at), (WorkflowStatus::Running, None, None));
    assert_eq!(intervene::reopened(&mut w, |_| false, NOW), Effects::default(), "once");
    for (name, verdict) in [
        ("admin_analysis", None),
        ("specialist_execution", None),
        ("qa_validation", Some(VerdictKind::Approve)),
        ("admin_feedback", None),
    ] {
        let job = job(&w, name, 0);
        finish(&mut w, &job, name, verdict);
    }
    assert_eq!(w.status, WorkflowStatus::Completed);
}

#[test]
fn all_that_failed_is_retried_and_what_is_queued_still_is_not_queued_twice() {
    let mut w = chain(&["a", "b", "c"]);
    let admin = job(&w, "admin_analysis", 0);
    finish(&mut w, &admin, "plan", None);
    let jobs: Vec<_> = (0..3).map(|place| job(&w, "specialist_execution", place)).collect();
    let _ = advance::started(&mut w, &jobs[0], 1, NOW);
    let _ = advance::started(&mut w, &jobs[1], 1, NOW);
    let _ = advance::failed(&mut w, &jobs[0], "x", 4, Spending::default(), NOW);
    let _ = advance::failed(&mut w, &jobs[1], "y", 4, Spending::default(), NOW);
    assert_eq!(statuses(&w)[1..4], ["failed", "failed", "skipped"]);
    let queued = jobs[2].clone();
    let effects = intervene::reopened(&mut w.clone(), |job| job == queued, NOW);
    assert_eq!(effects.enqueue, jobs[..2]);
    // Where the third one's job is gone from its queue, it is queued again.
    let effects = intervene::reopened(&mut w, |_| false, NOW);
    assert_eq!(effects.enqueue, jobs);
    assert_eq!(statuses(&w)[1..4], ["queued", "queued", "queued"]);
}

#[test]
fn a_review_that_was_not_needed_stays_skipped() {
    let mut w = chain(&["a"]);
    for (name, verdict) in [
        ("admin_analysis", None),
        ("specialist_execution", None),
        ("qa_validation", Some(VerdictKind::Revise)),
    ] {
        let job = job(&w, name, 0);
        finish(&mut w, &job, "the same", verdict);
    }
    let second = job(&w, "specialist_execution", 1);
    finish(&mut w, &second, "the same", None);
    assert_eq!(w.review, Some(ReviewOutcome::NoProgress));
    let feedback = job(&w, "admin_feedback", 0);
    let _ = advance::failed(&mut w, &feedback, "x", 1, Spending::default(), NOW);
    let effects = intervene::reopened(&mut w, |_| false, NOW);
    assert_eq!(effects.enqueue, [feedback.as_str()]);
    assert_eq!(
        w.steps.iter().find(|s| s.round == 2 && s.step == "qa_validation").unwrap().status,
        StepStatus::Skipped
    );
    finish(&mut w, &feedback, "report", None);
    assert_eq!(w.status, WorkflowStatus::Completed);
}
