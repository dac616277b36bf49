//! Swagger UI as a person uses it: authorize with the key, try operations, read the answers.

use thirtyfour::prelude::*;

use super::{
    app::{API_KEY, TestApp},
    chrome::Chrome,
};
use crate::support::wait::until;

/// Opens an operation and executes it as it stands; the status that it shows.
async fn execute(chrome: &Chrome, operation: &str) -> String {
    let block = format!("#operations-{operation}");
    let open = || async { chrome.driver.find(By::Css(format!("{block}.is-open .execute"))).await.ok() };
    if open().await.is_none() {
        chrome.click(&format!("{block} .opblock-summary-control")).await;
    }
    let button = until("the button", open).await;
    button.scroll_into_view().await.unwrap();
    button.click().await.unwrap();
    let shown = format!("{block} .live-responses-table .response .response-col_status");
    until("an answer", || async {
        let cell = chrome.driver.find(By::Css(shown.clone())).await.ok()?;
        // While it is under way the answer before it is shown.
        let loading = chrome.driver.find(By::Css(format!("{block} .loading-container"))).await.is_ok();
        let text = cell.text().await.ok()?;
        (!loading && !text.is_empty()).then(|| text.lines().next().unwrap_or_default().trim().to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_it_works_with_the_key_and_not_without() {
    let app = TestApp::locked().await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/docs")).await.unwrap();
    chrome.sees("/orchestrate").await;
    assert_eq!(execute(&chrome, "agents-list_agents").await, "401");

    chrome.click(".auth-wrapper .authorize").await;
    chrome.type_into(".auth-container:first-of-type input", API_KEY).await;
    chrome.click(".auth-container:first-of-type .auth-btn-wrapper .authorize").await;
    chrome.sees("Logout").await;
    chrome.click(".auth-btn-wrapper .btn-done").await;

    // A fresh answer: the one before it is cleared.
    chrome.click("#operations-agents-list_agents .btn-clear").await;
    assert_eq!(execute(&chrome, "agents-list_agents").await, "200");
    chrome.sees("general_assistant").await;
    assert_eq!(execute(&chrome, "workflows-start_workflow").await, "200");
    chrome.picture("docs-tried").await;
    let started = app.services.workflows.list(10, None).await.unwrap().items;
    let briefs: Vec<_> = started.iter().map(|w| w.original_task.as_str()).collect();
    assert_eq!(briefs, ["Fix the login bug"], "the example of the document");

    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    for url in chrome.requests().await {
        let local = url.starts_with(&app.url) || url.starts_with("data:") || url.starts_with("blob:");
        assert!(local || url.starts_with("chrome") || url.starts_with("about:"), "{url}");
    }
}
