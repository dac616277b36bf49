//! Texts that carry scripts, forms of other sites, and requests that should never be made.

use std::time::Duration;

use productforge::{model::NewAgent, service::workflows::NewWorkflow};

use super::{app::TestApp, chrome::Chrome};

const SCRIPT: &str = "<script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">";

/// Nothing ran, nothing was refused by the policy (so nothing was tried), nobody else was asked.
async fn assert_harmless(chrome: &Chrome, app: &TestApp, page: &str) {
    let hacked = chrome.driver.execute("return window.hacked === 1", vec![]).await.unwrap();
    assert_eq!(hacked.json(), false, "a script ran on {page}");
    assert_eq!(chrome.complaints().await, Vec::<String>::new(), "{page}");
    for url in chrome.requests().await {
        let local = url.starts_with(&app.url) || url.starts_with("data:") || url.starts_with("blob:");
        assert!(local || url.starts_with("chrome") || url.starts_with("about:"), "{page} asked {url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_in_any_text_is_shown_and_does_not_run() {
    let app = TestApp::open(Duration::ZERO).await;
    let agent = NewAgent {
        name: format!("evil{}", SCRIPT.replace('/', "|")),
        role: SCRIPT.to_owned(),
        description: Some(SCRIPT.to_owned()),
        skills: vec![SCRIPT.to_owned()],
        model: SCRIPT.to_owned(),
        prompt: Some(SCRIPT.to_owned()),
        fallback_models: vec![SCRIPT.to_owned()],
        ..NewAgent::default()
    };
    let agent = app.services.agents.register(agent).await.unwrap();
    let order = NewWorkflow {
        job: format!("{SCRIPT}\n\n![x](https://evil.example/p.png) [y](javascript:alert(1))"),
        requires_qa: Some(true),
        specialists: Some(vec![agent.name.clone()]),
        ..NewWorkflow::default()
    };
    let workflow = app.services.workflows.start(order).await.unwrap();
    let chrome = Chrome::start().await;
    let page = format!("/dashboard/workflows/{}", workflow.workflow_id);
    chrome.driver.goto(app.at(&page)).await.unwrap();
    chrome.sees("Final report").await;
    chrome
        .driver
        .execute("document.querySelectorAll('details').forEach(d => d.open = true)", vec![])
        .await
        .unwrap();
    assert!(chrome.text().await.contains("<script>window.hacked = 1</script>"), "the text is shown as it is");
    assert_harmless(&chrome, &app, &page).await;
    for page in ["/dashboard/", "/dashboard/workflows", "/dashboard/agents", "/dashboard/results"] {
        chrome.driver.goto(app.at(page)).await.unwrap();
        chrome.sees("window.hacked").await;
        assert_harmless(&chrome, &app, page).await;
    }
    chrome.click(".rows tbody a").await;
    chrome.sees("Output").await;
    assert_harmless(&chrome, &app, "a result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_asks_another_host_for_anything() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    for page in [
        "/help",
        "/help/concepts",
        "/help/api",
        "/help/operations",
        "/help/configuration",
        "/help/errors",
        "/dashboard/",
        "/dashboard/nothing",
    ] {
        chrome.driver.goto(app.at(page)).await.unwrap();
        assert_harmless(&chrome, &app, page).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_references_are_drawn_from_here_alone() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    for (page, words) in [("/redoc", "/orchestrate"), ("/docs", "/orchestrate")] {
        chrome.driver.goto(app.at(page)).await.unwrap();
        chrome.sees(words).await;
        chrome.picture(&page[1..]).await;
        assert_harmless(&chrome, &app, page).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_starts_nothing() {
    let app = TestApp::open(Duration::ZERO).await;
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        let post = app.post("/dashboard/workflows", &[("job", "x")]).header(name, value);
        assert_eq!(post.send().await.unwrap().status(), 403, "{name}: {value}");
    }
    assert!(app.services.workflows.list(10, None).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_carries_its_policy() {
    let app = TestApp::open(Duration::ZERO).await;
    for page in [
        "/dashboard/",
        "/dashboard/workflows",
        "/dashboard/workflows/none",
        "/dashboard/none",
        "/help",
        "/help/none",
    ] {
        let answer = app.get(page).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map_or("", |v| v.to_str().unwrap());
        assert!(header("content-security-policy").contains("script-src 'self'"), "{page}");
        assert!(!header("content-security-policy").contains("unsafe"), "{page}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{page}");
        assert_eq!(header("referrer-policy"), "same-origin", "{page}");
        assert_eq!(answer.status(), if page.ends_with("none") { 404 } else { 200 }, "{page}");
    }
}
