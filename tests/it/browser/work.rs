//! Agents, results, uploads, reports and analytics, as a visitor uses them.

use std::{io::Write, path::Path, time::Duration};

use productforge::service::workflows::NewWorkflow;
use serde_json::json;
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::{
    support::wait::until,
    surface::uploads::{archive, shop},
};

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    path.display().to_string()
}

async fn clean(app: &TestApp, chrome: &Chrome) {
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    for url in chrome.requests().await {
        let ours = url.starts_with(&app.url) || url.starts_with("data:") || url.starts_with("chrome");
        assert!(ours, "{url} is of another host");
    }
}

/// Work that has been done and reviewed, twice, and two tasks.
async fn work(app: &TestApp) {
    for brief in ["Write a release note for version 3", "Plan a data migration with a rollback"] {
        let order = NewWorkflow { job: brief.to_owned(), requires_qa: Some(true), ..NewWorkflow::default() };
        let id = app.services.workflows.start(order).await.unwrap().workflow_id;
        app.page_says(&format!("/dashboard/workflows/{id}"), "approved by QA").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_made_mended_and_deleted() {
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/agents")).await.unwrap();
    chrome.sees("No job has ended in this time.").await;
    chrome.click("a.button.primary").await;
    chrome.arrives_at("/dashboard/agents/new").await;
    chrome.type_into("#f-name", "api designer").await;
    chrome.type_into("#f-role", "Design").await;
    chrome.type_into("#f-skills", "openapi\nversioning").await;
    chrome.type_into("#f-max_concurrency", "many").await;
    chrome.click("form.fields button.primary").await;
    chrome.sees("Input should be a whole number, or nothing").await;
    chrome.picture("agent-form-wrong").await;
    let field = chrome.driver.find(By::Css("#f-max_concurrency[aria-invalid]")).await.unwrap();
    assert_eq!(field.value().await.unwrap().as_deref(), Some("many"), "what was typed stays");
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    field.clear().await.unwrap();
    chrome.type_into("#f-max_concurrency", "2").await;
    chrome.click("form.fields button.primary").await;
    chrome.sees("The agent is saved.").await;
    chrome.sees("openapi").await;
    chrome.picture("agent").await;
    chrome.click("details.danger > summary").await;
    chrome.click("details.danger button.bad").await;
    chrome.sees("The agent is deleted.").await;
    assert!(!chrome.text().await.contains("api designer"));
    clean(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_found_pinned_and_deleted() {
    let app = TestApp::open(Duration::ZERO).await;
    work(&app).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/results")).await.unwrap();
    chrome.type_into("#agent", "qa_bot").await;
    chrome.click("form.filters button.primary").await;
    chrome.sees("Clear").await;
    let rows = || async { chrome.driver.find_all(By::Css("table.rows tbody tr")).await.unwrap().len() };
    let found = rows().await;
    assert!(found > 0);
    let export =
        chrome.driver.find(By::Css("#exports a")).await.unwrap().attr("href").await.unwrap().unwrap();
    assert!(export.contains("agent=qa_bot"), "{export}");
    chrome.picture("results-filtered").await;
    chrome.click("table.rows .menu > summary").await;
    chrome.click("table.rows .menu[open] form button").await;
    chrome.sees("The result is pinned").await;
    assert_eq!(rows().await, found, "the filter is kept");
    chrome.sees("pinned").await;
    chrome.click("table.rows tbody th a").await;
    chrome.sees("Raw document").await;
    chrome.click("#source > summary").await;
    chrome.picture("result").await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    chrome.click("details.danger > summary").await;
    chrome.click("details.danger button.bad").await;
    chrome.sees("The result is deleted.").await;
    clean(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_dropped_watched_and_read() {
    let app = TestApp::open(Duration::ZERO).await;
    let folder = TempDir::new().unwrap();
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/uploads")).await.unwrap();
    chrome.picture("uploads-empty").await;
    // What is refused is said here, with its reason, and what was typed stays.
    chrome.type_into("#project", "shop").await;
    let evil = file(folder.path(), "evil.zip", &archive(&[("../../etc/passwd", "x")]));
    chrome.type_into("#file", &evil).await;
    chrome.click("#send").await;
    chrome.sees("The archive was refused").await;
    chrome.sees("Nothing of it was kept.").await;
    let project = chrome.driver.find(By::Css("#project")).await.unwrap().value().await.unwrap();
    assert_eq!(project.as_deref(), Some("shop"));
    chrome.picture("upload-refused").await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    // Dropped: the file is made in the page, as a browser hands it over. Every progress event is noted.
    let script = "const bytes = Uint8Array.from(arguments[0]); \
        window.seen = []; \
        const bar = document.getElementById('bar'); \
        new MutationObserver(() => window.seen.push(bar.value)).observe(document.getElementById('sent'), {childList: true}); \
        const data = new DataTransfer(); \
        data.items.add(new File([bytes], 'shop.zip', {type: 'application/zip'})); \
        const drop = document.getElementById('drop'); \
        for (const kind of ['dragenter', 'dragover']) \
            drop.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true})); \
        const marked = drop.classList.contains('over'); \
        drop.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); \
        return marked && !drop.classList.contains('over') && !document.getElementById('sending').hidden";
    let shown = chrome.driver.execute(script, vec![json!(shop())]).await.unwrap();
    assert_eq!(shown.json(), true, "the place is marked, and the progress shows");
    chrome.arrives_at("/dashboard/uploads/").await;
    chrome.sees("found harmless").await;
    chrome.sees("Possible secrets").await;
    let seen = chrome.sees("Lines by language").await;
    assert!(seen.contains("shop/.env") && seen.contains("shop/src/main.rs"), "{seen}");
    // The analysis comes without a reload.
    let analysed = || async { chrome.text().await.contains("analysed").then_some(()) };
    until("it is analysed", analysed).await;
    chrome.click("#languages details > summary").await;
    chrome.sees("comments").await;
    chrome.picture("upload").await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    chrome.click("details.danger > summary").await;
    chrome.click("details.danger button.bad").await;
    chrome.sees("The upload is deleted").await;
    clean(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_pages_work_without_a_script() {
    let app = TestApp::open(Duration::ZERO).await;
    work(&app).await;
    let folder = TempDir::new().unwrap();
    let chrome = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    chrome.driver.goto(app.at("/dashboard/uploads")).await.unwrap();
    assert!(!chrome.text().await.contains("or drop it here"), "nothing is offered that does not work");
    chrome.type_into("#file", &file(folder.path(), "shop.zip", &shop())).await;
    chrome.click("#send").await;
    chrome.arrives_at("/dashboard/uploads/").await;
    until("the analysis is there", || async {
        chrome.driver.refresh().await.unwrap();
        chrome.text().await.contains("Lines by language").then_some(())
    })
    .await;
    chrome.driver.goto(app.at("/dashboard/agents")).await.unwrap();
    chrome.sees("Accepted at first review").await;
    chrome.driver.goto(app.at("/dashboard/analytics")).await.unwrap();
    chrome.click("#tokens-table > summary").await;
    chrome.driver.goto(app.at("/dashboard/reports")).await.unwrap();
    chrome.click("main form button.primary").await;
    chrome.sees("The report is made.").await;
    chrome.driver.goto(app.at("/dashboard/results?q=migration&status=completed")).await.unwrap();
    chrome.sees("Plan a data migration").await;
}

/// Pages with much on them, as people see them.
async fn looks(name: &str, setup: Setup) {
    let width = setup.window.unwrap().0;
    let app = TestApp::open(Duration::ZERO).await;
    work(&app).await;
    let chrome = Chrome::with(setup).await;
    let report = app.services.reports.generate().await.unwrap().filename;
    let folder = TempDir::new().unwrap();
    chrome.driver.goto(app.at("/dashboard/uploads")).await.unwrap();
    chrome.type_into("#file", &file(folder.path(), "shop.zip", &shop())).await;
    chrome.click("#send").await;
    chrome.arrives_at("/dashboard/uploads/").await;
    chrome.sees("Lines by language").await;
    until("it is analysed", || async { chrome.text().await.contains("analysed").then_some(()) }).await;
    let upload = chrome.path().await;
    let result =
        app.services.results.list(&Default::default(), 1, None).await.unwrap().items[0].job_id.clone();
    let pages = [
        ("agents", "/dashboard/agents".to_owned()),
        ("agent", "/dashboard/agents/qa_bot".to_owned()),
        ("agent-new", "/dashboard/agents/new".to_owned()),
        ("results", "/dashboard/results?status=completed".to_owned()),
        ("result", format!("/dashboard/results/{result}")),
        ("uploads", "/dashboard/uploads".to_owned()),
        ("upload", upload),
        ("analytics", "/dashboard/analytics".to_owned()),
        ("analytics-week", "/dashboard/analytics?days=7".to_owned()),
        ("reports", "/dashboard/reports".to_owned()),
        ("report", format!("/dashboard/reports/{report}")),
    ];
    for (page, path) in pages {
        chrome.driver.goto(app.at(&path)).await.unwrap();
        chrome.picture(&format!("{name}-{page}")).await;
        let open = "document.querySelectorAll('main details').forEach(d => d.open = true)";
        chrome.driver.execute(open, vec![]).await.unwrap();
        let wide =
            chrome.driver.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
        let wide = wide.json().as_u64().unwrap();
        chrome.picture(&format!("{name}-{page}-open")).await;
        assert_eq!(axe::violations(&chrome).await, Vec::<String>::new(), "{page}");
        assert!(wide <= u64::from(width), "{page} is {wide} wide in a window of {width}");
    }
    clean(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fit_a_desk() {
    looks("desk-light", Setup { window: Some((1280, 1700)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fit_a_desk_in_the_dark() {
    looks("desk-dark", Setup { window: Some((1280, 1700)), dark: true, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fit_a_phone() {
    looks("phone", Setup { window: Some((360, 2400)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fit_a_phone_in_the_dark() {
    looks("phone-dark", Setup { window: Some((360, 2400)), dark: true, ..Setup::default() }).await;
}
