//! The help as a person uses it: from an error to what it means, and by the words of a symptom.

use std::time::Duration;

use thirtyfour::prelude::*;

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};

const PAGES: [(&str, &str); 6] = [
    ("search", "/help?q=a+job+is+stuck"),
    ("nothing-found", "/help?q=zzzzz"),
    ("operations", "/help/operations"),
    ("errors", "/help/errors"),
    ("briefs", "/help/briefs"),
    ("dashboard", "/help/dashboard"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_leads_to_its_explanation_and_a_symptom_to_what_helps() {
    let app = TestApp::open(Duration::ZERO).await;
    // As it is without any script.
    let chrome = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    chrome.driver.goto(app.at("/dashboard/workflows/none")).await.unwrap();
    chrome.click("main a[href^='/help/errors#404']").await;
    chrome.arrives_at("/help/errors").await;
    let url = chrome.driver.current_url().await.unwrap();
    let anchor = chrome.driver.find(By::Id(url.fragment().unwrap().to_owned())).await.unwrap();
    assert_eq!(anchor.text().await.unwrap(), "404: not found");

    chrome.type_into("#q", "Which worker has it?").await;
    chrome.click(".help-search button").await;
    chrome.sees("Search: Which worker has it?").await;
    let marked = chrome.driver.find(By::Css(".help-hits li:first-child mark")).await.unwrap();
    assert_eq!(marked.text().await.unwrap(), "worker");
    chrome.click(".help-hits li:first-child a").await;
    chrome.arrives_at("/help/operations").await;
    assert_eq!(chrome.driver.current_url().await.unwrap().fragment(), Some("which-worker-has-it"));
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}

async fn is_for_everybody(name: &str, setup: Setup) {
    let width = setup.window.unwrap().0;
    let app = TestApp::open(Duration::ZERO).await;
    let chrome = Chrome::with(setup).await;
    for (page, path) in PAGES {
        chrome.driver.goto(app.at(path)).await.unwrap();
        chrome.picture(&format!("{name}-help-{page}")).await;
        assert_eq!(axe::violations(&chrome).await, Vec::<String>::new(), "{page}");
        let wide =
            chrome.driver.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
        assert!(wide.json().as_u64().unwrap() <= u64::from(width), "{page} is wider than its window");
    }
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_is_for_everybody_on_a_desk() {
    is_for_everybody("desk-light", Setup { window: Some((1280, 1400)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_is_for_everybody_on_a_phone_in_the_dark() {
    is_for_everybody("phone-dark", Setup { window: Some((360, 1400)), dark: true, ..Setup::default() }).await;
}
