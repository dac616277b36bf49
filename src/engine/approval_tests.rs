//! Workflows at a gate, paused ones, and ones that somebody cancels as a whole.
#![allow(clippy::unwrap_used)]

use super::{
    Effects,
    advance::{self, StepOutput},
    approval::{self, Refused},
    intervene,
    plan::{self, Plan},
    prompt, templates,
};
use crate::model::{
    Agent, DecisionOutcome, PauseReason, Priority, ReviewOutcome, RunEventKind, Spending, StepStatus,
    TemplateRole, Timestamp, Verdict, VerdictKind, Workflow, WorkflowStatus,
};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn gated(with_qa: bool, approval: bool, specialists: &[&str]) -> Workflow {
    let plan = Plan {
        workflow_id: "w".into(),
        template: templates::find(templates::REVIEW_CHAIN).unwrap(),
        brief: "Fix the login bug".into(),
        specialists: specialists.iter().map(|s| s.to_string()).collect(),
        with_qa,
        max_revisions: 2,
        priority: Priority::Normal,
        metadata: None,
        run_at: None,
        step_timeout_seconds: None,
        budget: None,
        approval,
        api_key: None,
        upload_id: None,
    };
    plan::create(plan, NOW).0
}

pub(super) fn output(text: &str, verdict: Option<VerdictKind>) -> StepOutput {
    StepOutput {
        text: text.into(),
        digest: text.into(),
        verdict: verdict.map(|verdict| Verdict { verdict, score: None, findings: vec![], must_fix: vec![] }),
        model: "m".into(),
        truncated: false,
        spending: Spending::default(),
        simulated: false,
        execution_time: 0.1,
        attempts: 1,
    }
}

/// Does all that is queued; QA says what `verdict` says of its round. Every output differs.
pub(super) fn work_off(w: &mut Workflow, verdict: impl Fn(u32) -> VerdictKind) {
    for _ in 0..200 {
        let Some(step) = w.steps.iter().find(|s| s.status == StepStatus::Queued).cloned() else { return };
        let _ = advance::started(w, &step.job_id, 1, NOW);
        let verdict = (step.role == TemplateRole::Qa).then(|| verdict(step.round));
        let text = format!("{} {}", step.job_id, step.round);
        let _ = advance::completed(w, &step.job_id, output(&text, verdict), NOW);
    }
    panic!("it goes on for ever");
}

fn agent(name: &str) -> Agent {
    let new = serde_json::from_value(serde_json::json!({"name": name, "role": "helper"})).unwrap();
    Agent::register(new, NOW)
}

fn decide(w: &mut Workflow, outcome: DecisionOutcome, comment: Option<&str>) -> Effects {
    approval::decided(w, outcome, comment, NOW).unwrap()
}

fn names(w: &Workflow) -> Vec<(String, u32, &'static str)> {
    w.steps.iter().map(|s| (s.step.clone(), s.round, s.status.as_str())).collect()
}

fn waits_for_a_person(w: &Workflow) -> bool {
    w.status == WorkflowStatus::Paused && w.waits_for(PauseReason::Approval)
}

#[test]
fn the_report_waits_for_the_person_and_says_what_they_said() {
    let mut w = gated(true, true, &["a"]);
    assert!(!waits_for_a_person(&w), "there is nothing to look at yet");
    work_off(&mut w, |_| VerdictKind::Approve);
    assert!(waits_for_a_person(&w));
    assert_eq!(w.review, Some(ReviewOutcome::Approved));
    let told = decide(&mut w, DecisionOutcome::Approved, Some("Ship it"));
    assert_eq!(told.events[0].kind, RunEventKind::WorkApproved);
    assert_eq!(told.events[0].message, "A person approved the work: Ship it");
    let report = w.steps.iter().find(|s| s.role == TemplateRole::Feedback).unwrap();
    assert_eq!(told.enqueue, std::slice::from_ref(&report.job_id));
    let inputs: Vec<_> = prompt::inputs(&w, report).into_iter().map(|i| (i, "text".to_owned())).collect();
    let agent = agent("x");
    let messages = prompt::step(&w, report, &agent, "Report.", &inputs).messages(None);
    assert!(messages[1].content.contains("They approve the work.\n\nShip it"), "{}", messages[1].content);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert_eq!(w.status, WorkflowStatus::Completed);
    let report = w.step(w.report_job_id.as_ref().unwrap()).unwrap();
    assert_eq!(report.role, TemplateRole::Feedback);
    assert_eq!(approval::decided(&mut w, DecisionOutcome::Approved, None, NOW), Err(Refused::NothingWaits));
}

#[test]
fn without_qa_the_gate_is_at_the_end() {
    let mut w = gated(false, true, &["a", "b"]);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert!(waits_for_a_person(&w));
    let gate = w.steps.last().unwrap();
    assert_eq!((gate.role, gate.depends_on.len()), (TemplateRole::Approval, 2));
    assert_eq!(gate.reason.as_deref(), Some(approval::WAITS));
    let _ = decide(&mut w, DecisionOutcome::Approved, None);
    assert_eq!(w.status, WorkflowStatus::Completed);
    let report = w.step(w.report_job_id.as_ref().unwrap()).unwrap();
    assert_eq!(report.role, TemplateRole::Specialist, "the work is the report, not the person's word");
}

#[test]
fn work_that_is_sent_back_goes_through_qa_and_the_gate_again() {
    let mut w = gated(true, true, &["a", "b"]);
    // QA wants one revision, so the person sees round 2.
    work_off(&mut w, |round| if round == 1 { VerdictKind::Revise } else { VerdictKind::Approve });
    let _ = decide(&mut w, DecisionOutcome::SentBack, Some("Shorter"));
    assert_eq!(w.status, WorkflowStatus::Running);
    assert_eq!(w.review, None, "the new work was not reviewed");
    let again = w.steps.iter().find(|s| s.round == 3 && s.role == TemplateRole::Specialist).unwrap();
    let titles: Vec<_> = prompt::inputs(&w, again).into_iter().map(|i| i.title).collect();
    assert!(titles.contains(&"Your earlier draft (round 2)".to_owned()), "{titles:?}");
    let agent = agent("a");
    let messages = prompt::step(&w, again, &agent, "Work.", &[]).messages(None);
    assert!(messages[1].content.contains("done once more, better.\n\nShorter"), "{}", messages[1].content);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert!(waits_for_a_person(&w));
    assert_eq!(w.review, Some(ReviewOutcome::Approved));
    let _ = decide(&mut w, DecisionOutcome::Approved, None);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert_eq!(w.status, WorkflowStatus::Completed, "{:?}", names(&w));
    let rounds: Vec<u32> =
        w.steps.iter().filter(|s| s.role == TemplateRole::Approval).map(|s| s.round).collect();
    assert_eq!(rounds, [1, 3]);
}

#[test]
fn work_without_qa_can_be_sent_back_too_but_not_for_ever() {
    let mut w = gated(false, true, &["a"]);
    work_off(&mut w, |_| VerdictKind::Approve);
    let mut rounds = 1;
    while approval::decided(&mut w, DecisionOutcome::SentBack, Some("again"), NOW).is_ok() {
        work_off(&mut w, |_| VerdictKind::Approve);
        assert!(waits_for_a_person(&w));
        rounds += 1;
    }
    assert_eq!(rounds, approval::MOST_ROUNDS);
    let refused = approval::decided(&mut w, DecisionOutcome::SentBack, Some("again"), NOW);
    assert_eq!(refused, Err(Refused::TooManyRounds));
    let _ = decide(&mut w, DecisionOutcome::Approved, None);
    assert_eq!(w.status, WorkflowStatus::Completed);
}

#[test]
fn rejected_work_ends_the_workflow_and_a_retry_asks_again() {
    let mut w = gated(true, true, &["a"]);
    work_off(&mut w, |_| VerdictKind::Approve);
    let _ = decide(&mut w, DecisionOutcome::Rejected, Some("Not what we need"));
    assert_eq!(w.status, WorkflowStatus::Failed);
    assert_eq!(w.error.as_deref(), Some("A person rejected the work: Not what we need"));
    assert_eq!(w.steps.last().unwrap().status, StepStatus::Skipped);
    let _ = intervene::reopened(&mut w, |_| false, NOW);
    assert!(waits_for_a_person(&w), "{:?}", names(&w));
    assert!(w.steps.iter().all(|s| s.decision.is_none()));
    let _ = decide(&mut w, DecisionOutcome::Approved, None);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert_eq!(w.status, WorkflowStatus::Completed);
}

#[test]
fn a_paused_workflow_begins_nothing_new_until_it_is_resumed() {
    let mut w = gated(true, false, &["a"]);
    let admin = w.steps[0].job_id.clone();
    let _ = advance::started(&mut w, &admin, 1, NOW);
    assert_eq!(intervene::held(&mut w, Some("lunch"), NOW).events.len(), 1);
    assert_eq!(intervene::held(&mut w, None, NOW), Effects::default(), "twice is as good as once");
    assert_eq!(w.pause.as_ref().unwrap().detail, "Somebody paused it: lunch");
    let followed = advance::completed(&mut w, &admin, output("plan", None), NOW);
    assert!(followed.enqueue.is_empty());
    assert_eq!(w.steps[1].reason.as_deref(), Some(intervene::HELD));
    let resumed = intervene::resumed(&mut w, "on", NOW);
    assert_eq!(resumed.enqueue, [w.steps[1].job_id.clone()]);
    work_off(&mut w, |_| VerdictKind::Approve);
    assert_eq!(w.status, WorkflowStatus::Completed);
    assert_eq!(intervene::resumed(&mut w, "on", NOW), Effects::default());
}

#[test]
fn a_gate_that_is_reached_while_paused_asks_when_resumed() {
    let mut w = gated(false, true, &["a"]);
    let admin = w.steps[0].job_id.clone();
    let _ = advance::completed(&mut w, &admin, output("plan", None), NOW);
    let work = w.steps[1].job_id.clone();
    let _ = advance::started(&mut w, &work, 1, NOW);
    let _ = intervene::held(&mut w, None, NOW);
    let _ = advance::completed(&mut w, &work, output("work", None), NOW);
    assert!(intervene::is_held(&w));
    let _ = intervene::resumed(&mut w, "on", NOW);
    assert!(waits_for_a_person(&w));
}

#[test]
fn a_cancelled_workflow_cancels_what_runs_and_skips_the_rest() {
    let mut w = gated(true, true, &["a"]);
    let admin = w.steps[0].job_id.clone();
    let _ = advance::started(&mut w, &admin, 1, NOW);
    let _ = intervene::cancelled_whole(&mut w, "wrong brief", NOW);
    let statuses: Vec<_> = w.steps.iter().map(|s| s.status.as_str()).collect();
    assert_eq!(statuses, ["cancelled", "skipped", "skipped", "skipped", "skipped"]);
    assert_eq!(w.error.as_deref(), Some("The workflow was cancelled: wrong brief"));
    assert_eq!(intervene::cancelled_whole(&mut w, "again", NOW), Effects::default());
}
