//! Pages on a phone and on a desk, light and dark: nothing is wider than its window, and axe finds no
//! barrier for anybody.

use thirtyfour::prelude::*;

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

/// What a page shows, without what a script may say differently (times) or what passes with time.
const SHOWN: &str = "const texts = (css) => [...document.querySelectorAll(css)].map((e) => {
      const copy = e.cloneNode(true);
      copy.querySelectorAll('time').forEach((t) => t.replaceWith(t.getAttribute('datetime')));
      return copy.textContent.replace(/\\s+/g, ' ').trim();
    });
    return {headings: texts('h1, h2, h3'), names: texts('main table tbody th, main table tbody a'), links: [...document.links].map((a) => a.getAttribute('href')),
      forms: [...document.forms].map((f) => f.getAttribute('action'))};";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_the_same_with_javascript_off() {
    let showcase = Showcase::open().await;
    let app = &showcase.app;
    let with = Chrome::start().await;
    let without = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    let fixed = PAGES.iter().map(|(page, path)| (*page, (*path).to_owned()));
    for (page, path) in showcase.pages().into_iter().chain(fixed) {
        let mut shown = Vec::new();
        for chrome in [&with, &without] {
            chrome.driver.goto(app.at(&path)).await.unwrap();
            // The driver's own scripts run in either case.
            let seen = chrome.driver.execute(SHOWN, vec![]).await.unwrap();
            shown.push(serde_json::to_string_pretty(seen.json()).unwrap());
        }
        assert_eq!(shown[0], shown[1], "{page}");
        let times = without.driver.find_all(By::Css("time")).await.unwrap();
        for time in times.iter().take(3) {
            let text = time.text().await.unwrap();
            assert!(
                text.is_empty() || text.contains("UTC"),
                "{page}: a time is readable without a script: {text}"
            );
        }
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
