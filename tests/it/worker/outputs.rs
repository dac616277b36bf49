//! What steps said: kept as long as their workflow, and missed aloud where it is gone.

use std::{sync::Arc, time::Duration};

use productforge::{
    app::App,
    clock::ManualClock,
    model::{DecisionOutcome, StepStatus, TemplateRole, Workflow, WorkflowStatus},
    service::{records, workflows::NewWorkflow},
    store::Change,
};

use crate::support::{
    app::memory_at,
    blobs::TempBlobs,
    scripted::chain,
    wait::until,
    world::{config, ended, reviewed},
};

const START_MS: i64 = 1_763_800_000_000;
const DAY_MS: i64 = 24 * 3_600_000;

fn world() -> (App, Arc<ManualClock>) {
    let (store, clock) = memory_at(START_MS);
    (App::assemble(config(&[]), store, TempBlobs::new(), chain(|_| "approve"), clock.clone()), clock)
}

/// A workflow that waits for a person's word before its closing report.
async fn waiting(app: &App) -> Workflow {
    let brief = NewWorkflow { approval: Some(true), ..reviewed("Write a note") };
    let id = app.services.workflows.start(brief).await.unwrap().workflow_id;
    until("it waits for a person", || async {
        let workflow = app.services.workflows.get(&id).await.unwrap();
        (workflow.status == WorkflowStatus::Paused).then_some(workflow)
    })
    .await
}

async fn approve(app: &App, id: &str) -> Workflow {
    app.services.workflows.decide(id, DecisionOutcome::Approved, None).await.unwrap();
    ended(app, id).await
}

/// What the closing report was asked.
async fn last_prompt(app: &App, workflow: &Workflow) -> String {
    let detail = app.services.workflows.detail(&workflow.workflow_id).await.unwrap();
    let last = workflow.steps.iter().find(|s| s.role == TemplateRole::Feedback).unwrap();
    let call = detail.calls.iter().find(|call| call.job_id == last.job_id).unwrap();
    call.messages.iter().map(|message| message.content.as_str()).collect()
}

#[tokio::test]
async fn a_workflow_that_waited_for_months_goes_on_with_what_its_steps_said() {
    let (app, clock) = world();
    let worker = app.start_worker();
    let before = waiting(&app).await;
    let said = app.services.workflows.detail(&before.workflow_id).await.unwrap();
    let work = before.steps.iter().find(|s| s.role == TemplateRole::Specialist).unwrap();
    let work = said.calls.iter().find(|call| call.job_id == work.job_id).unwrap().answer.clone();
    assert!(!work.is_empty());
    clock.advance(90 * DAY_MS);
    while app.store.expire(100).await.unwrap() {}
    let after = approve(&app, &before.workflow_id).await;
    assert_eq!(after.status, WorkflowStatus::Completed, "{after:#?}");
    let prompt = last_prompt(&app, &after).await;
    assert!(prompt.contains(&work), "{prompt}");
    // All of it goes with the workflow.
    app.services.workflows.delete(&after.workflow_id).await.unwrap();
    let keys: Vec<_> = after.steps.iter().map(records::output_key).collect();
    assert_eq!(app.store.get(&keys).await.unwrap(), vec![None; keys.len()]);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_step_whose_input_is_gone_fails_and_says_what_is_missing() {
    let (app, _) = world();
    let worker = app.start_worker();
    let workflow = waiting(&app).await;
    let work = workflow.steps.iter().find(|s| s.role == TemplateRole::Specialist).unwrap();
    let gone = Change::new().delete(records::output_key(work)).delete(records::result_key(&work.job_id));
    app.store.apply(gone).await.unwrap().unwrap();
    let after = approve(&app, &workflow.workflow_id).await;
    assert_eq!(after.status, WorkflowStatus::Failed, "{after:#?}");
    let report = after.steps.iter().find(|s| s.role == TemplateRole::Feedback).unwrap();
    assert_eq!((report.status, report.attempts), (StepStatus::Failed, 1), "another attempt would not help");
    let why = app.services.results.get(&report.job_id).await.unwrap().output;
    assert!(why.contains(&format!("what step {} said is not stored any more", work.step)), "{why}");
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn an_output_behind_calls_that_have_expired_is_shown_and_goes_with_its_workflow() {
    let (app, _) = world();
    let worker = app.start_worker();
    let workflow = waiting(&app).await;
    let mut workflow = approve(&app, &workflow.workflow_id).await;
    // As a step with tools has it, when the calls before its output have expired.
    let (first, _) = records::load::<productforge::model::Call>(
        app.store.as_ref(),
        records::output_key(&workflow.steps[0]),
    )
    .await
    .unwrap()
    .unwrap();
    let third = productforge::model::Call { number: 3, answer: "said at last".to_owned(), ..first };
    workflow.steps[0].calls = 3;
    let change = Change::new()
        .delete(records::call_key(&third.job_id, 1))
        .put(records::put_output(&third))
        .put(records::put_workflow(&workflow));
    app.store.apply(change).await.unwrap().unwrap();
    let detail = app.services.workflows.detail(&workflow.workflow_id).await.unwrap();
    assert!(detail.calls.iter().any(|call| call.answer == "said at last"));
    app.services.workflows.delete(&workflow.workflow_id).await.unwrap();
    assert_eq!(app.store.get(&[records::call_key(&third.job_id, 3)]).await.unwrap(), [None]);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
