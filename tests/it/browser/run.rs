//! A brief from the full form, its run in pictures, the changes between two drafts.

use std::time::Duration;

use productforge::{
    llm::ModelErrorKind,
    model::{NewAgent, TemplateRole},
    service::workflows::NewWorkflow,
};
use thirtyfour::prelude::*;

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};
use crate::support::{
    scripted::{Line, Scripted},
    world::reviewed,
};

const FIRST: &str = "# Loans\n\nA member may borrow **three** books.\n\n## Endpoints\n\n- POST /loans makes a loan\n\
    - GET /loans lists all loans\n- DELETE /loans/{id} returns a book\n\n## Errors\n\nA book that is lent gives an \
    error.\n\n## Limits\n\nNothing is said of limits.\n";

fn second() -> String {
    FIRST
        .replace("gives an error", "gives 409 with the code `book_lent` and the day it is due back")
        .replace("Nothing is said of limits.", "A member has at most three loans; the fourth gives 409.")
}

/// A team whose first attempt fails, and whose work is sent back once.
fn team() -> std::sync::Arc<Scripted> {
    Scripted::new(|request, n| {
        let again = request.scene.round > 1;
        Line::Say(match request.scene.role {
            Some(TemplateRole::Admin) => "Settle loans first, then errors.".to_owned(),
            Some(TemplateRole::Specialist) if n == 2 => return Line::Fail(ModelErrorKind::Unavailable),
            Some(TemplateRole::Specialist) => if again { second() } else { FIRST.to_owned() },
            Some(TemplateRole::Qa) if again => r#"{"verdict":"approve","score":0.93,"findings":[]}"#.to_owned(),
            Some(TemplateRole::Qa) => r#"{"verdict":"revise","score":0.55,
                "findings":[{"severity":"major","text":"The error has no status code."}],
                "must_fix":["Give the status code of a book that is lent.","Say how many loans a member may have."]}"#
                .to_owned(),
            _ => "# Report\n\nThe API is designed and was approved at the second draft.".to_owned(),
        })
    })
}

async fn agents(app: &TestApp, names: &[&str]) -> Vec<String> {
    let mut known = Vec::new();
    for name in names {
        let agent = NewAgent { name: (*name).to_owned(), role: "designer".to_owned(), ..NewAgent::default() };
        known.push(app.services.agents.register(agent).await.unwrap().name);
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_made_brief_with_a_budget_becomes_a_run() {
    let app = TestApp::open(Duration::from_millis(300)).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/brief")).await.unwrap();
    chrome.click(".templates li:nth-child(1) a").await;
    chrome.arrives_at("/dashboard/brief").await;
    chrome.sees("Design an HTTP API").await;
    chrome.picture("brief").await;
    chrome.type_into("#budget_tokens", "many").await;
    chrome.click(".brief-full button.primary").await;
    chrome.sees("The brief was not started").await;
    chrome.sees("A whole number from 1").await;
    chrome.picture("brief-problem").await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    chrome.driver.find(By::Css("#budget_tokens")).await.unwrap().clear().await.unwrap();
    chrome.type_into("#budget_tokens", "500000").await;
    chrome.click(".brief-full button.primary").await;
    chrome.arrives_at("/dashboard/workflows/").await;
    chrome.sees("Budget, tokens").await;
    chrome.picture("run-running").await;
    chrome.sees("Final report").await;
    chrome.sees("500\u{202f}000 used").await;
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
}

async fn told_in_pictures(name: &str, setup: Setup) {
    let width = setup.window.map_or(1280, |(width, _)| width);
    let app = TestApp::with(team()).await;
    let specialists = agents(&app, &["api_designer", "error_editor"]).await;
    let order = NewWorkflow { specialists: Some(specialists), ..reviewed("Design the loans of a library") };
    let id = app.services.workflows.start(order).await.unwrap().workflow_id;
    let path = format!("/dashboard/workflows/{id}");
    let chrome = Chrome::with(setup).await;
    app.page_says(&path, "Final report").await;
    chrome.driver.goto(app.at(&path)).await.unwrap();
    chrome.sees("What the review changed").await;
    chrome.picture(&format!("{name}-run")).await;
    // Every step has a lane and a node; both lead to it.
    for part in [".lanes li", ".graph .node", "#gantt-table tbody tr"] {
        let found = chrome.driver.find_all(By::Css(part)).await.unwrap().len();
        assert_eq!(found, 8, "{part}");
    }
    let inside = "return [...document.querySelectorAll('.gantt svg .bar')].every(bar => { const b = \
        bar.getBoundingClientRect(), s = bar.ownerSVGElement.getBoundingClientRect(); \
        return b.width > 0 && b.left >= s.left - 1 && b.right <= s.right + 1; })";
    assert_eq!(chrome.driver.execute(inside, vec![]).await.unwrap().json(), true, "a bar is outside");
    let marks = chrome.driver.find_all(By::Css(".gantt .mark.failed")).await.unwrap().len();
    assert_eq!(marks, 1);
    chrome.sees("409 with the code").await;
    let ins = chrome.driver.find_all(By::Css("#drafts ins")).await.unwrap().len();
    assert!(ins > 0, "what came is marked");
    chrome.click("#gantt-table > summary").await;
    let table = chrome.driver.find(By::Css("#gantt-table tbody tr")).await.unwrap();
    assert!(table.is_displayed().await.unwrap(), "the figures behind the chart");
    chrome.click("#graph-list > summary").await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    let wide = chrome.driver.execute("return document.documentElement.scrollWidth", vec![]).await.unwrap();
    assert!(wide.json().as_u64().unwrap() <= u64::from(width), "the page is too wide");

    chrome.driver.goto(app.at(&format!("{path}/steps/specialist_execution-2"))).await.unwrap();
    chrome.sees("Draft 1 → 2").await;
    chrome.sees("Give the status code of a book that is lent.").await;
    chrome.picture(&format!("{name}-step")).await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    chrome.driver.goto(app.at("/dashboard/workflows")).await.unwrap();
    chrome.sees("Design the loans of a library").await;
    chrome.picture(&format!("{name}-list")).await;
    assert_eq!(axe::violations(&chrome).await, Vec::<String>::new());
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    for url in chrome.requests().await {
        assert!(url.starts_with(&app.url) || !url.starts_with("http"), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_told_in_pictures() {
    told_in_pictures("light", Setup { window: Some((1280, 2600)), ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_told_in_pictures_in_the_dark() {
    told_in_pictures("dark", Setup { window: Some((1280, 2600)), dark: true, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_told_in_pictures_on_a_phone() {
    told_in_pictures("phone", Setup { window: Some((360, 3600)), ..Setup::default() }).await;
}
