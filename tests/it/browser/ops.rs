//! What an operator does: ticks jobs, cancels and retries them, mends a payload, pauses a queue, drains a
//! worker, resets a provider.

use std::{sync::Arc, time::Duration};

use productforge::{
    llm::ModelErrorKind,
    service::tasks::NewTask,
    store::{Change, Enqueue, Queue},
};
use thirtyfour::prelude::*;

use crate::support::{
    scripted::{Line, Scripted},
    wait::until,
};

use super::{
    app::TestApp,
    axe,
    chrome::{Chrome, Setup},
};

async fn submit(app: &TestApp, job: &str) -> String {
    let task = NewTask { job: job.to_owned(), ..NewTask::default() };
    app.services.tasks.submit(task).await.unwrap().job_id
}

async fn push(app: &TestApp, payload: &str) {
    let enqueue = Enqueue { queue: Queue::Normal, payload: payload.as_bytes().to_vec(), due_at: None };
    let store = &app.services.execution.foundation().store;
    store.apply(Change::new().enqueue(enqueue)).await.unwrap().unwrap();
}

async fn state_of(app: &TestApp, id: &str, state: &str) {
    until(&format!("{id} is {state}"), || async {
        (app.services.jobs.get(id).await.unwrap().job.state.as_str() == state).then_some(())
    })
    .await;
}

/// Nothing is wider than its window, and nobody meets a barrier.
async fn is_sound(chrome: &Chrome, name: &str) {
    assert_eq!(axe::violations(chrome).await, Vec::<String>::new(), "{name}");
    let measure = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let over = chrome.driver.execute(measure, vec![]).await.unwrap();
    assert_eq!(over.json(), 0, "{name} is too wide");
}

async fn only_from_here(app: &TestApp, chrome: &Chrome) {
    assert_eq!(chrome.complaints().await, Vec::<String>::new());
    let strange: Vec<_> = chrome
        .requests()
        .await
        .into_iter()
        .filter(|url| !url.starts_with(&app.url) && url.starts_with("http"))
        .collect();
    assert_eq!(strange, Vec::<String>::new());
}

/// Fails until it is told otherwise, and then takes its time with what is slow.
fn moody() -> (Arc<Scripted>, Arc<std::sync::atomic::AtomicBool>) {
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rule = mended.clone();
    let provider = Scripted::new(move |_, _| match rule.load(std::sync::atomic::Ordering::SeqCst) {
        true => Line::Say("It is done.".to_owned()),
        false => Line::Fail(ModelErrorKind::Unavailable),
    });
    (provider, mended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_jobs_are_ticked_and_tried_again() {
    let (provider, mended) = moody();
    let app = TestApp::with(provider).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(submit(&app, &format!("Translate chapter {n} of the manual")).await);
    }
    for id in &ids {
        state_of(&app, id, "failed").await;
    }
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.sees("3 jobs are dead").await;
    chrome.click("#tiles .alert a").await;
    chrome.sees("attempts used up").await;
    is_sound(&chrome, "dead set").await;
    chrome.click("#all").await;
    chrome.sees("3 ticked").await;
    chrome.click(&format!("[id='t-{}']", ids[0])).await;
    chrome.sees("2 ticked").await;
    let all = chrome.driver.find(By::Css("#all")).await.unwrap();
    assert!(!all.is_selected().await.unwrap(), "not all are ticked any more");
    chrome.picture("ops-dead-set").await;
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    chrome.click("button[value=retry]").await;
    chrome.sees("2 jobs are tried again.").await;
    state_of(&app, &ids[1], "completed").await;
    state_of(&app, &ids[2], "completed").await;
    assert_eq!(app.services.jobs.get(&ids[0]).await.unwrap().job.state.as_str(), "failed");

    // The last one from its own page, with what it went through.
    chrome.driver.goto(app.at(&format!("/dashboard/jobs/{}", ids[0]))).await.unwrap();
    chrome.sees("attempts used up").await;
    chrome.picture("ops-job-dead").await;
    is_sound(&chrome, "dead job").await;
    chrome.click("#retry button").await;
    chrome.sees("The job is tried again.").await;
    // Live: it can be deleted when it has ended.
    let ended = || async { chrome.driver.find(By::Css("#job-state .badge.completed")).await.ok() };
    until("the page shows the end", ended).await;
    chrome.picture("ops-job-completed").await;
    chrome.click("#ask-delete > summary").await;
    chrome.click("#ask-delete button").await;
    chrome.sees("The job is deleted.").await;
    only_from_here(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_payload_is_mended_by_hand() {
    let app = TestApp::open(Duration::ZERO).await;
    push(&app, r#"{"job": "Summarise the release notes", "agent_name": }"#).await;
    let chrome = Chrome::with(Setup { dark: true, ..Setup::default() }).await;
    let dead = "/dashboard/jobs?state=dead";
    app.page_says(dead, "unreadable").await;
    chrome.driver.goto(app.at(dead)).await.unwrap();
    chrome.click("#job-rows th a").await;
    chrome.sees("Retry with a corrected payload").await;
    chrome.click("#mend ~ form button").await;
    chrome.sees("It was not tried again").await;
    chrome.sees("It is not JSON").await;
    chrome.picture("ops-job-unreadable-dark").await;
    is_sound(&chrome, "unreadable job").await;
    let area = chrome.driver.find(By::Css("#payload")).await.unwrap();
    assert!(area.value().await.unwrap().unwrap().contains("Summarise the release notes"), "what was typed");
    area.clear().await.unwrap();
    chrome.type_into("#payload", r#"{"job": "Summarise the release notes"}"#).await;
    chrome.click("#mend ~ form button").await;
    chrome.sees("The job is tried again.").await;
    chrome.sees("Open the result").await;
    only_from_here(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_paused_and_a_worker_drained_while_somebody_watches() {
    let held = Scripted::held(|_, _| Line::Say("done".to_owned()));
    let app = TestApp::with(held.clone()).await;
    let running = submit(&app, "Review the pull request").await;
    until("it runs", || async { (held.calls() == 1).then_some(()) }).await;
    let chrome = Chrome::start().await;
    chrome.driver.goto(app.at("/dashboard/queues")).await.unwrap();
    chrome.sees("takes work").await;
    chrome.click("#pause-normal button").await;
    chrome.sees("The queue is paused").await;
    for n in 0..7 {
        submit(&app, &format!("Check the links of page {n}")).await;
    }
    // The page is live: what came is there without a reload.
    chrome.sees("and 2 more").await;
    // Ticked open, it stays open through refreshes.
    chrome.click("#worker-rows .ask > summary").await;
    submit(&app, "One more").await;
    chrome.sees("and 3 more").await;
    chrome.sees("Only a new start of its process brings it back").await;
    chrome.picture("ops-queues").await;
    is_sound(&chrome, "queues").await;
    chrome.click("#worker-rows .ask button").await;
    chrome.sees("The worker drains").await;
    chrome.sees("finishes what it has").await;
    chrome.picture("ops-queues-draining").await;
    is_sound(&chrome, "queues with a draining worker").await;
    chrome.click("#resume-normal button").await;
    chrome.sees("The queue goes on.").await;
    held.release();
    state_of(&app, &running, "completed").await;
    // Nobody takes the others.
    assert_eq!(held.calls(), 1);
    chrome.driver.goto(app.at("/dashboard/")).await.unwrap();
    chrome.sees("8 jobs wait and no worker takes any").await;
    chrome.picture("ops-overview-nobody").await;
    chrome.driver.goto(app.at("/dashboard/system")).await.unwrap();
    chrome.sees("All of them drain").await;
    chrome.picture("ops-system").await;
    is_sound(&chrome, "system").await;
    only_from_here(&app, &chrome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_javascript_all_on_a_page_are_cancelled_after_a_question() {
    let held = Scripted::held(|_, _| Line::Say("done".to_owned()));
    let app = TestApp::with(held.clone()).await;
    app.services.queues.pause("normal", true).await.unwrap();
    let ids = [submit(&app, "One").await, submit(&app, "Two").await];
    let chrome = Chrome::with(Setup { without_javascript: true, ..Setup::default() }).await;
    chrome.driver.goto(app.at("/dashboard/jobs?state=queued")).await.unwrap();
    let seen = chrome.sees("the normal queue is paused").await;
    assert!(seen.contains("2 of 2 jobs"), "{seen}");
    let button = chrome.driver.find(By::Css("button[value=cancel]")).await.unwrap();
    assert!(!button.is_displayed().await.unwrap(), "it asks first");
    chrome.click("#all").await;
    chrome.click(".bar .ask > summary").await;
    chrome.click("button[value=cancel]").await;
    chrome.sees("2 jobs are cancelled.").await;
    for id in &ids {
        state_of(&app, id, "cancelled").await;
    }
    chrome.driver.goto(app.at(&format!("/dashboard/jobs/{}", ids[0]))).await.unwrap();
    chrome.sees("Somebody cancelled it.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_are_made_for_phones_too() {
    let (provider, mended) = moody();
    let app = TestApp::with(provider).await;
    let id = submit(&app, "Translate the manual").await;
    state_of(&app, &id, "failed").await;
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    for n in 0..5 {
        let id = submit(&app, &format!("Write test number {n}")).await;
        state_of(&app, &id, "completed").await;
    }
    app.services.queues.pause("normal", true).await.unwrap();
    for n in 0..3 {
        submit(&app, &format!("Draft section {n} of the handbook")).await;
    }
    let job = format!("/dashboard/jobs/{id}");
    let pages = [
        ("overview", "/dashboard/"),
        ("jobs", "/dashboard/jobs"),
        ("job", job.as_str()),
        ("queues", "/dashboard/queues"),
        ("system", "/dashboard/system"),
    ];
    for (name, setup) in [
        ("phone-light", Setup { window: Some((360, 2600)), ..Setup::default() }),
        ("phone-dark", Setup { window: Some((360, 2600)), dark: true, ..Setup::default() }),
        ("desk-light", Setup { window: Some((1280, 1900)), ..Setup::default() }),
        ("desk-dark", Setup { window: Some((1280, 1900)), dark: true, ..Setup::default() }),
    ] {
        let chrome = Chrome::with(setup).await;
        for (page, path) in pages {
            chrome.driver.goto(app.at(path)).await.unwrap();
            chrome.picture(&format!("ops-{name}-{page}")).await;
            is_sound(&chrome, &format!("{page} in {name}")).await;
        }
        assert_eq!(chrome.complaints().await, Vec::<String>::new());
    }
}
