//! Whatever waits or failed says why, whatever is not simulated does not say so.

use productforge::{
    llm::ModelErrorKind,
    model::{TemplateRole, WorkflowStatus},
};

use super::{app::TestApp, chrome::Chrome};
use crate::support::{
    scripted::{Line, Scripted, chain},
    wait::until,
    world::reviewed,
};

async fn started(app: &TestApp, brief: &str) -> String {
    let workflow = app.services.workflows.start(reviewed(brief)).await.unwrap();
    format!("/dashboard/workflows/{}", workflow.workflow_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_step_names_what_it_waits_for() {
    let model = Scripted::held(|_, _| Line::Say("done".to_owned()));
    let app = TestApp::with(model.clone()).await;
    let path = started(&app, "Hold on").await;
    let page = app.page_says(&path, "general_assistant works on admin analysis").await;
    assert!(page.to_lowercase().contains("waits for admin"), "{page}");
    assert!(page.contains("data-live=\"2\""), "the page is not live");
    app.page_says("/dashboard/", "general_assistant works on admin analysis").await;
    model.release();
    let page = app.page_says(&path, "Final report").await;
    assert!(!page.contains("data-live"), "a finished page is fetched again and again");
    assert!(!page.contains("simulated"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_workflow_says_why_and_what_was_tried() {
    let model = Scripted::new(|request, _| match request.scene.role {
        Some(TemplateRole::Specialist) => Line::Fail(ModelErrorKind::Unavailable),
        _ => Line::Say("A plan".to_owned()),
    });
    let app = TestApp::with(model).await;
    let path = started(&app, "Fail, please").await;
    let page = app.page_says(&path, "It failed:").await;
    assert!(page.contains("2 attempts"), "{page}");
    assert!(page.contains("skipped"), "{page}");
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at(&path)).await.unwrap();
    chrome.sees("It failed:").await;
    chrome.picture("workflow-failed").await;
    app.page_says("/dashboard/workflows", "badge failed").await;
    app.page_says("/dashboard/results", "badge failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_was_never_approved_does_not_look_approved() {
    let app = TestApp::with(chain(|_| "revise")).await;
    let path = started(&app, "Never good enough").await;
    let page = app.page_says(&path, "Final report").await;
    assert!(page.contains("not approved"), "{page}");
    assert!(!page.contains("QA approves") && !page.contains("approved by QA"), "{page}");
    assert!(page.contains("finding of round 1"), "{page}");
    until("it is over", || async {
        let listing = app.services.workflows.list(1, None).await.unwrap();
        (listing.items[0].status == WorkflowStatus::Completed).then_some(())
    })
    .await;
}
