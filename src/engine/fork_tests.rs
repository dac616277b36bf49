//! Workflows that go on from a step of another one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    approval,
    approval_tests::{gated, output, work_off},
    fork, prompt,
};
use crate::model::{
    DecisionOutcome, ReviewOutcome, Step, StepStatus, TemplateRole, Timestamp, VerdictKind, Workflow,
    WorkflowStatus,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn revised_once(round: u32) -> VerdictKind {
    if round == 1 { VerdictKind::Revise } else { VerdictKind::Approve }
}

fn done() -> Workflow {
    let mut w = gated(true, false, &["a"]);
    work_off(&mut w, revised_once);
    assert_eq!(w.status, WorkflowStatus::Completed);
    w
}

fn rows(w: &Workflow) -> Vec<String> {
    let row = |s: &Step| {
        let taken = if s.from_workflow.is_some() { "=" } else { "" };
        format!("{}{} {} {}", taken, s.step, s.round, s.status.as_str())
    };
    w.steps.iter().map(row).collect()
}

fn step<'a>(w: &'a Workflow, text: &str) -> &'a Step {
    fork::find(w, text).unwrap()
}

#[test]
fn steps_are_found_by_job_by_name_and_by_round() {
    let w = done();
    assert_eq!(step(&w, "qa_validation").round, 2, "the last one");
    assert_eq!(step(&w, "qa_validation:1").round, 1);
    let id = w.steps[1].job_id.clone();
    assert_eq!(step(&w, &id).job_id, id);
    for unknown in ["nothing", "qa_validation:9", "qa_validation:x", ""] {
        assert!(fork::find(&w, unknown).is_none(), "{unknown}");
    }
}

#[test]
fn a_step_that_runs_again_takes_what_depends_on_it_along() {
    let w = done();
    let (forked, effects) = fork::create(&w, step(&w, "specialist_execution:1"), None, "f", NOW);
    assert_eq!(
        rows(&forked),
        [
            "=admin_analysis 1 completed",
            "specialist_execution 1 queued",
            "qa_validation 1 waiting",
            "admin_feedback 1 waiting"
        ],
        "the second round followed from a verdict that is void"
    );
    assert_eq!(effects.enqueue, [forked.steps[1].job_id.clone()]);
    assert_eq!(forked.review, None);
    assert_eq!((forked.usage.total_tokens, forked.report_job_id.as_ref()), (0, None));
    assert_eq!(forked.steps[0].job_id, w.steps[0].job_id, "found where it is");
    assert_ne!(forked.steps[1].job_id, w.steps[1].job_id);
    let mut forked = forked;
    work_off(&mut forked, revised_once);
    assert_eq!(forked.status, WorkflowStatus::Completed);
    assert_eq!(forked.steps.len(), w.steps.len());
}

#[test]
fn an_edited_draft_goes_to_qa_as_it_is() {
    let w = done();
    let edited = Some(output("my own words", None));
    let (forked, effects) = fork::create(&w, step(&w, "specialist_execution:2"), edited, "f", NOW);
    assert_eq!(
        rows(&forked),
        [
            "=admin_analysis 1 completed",
            "=specialist_execution 1 completed",
            "=qa_validation 1 completed",
            "specialist_execution 2 completed",
            "qa_validation 2 queued",
            "admin_feedback 1 waiting"
        ]
    );
    assert_eq!(effects.enqueue, [forked.steps[4].job_id.clone()]);
    assert!(forked.steps[3].edited && forked.steps[3].output.as_deref() == Some("my own words"));
    let inputs = prompt::inputs(&forked, &forked.steps[4]);
    assert!(inputs.iter().any(|i| i.job_id == forked.steps[3].job_id), "QA sees the edited draft");
    assert_eq!(forked.steps[5].depends_on, [forked.steps[4].job_id.clone()]);
}

#[test]
fn an_edited_verdict_decides_anew() {
    let w = done();
    let approve = Some(output("{}", Some(VerdictKind::Approve)));
    let (mut forked, _) = fork::create(&w, step(&w, "qa_validation:1"), approve, "f", NOW);
    assert_eq!(forked.review, Some(ReviewOutcome::Approved));
    assert_eq!(forked.steps.len(), 4, "no second round: {:?}", rows(&forked));
    work_off(&mut forked, revised_once);
    assert_eq!(forked.status, WorkflowStatus::Completed);
    let revise = Some(output("{}", Some(VerdictKind::Revise)));
    let (forked, _) = fork::create(&w, step(&w, "qa_validation:2"), revise, "f", NOW);
    assert!(rows(&forked).contains(&"specialist_execution 3 queued".to_owned()), "{:?}", rows(&forked));
}

#[test]
fn an_edited_report_ends_it_at_once() {
    let w = done();
    let (forked, effects) =
        fork::create(&w, step(&w, "admin_feedback"), Some(output("the report", None)), "f", NOW);
    assert_eq!(forked.status, WorkflowStatus::Completed);
    assert_eq!(forked.review, Some(ReviewOutcome::Approved), "the review stands");
    assert!(effects.enqueue.is_empty());
    assert_eq!(forked.report_job_id.as_ref(), Some(&forked.steps.last().unwrap().job_id));
}

#[test]
fn what_runs_beside_the_step_in_the_original_is_begun_anew() {
    let mut w = gated(true, false, &["a", "b"]);
    let admin = w.steps[0].job_id.clone();
    let _ = super::advance::completed(&mut w, &admin, output("plan", None), NOW);
    let (a, b) = (w.steps[1].job_id.clone(), w.steps[2].job_id.clone());
    let _ = super::advance::completed(&mut w, &a, output("a's work", None), NOW);
    let _ = super::advance::started(&mut w, &b, 1, NOW);
    let (forked, effects) = fork::create(&w, step(&w, &a), Some(output("better", None)), "f", NOW);
    assert_eq!(forked.steps[2].status, StepStatus::Queued);
    assert_ne!(forked.steps[2].job_id, b);
    assert_eq!(effects.enqueue, [forked.steps[2].job_id.clone()]);
}

#[test]
fn a_persons_word_stands_for_the_work_it_was_given_for() {
    let mut w = gated(true, true, &["a"]);
    work_off(&mut w, |_| VerdictKind::Approve);
    let _ = approval::decided(&mut w, DecisionOutcome::Approved, Some("fine"), NOW).unwrap();
    work_off(&mut w, |_| VerdictKind::Approve);
    let (forked, _) = fork::create(&w, step(&w, "admin_feedback"), None, "f", NOW);
    assert!(rows(&forked).contains(&"=approval 1 completed".to_owned()), "{:?}", rows(&forked));
    let (forked, _) = fork::create(&w, step(&w, "specialist_execution"), None, "f", NOW);
    assert!(rows(&forked).contains(&"approval 1 waiting".to_owned()), "{:?}", rows(&forked));
}

#[test]
fn a_fork_of_a_fork_names_where_each_step_is_from() {
    let w = done();
    let (mut first, _) = fork::create(&w, step(&w, "qa_validation:2"), None, "f", NOW);
    work_off(&mut first, revised_once);
    let (second, _) = fork::create(&first, step(&first, "admin_feedback"), None, "g", NOW);
    let sources: Vec<_> = second.steps.iter().map(|s| s.from_workflow.as_deref()).collect();
    assert_eq!(sources, [Some("w"), Some("w"), Some("w"), Some("w"), Some("f"), None]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever a workflow has been through, whichever step somebody goes on from: the fork comes to an end, all
    /// it depends on is there, nothing of the original is changed, and no job is shared but those taken over.
    #[test]
    fn every_fork_comes_to_an_end(
        (qa, gate) in any::<(bool, bool)>(),
        many in any::<bool>(),
        verdicts in proptest::collection::vec(0..4_u8, 12),
        decisions in proptest::collection::vec(0..3_u8, 3),
        place in 0..40_usize,
        edit in any::<bool>(),
        again in proptest::collection::vec(0..4_u8, 12),
    ) {
        let kind = |n: u8| [VerdictKind::Approve, VerdictKind::Revise, VerdictKind::Reject, VerdictKind::Unstructured]
            [usize::from(n)];
        let mut w = gated(qa, gate, if many { &["a", "b", "c"] } else { &["a"] });
        run(&mut w, |round| kind(verdicts[round as usize % 12]), &decisions);
        let ran: Vec<Step> = w.steps.iter()
            .filter(|s| !matches!(s.status, StepStatus::Waiting | StepStatus::Skipped)).cloned().collect();
        let from = &ran[place % ran.len()];
        let edited = (edit && from.role != TemplateRole::Approval)
            .then(|| output("edited", (from.role == TemplateRole::Qa).then(|| kind(again[11]))));
        let (mut f, effects) = fork::create(&w, from, edited, "f", NOW);
        let ids: BTreeSet<&str> = f.steps.iter().map(|s| s.job_id.as_str()).collect();
        prop_assert_eq!(ids.len(), f.steps.len(), "every step has a job of its own");
        for s in &f.steps {
            for needed in &s.depends_on {
                prop_assert!(ids.contains(needed.as_str()), "{} needs {needed}, which is not there: {:?}", s.step, rows(&f));
            }
            let is_of_original = w.step(&s.job_id).is_some();
            prop_assert_eq!(is_of_original, s.from_workflow.is_some());
            prop_assert!(!is_of_original || s.status.is_terminal());
        }
        prop_assert!(effects.enqueue.iter().all(|job| f.step(job).unwrap().from_workflow.is_none()));
        run(&mut f, |round| kind(again[round as usize % 12]), &[]);
        prop_assert!(f.is_over(), "{:?} {:?}", f.pause, rows(&f));
        if f.status == WorkflowStatus::Completed && qa {
            prop_assert!(f.review.is_some(), "{:?}", rows(&f));
            let report = f.steps.iter().find(|s| s.role == TemplateRole::Feedback).unwrap();
            let last = f.steps.iter().filter(|s| s.role == TemplateRole::Qa && s.status == StepStatus::Completed)
                .map(|s| s.round).max();
            prop_assert!(report.depends_on.iter().any(|id| f.step(id).is_some_and(|s| {
                s.role == TemplateRole::Qa && Some(s.round) == last
            })), "the report looks at the last review: {:?}", rows(&f));
        }
    }
}

/// Works it off; a person says at each gate what comes next in the list, and then approves.
fn run(w: &mut Workflow, verdict: impl Fn(u32) -> VerdictKind, decisions: &[u8]) {
    let mut decisions = decisions.iter();
    loop {
        work_off(w, &verdict);
        let outcome = match decisions.next() {
            Some(1) => DecisionOutcome::SentBack,
            Some(2) => DecisionOutcome::Rejected,
            _ => DecisionOutcome::Approved,
        };
        if approval::decided(w, outcome, Some("so"), NOW).is_err() {
            return;
        }
    }
}
