//! What foreign programs put into the queues.

use std::time::Duration;

use productforge::{
    model::{DeadJob, DeadReason, ResultStatus},
    service::{ResultFilter, records},
    store::{Change, Enqueue, ListQuery, Queue},
};

use crate::support::{
    scripted::chain,
    wait::until,
    world::{idle, push, world},
};

#[tokio::test]
async fn a_legacy_payload_runs_and_is_indexed() {
    let app = world(&[], chain(|_| "approve"));
    let worker = app.start_worker();
    push(
        &app,
        Queue::High,
        r#"{"job_id":"legacy-1","job":"hello","task":"hello","agent_name":"qa_bot","priority":"high","requires_qa":false,"created_at":"2026-11-22T10:17:55.399729","mode":"agent_dispatch","surprise":[1,2]}"#,
    )
    .await;
    let result = until("a result", || async { app.services.results.find("legacy-1").await.unwrap() }).await;
    assert_eq!(
        (result.status, result.agent.as_str(), result.role.as_deref()),
        (ResultStatus::Completed, "qa_bot", Some("QA"))
    );
    assert_eq!(app.services.results.list(&ResultFilter::default(), 10, None).await.unwrap().total, Some(1));
    assert_eq!(
        app.services.results.list(&ResultFilter::of_agent("qa_bot"), 10, None).await.unwrap().items.len(),
        1
    );
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_payload_without_an_id_gets_one_and_runs_once() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    push(&app, Queue::Low, r#"{"job":"no id","role":"QA","agent":"debugger_bot"}"#).await;
    push(&app, Queue::Low, r#"{"job_id":null,"job":"null id"}"#).await;
    push(&app, Queue::Low, r#"{"job_id":1795342704.93,"job":"a number as id","created_at":7,"mode":[]}"#)
        .await;
    until("three results", || async {
        (app.services.results.list(&ResultFilter::default(), 10, None).await.unwrap().total == Some(3))
            .then_some(())
    })
    .await;
    assert_eq!(provider.calls(), 3);
    assert!(app.services.results.find("1795342704.93").await.unwrap().is_some());
    assert_eq!(
        app.services
            .results
            .list(&ResultFilter::of_agent("debugger_bot"), 10, None)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

#[tokio::test]
async fn a_payload_that_is_no_job_goes_to_the_dead_set_with_its_raw_bytes() {
    let provider = chain(|_| "approve");
    let app = world(&[], provider.clone());
    let worker = app.start_worker();
    let bad: [&[u8]; 6] =
        [b"{half a jo", b"[1,2]", b"\xff\xfe\x00", br#"{"job":7}"#, br#"{"job_id":"x"}"#, b""];
    for payload in bad {
        let enqueue = Enqueue { queue: Queue::Normal, payload: payload.to_vec(), due_at: None };
        app.store.apply(Change::new().enqueue(enqueue)).await.unwrap().unwrap();
    }
    idle(&app).await;
    let page = app.store.list(&ListQuery::newest(records::DEAD_JOB, 100)).await.unwrap();
    let dead: Vec<DeadJob> = page.docs.iter().map(|d| d.parse().unwrap()).collect();
    assert_eq!(dead.len(), bad.len());
    // Whoever pushed the one that has an id may wait for its result.
    let result = app.services.results.find("x").await.unwrap().unwrap();
    assert_eq!(result.status, ResultStatus::Failed);
    assert!(result.error.unwrap().contains("nothing to do"));
    assert!(dead.iter().all(|d| d.reason == DeadReason::Unreadable && !d.error.is_empty()));
    assert!(dead.iter().any(|d| d.payload_text.as_deref() == Some("{half a jo")));
    assert!(dead.iter().any(|d| d.payload_base64.as_deref() == Some("//4A")));
    assert_eq!(provider.calls(), 0);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}
