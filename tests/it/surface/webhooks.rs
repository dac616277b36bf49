//! Webhooks: a workflow reports its end to the address that its brief named.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use productforge::outgoing::{Allowed, Guard};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    app::TestApp,
    engines::Engine,
    receiver::{Received, Receiver},
    wait::until,
};

on_both_engines!(
    the_end_of_a_workflow_is_reported_and_signed,
    a_report_is_tried_again_under_the_same_id,
    work_that_waits_for_a_person_is_reported_and_its_end_as_well,
    a_cancelled_workflow_is_reported,
    a_redirect_is_not_followed,
    a_receiver_that_is_gone_is_asked_no_more,
    addresses_that_are_not_public_are_refused_at_once,
    without_a_secret_nothing_is_promised,
    a_receiver_that_never_answers_holds_up_nobody_else,
    a_worker_without_the_secret_leaves_reports_to_others,
);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn app(engine: &Engine, allow: &'static str) -> TestApp {
    let variables = [("WEBHOOK_SECRET", SECRET), ("WEBHOOK_ALLOW", allow)];
    engine.app().variables(&variables).worker().start().await
}

async fn start(app: &TestApp, url: &str, more: Value) -> String {
    let mut brief = json!({"job": "Write a haiku", "callback_url": url});
    brief.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.post("/orchestrate", &brief).await.ok()["workflow_id"].as_str().unwrap().to_owned()
}

/// The callback of a workflow once it is in this state.
async fn callback(app: &TestApp, id: &str, state: &str) -> Value {
    until(&format!("the callback is {state}"), || async {
        let workflow = app.get(&format!("/workflows/{id}")).await.ok();
        let callback = workflow["workflow"]["callback"].clone();
        (callback["state"] == state).then_some(callback)
    })
    .await
}

/// What the page of the workflow says of its reports.
async fn assert_page_says(app: &TestApp, id: &str, says: &str) -> String {
    let page = app.get(&format!("/dashboard/workflows/{id}")).await.text;
    assert!(page.contains(says), "{says}: {page}");
    page
}

fn is_signed(received: &Received) -> bool {
    let secret = BASE64_STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    let (id, time) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    mac.update(format!("{id}.{time}.{}", received.body).as_bytes());
    received.header("webhook-signature")
        == format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

async fn the_end_of_a_workflow_is_reported_and_signed(engine: Engine) {
    let receiver = Receiver::start(&[200]);
    let app = app(&engine, "127.0.0.1").await;
    let id = start(&app, &receiver.url("/hook?of=mine"), json!({"requires_qa": true})).await;
    let received = receiver.received(1).await.remove(0);
    assert_eq!(received.line, "POST /hook?of=mine HTTP/1.1");
    assert!(is_signed(&received), "{received:?}");
    let body: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(body["type"], "workflow.completed");
    assert_eq!(body["data"], json!({"workflow_id": id, "status": "completed"}));
    assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
    let callback = callback(&app, &id, "delivered").await;
    assert_eq!(
        (&callback["attempts"], &callback["last_status"], &callback["event"]),
        (&json!(1), &json!(200), &json!("completed"))
    );
    let page = assert_page_says(&app, &id, "127.0.0.1: <span>“completed” was delivered at try 1").await;
    assert!(!page.contains("of=mine"), "the rest of the address may hold a secret");
}

async fn a_report_is_tried_again_under_the_same_id(engine: Engine) {
    let receiver = Receiver::start(&[503, 200]);
    let app = app(&engine, "127.0.0.0/8").await;
    let id = start(&app, &receiver.url("/"), json!({})).await;
    let waiting = callback(&app, &id, "waiting").await;
    assert_eq!(waiting["event"], "completed");
    let received = receiver.received(2).await;
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    assert_eq!(received[0].body, received[1].body);
    assert!(received.iter().all(is_signed));
    let callback = callback(&app, &id, "delivered").await;
    assert_eq!((&callback["attempts"], &callback["last_status"]), (&json!(2), &json!(200)));
}

async fn work_that_waits_for_a_person_is_reported_and_its_end_as_well(engine: Engine) {
    let receiver = Receiver::start(&[200]);
    let app = app(&engine, "127.0.0.1").await;
    let id = start(&app, &receiver.url("/"), json!({"approval": true})).await;
    let first = receiver.received(1).await.remove(0);
    assert!(first.body.contains("workflow.paused"), "{first:?}");
    callback(&app, &id, "delivered").await;
    app.post(&format!("/workflows/{id}/approve"), &json!({})).await.ok();
    let both = receiver.received(2).await;
    assert!(both[1].body.contains("workflow.completed"), "{both:?}");
    assert_ne!(both[0].header("webhook-id"), both[1].header("webhook-id"));
}

async fn a_cancelled_workflow_is_reported(engine: Engine) {
    let receiver = Receiver::start(&[204]);
    let app = app(&engine, "127.0.0.1").await;
    let id = start(&app, &receiver.url("/"), json!({"delay_seconds": 3600})).await;
    app.post(&format!("/workflows/{id}/cancel"), &json!({})).await.ok();
    assert!(receiver.received(1).await[0].body.contains("workflow.cancelled"));
    assert_eq!(callback(&app, &id, "delivered").await["last_status"], 204);
}

async fn a_redirect_is_not_followed(engine: Engine) {
    let receiver = Receiver::start(&[302]);
    let app = app(&engine, "127.0.0.1").await;
    let id = start(&app, &receiver.url("/"), json!({})).await;
    let callback = until("it was tried", || async {
        let workflow = app.get(&format!("/workflows/{id}")).await.ok();
        let callback = workflow["workflow"]["callback"].clone();
        (callback["attempts"] == 1).then_some(callback)
    })
    .await;
    assert_eq!((&callback["state"], &callback["last_status"]), (&json!("waiting"), &json!(302)));
    assert_page_says(&app, &id, "127.0.0.1: <span>“completed” was not accepted at try 1, and is tried again")
        .await;
    assert_eq!(receiver.received(1).await.len(), 1);
}

async fn a_receiver_that_is_gone_is_asked_no_more(engine: Engine) {
    let receiver = Receiver::start(&[410]);
    let app = app(&engine, "127.0.0.1").await;
    let id = start(&app, &receiver.url("/"), json!({})).await;
    assert_eq!(callback(&app, &id, "given_up").await["last_status"], 410);
    let says = "127.0.0.1: <span class=\"warn\">“completed” was given up after try 1";
    assert_page_says(&app, &id, says).await;
}

async fn addresses_that_are_not_public_are_refused_at_once(engine: Engine) {
    let app = engine.app().variables(&[("WEBHOOK_SECRET", SECRET)]).start().await;
    for url in [
        "http://127.0.0.1/",
        "http://localhost:8000/agents/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
        "ftp://example.com/",
        "https://user:word@example.com/",
        "no address",
    ] {
        let bad = app.post("/orchestrate", &json!({"job": "x", "callback_url": url})).await.bad_fields();
        assert_eq!(bad, [("url_not_allowed".to_owned(), "body.callback_url".to_owned())], "{url}");
    }
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0, "nothing was begun");
    app.post("/orchestrate", &json!({"job": "x", "callback_url": "https://example.com/hook"})).await.ok();
}

#[tokio::test]
async fn a_name_that_turns_out_private_is_not_connected_to() {
    let receiver = Receiver::start(&[200]);
    let url = receiver.url("/").replace("127.0.0.1", "localhost");
    let strict = Guard::new(Allowed::default()).client(Duration::from_secs(5)).unwrap();
    let error = strict.post(&url).body("{}").send().await.unwrap_err();
    assert!(format!("{error:?}").contains("has an address that is not public"), "{error:?}");
    assert_eq!(receiver.count(), 0);
    let hosts = vec!["localhost".to_owned()];
    let open = Guard::new(Allowed { hosts, networks: Vec::new() }).client(Duration::from_secs(5)).unwrap();
    assert_eq!(open.post(&url).body("{}").send().await.unwrap().status(), 200);
}

async fn without_a_secret_nothing_is_promised(engine: Engine) {
    let app = engine.app().start().await;
    let answer = app.post("/orchestrate", &json!({"job": "x", "callback_url": "https://example.com/"})).await;
    assert_eq!(answer.bad_fields(), [("not_supported".to_owned(), "body.callback_url".to_owned())]);
    assert!(answer.text.contains("WEBHOOK_SECRET"));
}

async fn a_receiver_that_never_answers_holds_up_nobody_else(engine: Engine) {
    // Its queue takes connections, and nobody takes them out of it.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let receiver = Receiver::start(&[200]);
    let app = app(&engine, "127.0.0.1,localhost").await;
    let mut held = Vec::new();
    for _ in 0..24 {
        held.push(start(&app, &silent_url, json!({})).await);
    }
    for id in &held {
        callback(&app, id, "waiting").await;
    }
    // Another host: limits are by name.
    let quick = receiver.url("/").replace("127.0.0.1", "localhost");
    let id = start(&app, &quick, json!({})).await;
    callback(&app, &id, "delivered").await;
    let first = &app.get(&format!("/workflows/{}", held[0])).await.ok()["workflow"]["callback"];
    assert_eq!(first["last_error"], json!(null), "none of them was given up yet: {first}");
}

async fn a_worker_without_the_secret_leaves_reports_to_others(engine: Engine) {
    let receiver = Receiver::start(&[200]);
    let without = engine.app().worker().start().await;
    let server = engine.app().variables(&[("WEBHOOK_SECRET", SECRET), ("WEBHOOK_ALLOW", "127.0.0.1")]);
    let server = server.start().await;
    let id = start(&server, &receiver.url("/"), json!({})).await;
    callback(&server, &id, "waiting").await;
    // Somebody who can sign comes.
    let with = app(&engine, "127.0.0.1").await;
    assert_eq!(callback(&with, &id, "delivered").await["attempts"], 1);
    drop(without);
}
