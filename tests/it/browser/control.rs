//! Steering a run from its page: approve, send back, reject, pause, cancel, fork, delete, many at once.

use std::time::Duration;

use thirtyfour::prelude::*;

use productforge::{
    model::{DecisionOutcome, WorkflowStatus},
    service::workflows::NewWorkflow,
};

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};
use crate::support::wait::until;

async fn start(app: &TestApp, approval: bool) -> String {
    let order = NewWorkflow {
        job: "Write a release note for version 3".to_owned(),
        requires_qa: Some(true),
        approval: Some(approval),
        ..NewWorkflow::default()
    };
    app.services.workflows.start(order).await.unwrap().workflow_id
}

async fn reaches(app: &TestApp, id: &str, status: WorkflowStatus) {
    until(&format!("the workflow is {}", status.as_str()), || async {
        (app.services.workflows.get(id).await.unwrap().status == status).then_some(())
    })
    .await;
}

fn page(id: &str) -> String {
    format!("/dashboard/workflows/{id}")
}

async fn marked(chrome: &Chrome) -> bool {
    chrome.driver.execute("return window.notReloaded === true", vec![]).await.unwrap().json() == true
}

async fn is_sound(chrome: &Chrome, app: &TestApp) {
    assert_eq!(axe::violations(chrome).await, Vec::<String>::new());
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    for url in chrome.requests().await {
        let own = [app.url.as_str(), "data:", "chrome:"].iter().any(|known| url.starts_with(known));
        assert!(own, "{url}");
    }
}

async fn a_person_decides(setup: Setup) {
    let app = TestApp::open(Duration::from_millis(100)).await;
    let chrome = Chrome::with(setup).await;
    let id = start(&app, true).await;
    chrome.driver.goto(app.at(&page(&id))).await.unwrap();
    chrome.driver.execute("window.notReloaded = true", vec![]).await.unwrap();
    // The form comes by itself when the work is there.
    chrome.sees("The work waits for your word.").await;
    assert!(marked(&chrome).await, "the page was loaded again");
    chrome.picture("workflow-waits-for-approval").await;
    is_sound(&chrome, &app).await;
    chrome.type_into("#comment", "Half as long, please").await;
    // What is typed stays while the page goes on.
    app.services
        .workflows
        .set_budget(&id, productforge::model::Budget { tokens: Some(90_000_000), usd: None })
        .await
        .unwrap();
    chrome.sees("Budget, tokens").await;
    let typed = chrome.driver.find(By::Css("#comment")).await.unwrap().value().await.unwrap();
    assert_eq!(typed.as_deref(), Some("Half as long, please"));
    chrome.click("#decision button[value=send_back]").await;
    chrome.sees("You sent the work back").await;
    chrome.sees("A person sent the work back: Half as long, please").await;
    until("it waits again", || async {
        let workflow = app.services.workflows.get(&id).await.unwrap();
        (workflow.steps.iter().filter(|s| s.step == "approval").count() == 2
            && workflow.status == WorkflowStatus::Paused)
            .then_some(())
    })
    .await;
    chrome.sees("The work waits for your word.").await;
    chrome.click("#decision button[value=approve]").await;
    chrome.sees("You approved the work").await;
    chrome.sees("Final report").await;
    chrome.sees("A person approved the work.").await;
    is_sound(&chrome, &app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sends_work_back_and_then_approves_it() {
    a_person_decides(Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_does_so_in_the_dark_too() {
    a_person_decides(Setup { dark: true, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_rejected_retried_and_cancelled_without_javascript() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    let id = start(&app, true).await;
    reaches(&app, &id, WorkflowStatus::Paused).await;
    chrome.driver.goto(app.at(&page(&id))).await.unwrap();
    chrome.type_into("#comment", "Not this").await;
    chrome.click("#decision button[value=reject]").await;
    chrome.sees("You rejected the work").await;
    chrome.sees("It failed: A person rejected the work: Not this").await;
    chrome.click("form[action$='/retry'] button").await;
    chrome.sees("What failed is tried again.").await;
    chrome.sees("The work waits for your word.").await;
    chrome.click("#cancel-form > summary").await;
    chrome.type_into("#cancel-reason", "enough").await;
    chrome.click("#cancel-form button").await;
    chrome.sees("The workflow is cancelled.").await;
    chrome.sees("enough").await;
    chrome.click("#delete-form > summary").await;
    chrome.click("#delete-form button").await;
    chrome.sees("The workflow is deleted.").await;
    assert!(app.services.workflows.get(&id).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_is_edited_and_a_new_run_goes_on_from_it() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    let id = start(&app, false).await;
    reaches(&app, &id, WorkflowStatus::Completed).await;
    chrome.driver.goto(app.at(&page(&id))).await.unwrap();
    chrome.click("#specialist_execution-2 .step-actions a.button").await;
    chrome.sees("Go on from Specialist execution, round 2").await;
    let shown = chrome.sees("Runs again").await;
    assert!(shown.contains("QA validation, round 2") && shown.contains("Admin analysis"), "{shown}");
    chrome.picture("fork").await;
    is_sound(&chrome, &app).await;
    chrome.driver.find(By::Css("#output")).await.unwrap().clear().await.unwrap();
    chrome.type_into("#output", "MY OWN DRAFT").await;
    chrome.click("button[value=edit]").await;
    chrome.arrives_at("/dashboard/workflows/").await;
    chrome.sees("a person wrote this").await;
    chrome.sees("It goes on from another workflow").await;
    chrome.sees("Final report").await;
    is_sound(&chrome, &app).await;
    chrome.driver.goto(app.at(&page(&id))).await.unwrap();
    chrome.sees("Others go on from it").await;
    // An empty output is refused, and the page says why.
    chrome.driver.goto(app.at(&format!("{}/fork?from=qa_validation:1", page(&id)))).await.unwrap();
    chrome.driver.find(By::Css("#output")).await.unwrap().clear().await.unwrap();
    chrome.click("button[value=edit]").await;
    chrome.sees("An empty output is of no use").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_are_found_ticked_and_cancelled() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    let waiting = [start(&app, true).await, start(&app, true).await];
    for id in &waiting {
        reaches(&app, id, WorkflowStatus::Paused).await;
    }
    chrome.driver.goto(app.at("/dashboard/workflows?status=paused")).await.unwrap();
    chrome.type_into("#q", "release version").await;
    chrome.click("form[role=search] button").await;
    chrome.sees("Write a release note").await;
    assert_eq!(chrome.driver.find_all(By::Css("tbody input[type=checkbox]")).await.unwrap().len(), 2);
    chrome.click("#bulk button[value=pause]").await;
    chrome.sees("Nothing was ticked").await;
    for tick in chrome.driver.find_all(By::Css("tbody input[type=checkbox]")).await.unwrap() {
        tick.click().await.unwrap();
    }
    is_sound(&chrome, &app).await;
    chrome.driver.find(By::XPath("//summary[text()='Cancel…']")).await.unwrap().click().await.unwrap();
    chrome.click("#bulk button[value=cancel]").await;
    chrome.sees("2 workflows are cancelled.").await;
    chrome.sees("No workflow fits.").await;
    for id in &waiting {
        reaches(&app, id, WorkflowStatus::Cancelled).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_paused_and_resumed_and_its_words_stream_in() {
    let app = TestApp::open(Duration::from_millis(2_500)).await;
    let chrome = Chrome::start().await;
    let id = start(&app, false).await;
    chrome.driver.goto(app.at(&page(&id))).await.unwrap();
    chrome.driver.execute("window.notReloaded = true", vec![]).await.unwrap();
    let length = || async {
        let place = chrome.driver.find(By::Css("[data-partial]")).await.ok()?;
        let text = place.text().await.ok()?;
        (text.len() > 20).then_some(text.len())
    };
    let early = until("some words are there", length).await;
    until("more words are there", || async { length().await.filter(|now| *now > early) }).await;
    chrome.picture("workflow-streams").await;
    chrome.click("form[action$='/pause'] button").await;
    chrome.sees("The workflow is paused: nothing new begins.").await;
    until("what runs has ended its step", || async {
        let workflow = app.services.workflows.get(&id).await.unwrap();
        workflow.steps[0].completed_at.map(drop)
    })
    .await;
    chrome.sees("The workflow is paused: it waits for somebody to resume it.").await;
    chrome.click("form[action$='/resume'] button").await;
    chrome.sees("The workflow goes on.").await;
    chrome.sees("running").await;
    app.services.workflows.cancel(&id, None).await.unwrap();
    chrome.sees("cancelled").await;
    let decided = app.services.workflows.decide(&id, DecisionOutcome::Approved, None).await;
    assert!(decided.is_err());
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}
