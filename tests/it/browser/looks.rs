//! Pages on a phone and on a desk, light and dark: nothing is wider than its window, and axe finds no
//! barrier for anybody.

use super::{
    axe,
    chrome::{Chrome, Setup},
    showcase::Showcase,
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
    let showcase = Showcase::open().await;
    let app = &showcase.app;
    let chrome = Chrome::with(setup).await;
    let fixed = PAGES.iter().map(|(page, path)| (*page, (*path).to_owned()));
    for (page, path) in showcase.pages().into_iter().chain(fixed) {
        chrome.driver.goto(app.at(&path)).await.unwrap();
        chrome.picture(&format!("{page}-{name}")).await;
        assert_eq!(axe::violations(&chrome).await, Vec::<String>::new(), "{page}");
        // Opened or closed, nothing is wider than the window.
        let every_other = "document.querySelectorAll('details').forEach((d, i) => d.open = i % 2)";
        chrome.driver.execute(every_other, vec![]).await.unwrap();
        let wide = chrome.driver.execute("return document.documentElement.scrollWidth", vec![]).await;
        let wide = wide.unwrap().json().as_u64().unwrap();
        assert_eq!(axe::violations(&chrome).await, Vec::<String>::new(), "{page}");
        assert!(wide <= u64::from(width), "{page} is {wide} wide in a window of {width}");
    }
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    for url in chrome.requests().await {
        let own = [app.url.as_str(), "data:", "chrome:"].iter().any(|known| url.starts_with(known));
        assert!(own, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_desk() {
    fits("desk-light", Setup { window: Some((1280, 900)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_desk_in_the_dark() {
    fits("desk-dark", Setup { window: Some((1280, 900)), dark: true, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_phone() {
    fits("phone-light", Setup { window: Some((360, 740)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_fit_a_phone_in_the_dark() {
    fits("phone-dark", Setup { window: Some((360, 740)), dark: true, ..Setup::default() }).await;
}
