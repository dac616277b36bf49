//! Deletions of workflows that break off half-way: nothing goes on from what is left, and somebody finishes them.

use productforge::{llm::ModelErrorKind, store::IndexName};
use serde_json::json;

use crate::support::{
    app::TestApp,
    engines::Engine,
    scripted::{Line, Scripted, chain},
    sleepy_store::SleepyStore,
    wait::until,
};

on_both_engines!(
    nothing_is_forked_from_a_workflow_whose_deletion_has_begun_and_the_audit_finishes_it,
    a_failed_workflow_is_not_retried_when_its_deletion_has_begun,
    results_that_are_pinned_outlive_a_deletion_that_was_to_leave_them,
);

async fn ended(app: &TestApp, status: &str) -> String {
    let started = app.post("/orchestrate", &json!({"job": "Write a note"})).await.ok();
    let id = started["workflow_id"].as_str().unwrap().to_owned();
    until("the workflow ends", || async {
        let found = app.get(&format!("/workflows/{id}")).await.ok();
        (found["workflow"]["status"] == status).then_some(())
    })
    .await;
    id
}

/// A process that dies right before the last write of the deletion of this workflow.
async fn dying(engine: &Engine, id: &str) -> TestApp {
    let store = SleepyStore::over(engine.store.clone());
    store.break_down(&format!("workflow:{id}"));
    TestApp::builder().store(store).start().await
}

async fn nothing_is_forked_from_a_workflow_whose_deletion_has_begun_and_the_audit_finishes_it(
    engine: Engine,
) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let id = ended(&app, "completed").await;
    let path = format!("/workflows/{id}");
    assert_eq!(dying(&engine, &id).await.delete(&path).await.status, 500);
    let left = app.get(&path).await.ok()["workflow"].clone();
    assert_eq!(left["steps"][0]["status"], "completed", "it is there still");
    assert_eq!(app.get(&format!("/results/workflow/{id}")).await.status, 404, "and its results are gone");
    let forked = app.post(&format!("{path}/fork"), &json!({"from": "specialist_execution"})).await;
    assert!(forked.problem(409).as_str().unwrap().contains("is being deleted"));
    assert_eq!(app.app.services.workflows.finish_deletions().await.unwrap(), 1);
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(app.app.services.workflows.finish_deletions().await.unwrap(), 0);
    let deleting = productforge::service::records::workflows_deleting();
    assert_eq!(engine.store.count(&deleting).await.unwrap(), 0);
}

async fn a_failed_workflow_is_not_retried_when_its_deletion_has_begun(engine: Engine) {
    let provider = Scripted::new(|_, _| Line::Fail(ModelErrorKind::Unavailable));
    let app = engine.app().provider(provider).variables(&[("MAX_ATTEMPTS", "1")]).worker().start().await;
    let id = ended(&app, "failed").await;
    let path = format!("/workflows/{id}");
    dying(&engine, &id).await.delete(&path).await;
    let retried = app.post(&format!("{path}/retry"), &json!({})).await;
    assert!(retried.problem(409).as_str().unwrap().contains("is being deleted"));
    app.delete(&path).await.ok();
    assert_eq!(app.get(&path).await.status, 404);
}

async fn results_that_are_pinned_outlive_a_deletion_that_was_to_leave_them(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    for (whole, left) in [(false, 1), (true, 0)] {
        let id = ended(&app, "completed").await;
        let found = app.get(&format!("/workflows/{id}")).await.ok();
        let job = found["workflow"]["steps"][0]["job_id"].as_str().unwrap().to_owned();
        app.post(&format!("/results/{job}/pin"), &json!({})).await.ok();
        let dying = dying(&engine, &id).await;
        let workflows = &dying.app.services.workflows;
        let broken = if whole { workflows.delete(&id).await } else { workflows.delete_but_pinned(&id).await };
        broken.unwrap_err();
        assert_eq!(app.app.services.workflows.finish_deletions().await.unwrap(), 1);
        let index = IndexName::all(productforge::service::records::RESULT);
        assert_eq!(engine.store.count(&index).await.unwrap(), left);
        app.delete(&format!("/results/{job}")).await;
    }
}
