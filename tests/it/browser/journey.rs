//! From a brief to its report, as a visitor sees it.

use std::time::Duration;

use thirtyfour::prelude::*;

use crate::support::wait::until;

use super::{
    app::TestApp,
    chrome::{Chrome, Setup},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brief_becomes_a_reviewed_report_while_the_visitor_watches() {
    let app = TestApp::open(Duration::from_millis(600)).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.sees("No model is configured: answers are simulated.").await;
    chrome.sees("Nothing has been asked yet.").await;
    chrome.picture("overview-empty").await;

    chrome.type_into("#job", "Write a release note for version 3").await;
    chrome.click(".brief-form button.primary").await;
    chrome.arrives_at("/dashboard/workflows/").await;
    chrome.driver.execute("window.notReloaded = true", vec![]).await.unwrap();
    chrome.sees("running").await;
    // An opened detail stays open through the refreshes.
    chrome.click("#admin_analysis-1-times > summary").await;
    chrome.picture("workflow-running").await;

    chrome.sees("QA asks for a revision").await;
    chrome.sees("Must be fixed").await;
    chrome.sees("Final report").await;
    let seen = chrome.sees("approved by QA").await;
    for part in ["QA approves", "score", "round 2", "simulated", "completed"] {
        assert!(seen.contains(part), "{part} is missing in:\n{seen}");
    }
    let kept = chrome.driver.execute("return window.notReloaded === true", vec![]).await.unwrap();
    assert_eq!(kept.json(), true, "the page was loaded again");
    let open = chrome.driver.find(By::Css("#admin_analysis-1-times[open]")).await;
    assert!(open.is_ok(), "a refresh closed what the visitor had opened");
    chrome.click("#qa_validation-1-calls > summary").await;
    chrome.sees("Write a release note for version 3").await;
    chrome.picture("workflow-completed").await;

    chrome.driver.goto(app.at("/dashboard/workflows")).await.unwrap();
    chrome.sees("Write a release note for version 3").await;
    chrome.driver.goto(app.at("/dashboard/results")).await.unwrap();
    chrome.sees("Admin feedback").await;
    chrome.click(".rows tbody a").await;
    chrome.sees("Output").await;
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_without_javascript() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.type_into("#job", "Write a haiku about queues").await;
    chrome.click(".brief-form button.primary").await;
    chrome.arrives_at("/dashboard/workflows/").await;
    // Without a script nothing is loaded again by itself.
    let seen = until("QA approves and the report is there", || async {
        chrome.driver.refresh().await.unwrap();
        let seen = chrome.text().await;
        (seen.contains("approved by QA") && seen.contains("Final report")).then_some(seen)
    })
    .await;
    assert!(seen.contains("UTC"), "times are readable without a script:\n{seen}");
    chrome.click("#specialist_execution-1-output > summary").await;
    for page in ["workflows", "results", "agents"] {
        chrome.driver.goto(app.at(&format!("/dashboard/{page}"))).await.unwrap();
        assert!(!chrome.driver.find_all(By::Css("table.rows tbody tr")).await.unwrap().is_empty(), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_cannot_be_accepted_comes_back_with_what_was_typed() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.driver.execute("document.querySelector('.brief-form').noValidate = true", vec![]).await.unwrap();
    chrome.type_into("#job", "Keep me").await;
    chrome.click(".brief-form summary").await;
    chrome.type_into("#max_revisions", "99").await;
    chrome.click(".brief-form button.primary").await;
    chrome.sees("The brief was not started").await;
    let kept = chrome.driver.find(By::Css("#job")).await.unwrap().value().await.unwrap();
    assert_eq!(kept.as_deref(), Some("Keep me"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_empty_page_offers_a_demo_that_runs() {
    let app = TestApp::open(Duration::ZERO).await;
    app.page_says("/dashboard/", "Run a demo").await;
    let answer = app.post("/dashboard/workflows", &[("demo", "true")]).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let path = answer.headers()["location"].to_str().unwrap();
    app.page_says(path, "Final report").await;
    app.page_says(path, "approved by QA").await;
}
