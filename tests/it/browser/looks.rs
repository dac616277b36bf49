//! Pages on a phone and on a desk, light and dark: nothing is wider than its window, and axe finds no
//! barrier for anybody.

use std::time::Duration;

use productforge::service::workflows::NewWorkflow;

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};

pub const PAGES: &[(&str, &str)] = &[
    ("overview", "/dashboard/"),
    ("workflows", "/dashboard/workflows"),
    ("brief", "/dashboard/brief"),
    ("brief-chosen", "/dashboard/brief?template_brief=code-review"),
    ("agents", "/dashboard/agents"),
    ("results", "/dashboard/results"),
    ("agent-new", "/dashboard/agents/new"),
    ("uploads", "/dashboard/uploads"),
    ("analytics", "/dashboard/analytics"),
    ("reports", "/dashboard/reports"),
    ("jobs", "/dashboard/jobs"),
    ("dead-set", "/dashboard/jobs?state=dead"),
    ("queues", "/dashboard/queues"),
    ("system", "/dashboard/system"),
    ("help", "/help"),
    ("help-configuration", "/help/configuration"),
    ("not-found", "/dashboard/nothing-here"),
];

async fn fits(name: &str, setup: Setup) {
    let width = setup.window.unwrap().0;
    let app = TestApp::open(Duration::ZERO).await;
    let long_word = "Donaudampfschifffahrtsgesellschaft".repeat(4);
    let briefs = ["Plan a data migration with a rollback", "Fix the login bug", &long_word];
    let mut last = None;
    for (n, brief) in briefs.iter().enumerate() {
        let order =
            NewWorkflow { job: (*brief).to_owned(), requires_qa: Some(n != 1), ..NewWorkflow::default() };
        last = Some(app.services.workflows.start(order).await.unwrap().workflow_id);
    }
    let chrome = Chrome::with(setup).await;
    let detail = format!("/dashboard/workflows/{}", last.unwrap());
    chrome.driver.goto(app.at(&detail)).await.unwrap();
    chrome.sees("Final report").await;
    let step = format!("{detail}/steps/specialist_execution-2");
    for (page, path) in
        [("workflow", detail.as_str()), ("step", step.as_str())].into_iter().chain(PAGES.iter().copied())
    {
        chrome.driver.goto(app.at(path)).await.unwrap();
        chrome
            .driver
            .execute("document.querySelectorAll('details').forEach((d, i) => d.open = i % 2)", vec![])
            .await
            .unwrap();
        let wide =
            chrome.driver.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
        let wide = wide.json().as_u64().unwrap();
        chrome.picture(&format!("{name}-{page}")).await;
        assert_eq!(axe::violations(&chrome).await, Vec::<String>::new(), "{page}");
        assert!(wide <= u64::from(width), "{page} is {wide} wide in a window of {width}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_desk() {
    fits("desk-light", Setup { window: Some((1280, 3600)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_desk_in_the_dark() {
    fits("desk-dark", Setup { window: Some((1280, 3600)), dark: true, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_phone() {
    fits("phone", Setup { window: Some((360, 2400)), ..Setup::default() }).await;
}
