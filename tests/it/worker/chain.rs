//! The review chain, end to end.

use std::{sync::Arc, time::Duration};

use productforge::{
    llm::{ModelErrorKind, simulated::SimulatedProvider},
    model::{ReviewOutcome, StepStatus, TemplateRole, VerdictKind, WorkflowStatus},
    service::workflows::NewWorkflow,
};

use crate::support::{
    scripted::{Line, Scripted, chain},
    world::{ended, idle, reviewed, world},
};

#[tokio::test]
async fn a_brief_becomes_a_reviewed_result_with_the_simulated_model() {
    let app = world(&[], Arc::new(SimulatedProvider::new(Duration::ZERO)));
    let worker = app.start_worker();
    let workflow = app.services.workflows.start(reviewed("Fix the login bug")).await.unwrap();
    let workflow = ended(&app, &workflow.workflow_id).await;
    assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:#?}");
    assert_eq!(workflow.review, Some(ReviewOutcome::Approved));
    assert!(workflow.simulated);
    // The four steps, and specialist and QA once more.
    assert_eq!(workflow.steps.len(), 6);
    let results = app.services.results.by_workflow(&workflow.workflow_id, 100, None).await.unwrap().items;
    assert_eq!(results.len(), 6);
    assert!(results.iter().all(|r| r.simulated));
    let report = app.services.results.get(workflow.report_job_id.as_ref().unwrap()).await.unwrap();
    assert!(report.output.contains("imulated"), "the report is labelled: {}", report.output);
    idle(&app).await;
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn every_step_sees_the_outputs_it_depends_on() {
    let provider = chain(|round| if round == 1 { "revise" } else { "approve" });
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let brief = NewWorkflow {
        specialists: Some(vec!["analyzer_bot".into(), "debugger_bot".into()]),
        ..reviewed("The brief")
    };
    let id = app.services.workflows.start(brief).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert_eq!(workflow.status, WorkflowStatus::Completed);
    let detail = app.services.workflows.detail(&id).await.unwrap();
    let answer = |job: &str| detail.calls.iter().find(|c| c.job_id == job).unwrap().answer.clone();
    for step in &workflow.steps {
        let call = detail.calls.iter().find(|c| c.job_id == step.job_id).unwrap();
        let prompt = format!("{}\n{}", call.messages[0].content, call.messages[1].content);
        assert!(prompt.contains("The brief"));
        assert!(prompt.contains(&step.agent), "the persona is in the prompt");
        for needed in &step.depends_on {
            let needed = workflow.step(needed).unwrap();
            let text = if needed.role == TemplateRole::Qa {
                format!("finding of round {}", needed.round)
            } else {
                answer(&needed.job_id)
            };
            assert!(prompt.contains(&text), "{} does not see {}", step.step, needed.step);
        }
        assert_eq!((call.model.as_str(), call.usage.total_tokens, call.attempt), ("scripted-1", 15, 1));
    }
    assert_eq!(provider.calls(), workflow.steps.len(), "one model call per step attempt");
    assert_eq!(workflow.usage.total_tokens, 15 * workflow.steps.len() as u64);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn the_score_of_the_review_stands_on_the_reviewed_result() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("x y z")).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    let result = |role| {
        let job = workflow.steps.iter().find(|s| s.role == role).unwrap().job_id.clone();
        let results = app.services.results.clone();
        async move { results.get(&job).await.unwrap() }
    };
    let work = result(TemplateRole::Specialist).await;
    assert_eq!((work.confidence_score, work.reviewed_by.as_deref()), (Some(0.5), Some("qa_bot")));
    let qa = result(TemplateRole::Qa).await;
    assert_eq!(qa.verdict.unwrap().verdict, VerdictKind::Approve);
    assert_eq!(result(TemplateRole::Admin).await.confidence_score, None);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn qa_without_a_verdict_claims_no_approval() {
    let provider = Scripted::new(|_, _| Line::Say("The same text from everybody.".into()));
    let app = world(&[], provider);
    let worker = app.start_worker();
    let id = app.services.workflows.start(reviewed("x")).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert_eq!(
        (workflow.status, workflow.review),
        (WorkflowStatus::Completed, Some(ReviewOutcome::Unstructured))
    );
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_failed_step_fails_the_workflow_and_nothing_stays_in_flight() {
    let provider = Scripted::new(|request, _| match request.scene.role {
        Some(TemplateRole::Specialist) => Line::Fail(ModelErrorKind::Auth),
        _ => Line::Say("ok".into()),
    });
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let brief = NewWorkflow {
        specialists: Some(vec!["analyzer_bot".into(), "debugger_bot".into(), "qa_bot".into()]),
        ..reviewed("x")
    };
    let id = app.services.workflows.start(brief).await.unwrap().workflow_id;
    let workflow = ended(&app, &id).await;
    assert_eq!(workflow.status, WorkflowStatus::Failed);
    assert_eq!(workflow.error.as_deref(), Some("specialist_execution failed: scripted auth"));
    idle(&app).await;
    let workflow = app.services.workflows.get(&id).await.unwrap();
    assert!(workflow.steps.iter().all(|s| s.status.is_terminal()), "{workflow:#?}");
    assert!(workflow.steps.iter().any(|s| s.status == StepStatus::Skipped));
    for step in &workflow.steps {
        let has_result = app.services.results.find(&step.job_id).await.unwrap().is_some();
        let was_queued = step.queued_at.is_some();
        assert_eq!(has_result, was_queued, "one result for every job that was queued: {}", step.step);
    }
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
