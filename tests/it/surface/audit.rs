//! The audit log: who has changed what.

use std::{io::Write, net::TcpStream, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use super::named_keys::made;
use crate::support::{
    app::{KEY, TestApp},
    engines::Engine,
    logs,
    wait::until,
};

on_both_engines!(
    a_change_is_noted_with_its_key_address_and_request,
    what_changes_nothing_is_no_entry,
    refused_attempts_are_noted_but_not_without_end,
    no_body_no_query_and_no_key_is_kept,
    it_is_listed_newest_first_by_pages_and_filters,
    bad_filters_are_named,
    the_dashboard_notes_its_changes_and_shows_them,
    what_was_noted_is_stored_at_the_stop,
    a_long_method_is_refused_and_not_kept,
    refused_attempts_of_strangers_do_not_hide_those_of_a_key,
    a_login_is_noted_with_its_key,
);

async fn entries(app: &TestApp, query: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} entries of {query}"), || async {
        let found = app.get(&format!("/audit?{query}")).await.ok()["entries"].as_array().unwrap().clone();
        (found.len() >= count).then_some(found)
    })
    .await
}

async fn add_agent(app: &TestApp, name: &str) {
    app.post("/agents/", &json!({"name": name, "role": "Tester"})).await.ok();
}

async fn a_change_is_noted_with_its_key_address_and_request(engine: Engine) {
    logs::keep();
    let app = engine.app().locked().start().await;
    let id = format!("audited-{}", engine.name());
    let brief = json!({"job": "Write a haiku"});
    let started = app.request(Method::POST, "/orchestrate").header("x-request-id", &id).json(&brief);
    let workflow = started.send().await.unwrap().json::<Value>().await.unwrap()["workflow_id"].clone();
    let path = format!("/workflows/{}/cancel", workflow.as_str().unwrap());
    app.post(&path, &json!({})).await.ok();
    let found = entries(&app, "", 2).await;
    assert_eq!(found[0]["operation"], "POST /workflows/{workflow_id}/cancel");
    assert_eq!(found[0]["path"], path);
    let first = &found[1];
    for (field, value) in [
        ("operation", json!("POST /orchestrate")),
        ("outcome", json!("done")),
        ("status", json!(200)),
        ("key", json!("default")),
        ("ip", json!("127.0.0.1")),
        ("request_id", json!(id)),
    ] {
        assert_eq!(first[field], value, "{first}");
    }
    assert!(logs::of_request(&id).iter().any(|record| record.target == "audit"), "it is in the log, too");
}

async fn what_changes_nothing_is_no_entry(engine: Engine) {
    let app = engine.app().locked().start().await;
    app.get("/agents/").await;
    app.post("/orchestrate", &json!({"job": ""})).await.problem(422);
    app.delete("/agents/nobody").await.problem(404);
    let task = || {
        app.request(Method::POST, "/results/task").header("idempotency-key", "k1").json(&json!({"job": "x"}))
    };
    task().send().await.unwrap();
    task().send().await.unwrap();
    add_agent(&app, "last").await;
    let found = entries(&app, "", 2).await;
    let operations: Vec<_> = found.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["POST /agents/", "POST /results/task"], "a repetition did nothing");
}

async fn refused_attempts_are_noted_but_not_without_end(engine: Engine) {
    let app = engine.app().locked().start().await;
    for _ in 0..30 {
        assert_eq!(app.bare(Method::POST, "/orchestrate").send().await.unwrap().status(), 401);
    }
    add_agent(&app, "last").await;
    let found = entries(&app, "operation=agents", 1).await;
    assert_eq!(found[0]["operation"], "POST /agents/");
    let found = entries(&app, "", 11).await;
    assert!(found.len() < 20, "ten at once and ten a minute are kept: {}", found.len());
    let refused = &found[1];
    assert_eq!(
        (&refused["outcome"], &refused["status"], &refused["key"]),
        (&json!("refused"), &json!(401), &json!(null))
    );
}

async fn no_body_no_query_and_no_key_is_kept(engine: Engine) {
    let app = engine.app().locked().start().await;
    let hush = "hush-hush";
    let request =
        app.request(Method::POST, &format!("/results/task?token={hush}")).json(&json!({"job": hush}));
    request.bearer_auth(hush).send().await.unwrap();
    entries(&app, "", 1).await;
    let text = app.get("/audit").await.text;
    assert!(!text.contains(hush) && !text.contains(KEY), "{text}");
}

async fn it_is_listed_newest_first_by_pages_and_filters(engine: Engine) {
    let app = engine.app().locked().start().await;
    for n in 0..7 {
        add_agent(&app, &format!("agent-{n}")).await;
    }
    app.delete("/agents/agent-3").await.ok();
    entries(&app, "", 8).await;
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = app.get(&format!("/audit?limit=3{cursor}")).await.ok();
        seen.extend(page["entries"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.windows(2).all(|pair| pair[0]["at"].as_str() >= pair[1]["at"].as_str()));
    let only = app.get("/audit?operation=delete").await.ok();
    assert_eq!(
        (only["count"].clone(), only["entries"][0]["path"].clone()),
        (json!(1), json!("/agents/agent-3"))
    );
    assert_eq!(app.get("/audit?key=default").await.ok()["count"], 8);
    assert_eq!(app.get("/audit?key=nobody").await.ok()["count"], 0);
    let third = seen[2]["at"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(app.get(&format!("/audit?since={third}")).await.ok()["count"], 3);
    assert_eq!(app.get("/audit?since=2999-01-01T00:00:00Z").await.ok()["count"], 0);
}

async fn bad_filters_are_named(engine: Engine) {
    let app = engine.app().start().await;
    for (query, field) in
        [("since=yesterday", "query.since"), ("limit=0", "query.limit"), ("cursor=%21", "query.cursor")]
    {
        let bad = app.get(&format!("/audit?{query}")).await.bad_fields();
        assert_eq!(bad.iter().map(|(_, loc)| loc.as_str()).collect::<Vec<_>>(), [field]);
    }
}

async fn the_dashboard_notes_its_changes_and_shows_them(engine: Engine) {
    let app = engine.app().start().await;
    let form = [("job", "Write a haiku"), ("requires_qa", "on")];
    let answer = app.form("/dashboard/brief", &form).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    let found = entries(&app, "operation=dashboard", 1).await;
    assert_eq!(
        (&found[0]["operation"], &found[0]["outcome"]),
        (&json!("POST /dashboard/brief"), &json!("done"))
    );
    let page = app.get("/dashboard/audit").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("POST /dashboard/brief") && page.text.contains("127.0.0.1"), "{}", page.text);
    let none = app.get("/dashboard/audit?operation=nothing-like-it").await;
    assert!(none.text.contains("No entry fits"), "{}", none.text);
}

async fn what_was_noted_is_stored_at_the_stop(engine: Engine) {
    let app = engine.app().start().await;
    for n in 0..150 {
        add_agent(&app, &format!("agent-{n}")).await;
    }
    app.app.services.audit.flush().await;
    let count = app.app.store.count(&productforge::service::records::audit_entries()).await.unwrap();
    assert_eq!(count, 150);
}

async fn a_long_method_is_refused_and_not_kept(engine: Engine) {
    logs::keep();
    let app = engine.app().locked().start().await;
    let id = format!("long-method-{}", engine.name());
    let answer =
        app.raw_line(&format!("{} /agents/", "A".repeat(60_000)), &format!("X-Request-ID: {id}\r\n"));
    assert_eq!(answer.status, 501);
    let lines = logs::of_request(&id);
    assert!(lines.iter().any(|line| line.target == "access"), "{lines:?}");
    assert!(lines.iter().all(|line| line.text.len() < 1_000), "its beginning is enough");
    // Unknown methods that are short are as before: strangers are told that a key is missing.
    assert_eq!(app.raw_line("BREW /agents/", "").status, 401);
    let found = entries(&app, "", 1).await;
    assert!(found.iter().all(|entry| entry["operation"].as_str().unwrap().len() < 600), "{found:?}");
}

async fn refused_attempts_of_strangers_do_not_hide_those_of_a_key(engine: Engine) {
    let app = engine.app().locked().start().await;
    let reader = made(&app, "reader", "read").await;
    for _ in 0..30 {
        assert_eq!(app.bare(Method::POST, "/orchestrate").send().await.unwrap().status(), 401);
    }
    let request = app.bare(Method::POST, "/orchestrate").header("x-api-key", &reader.secret);
    assert_eq!(request.json(&json!({"job": "x"})).send().await.unwrap().status(), 403);
    let found = entries(&app, "key=reader", 1).await;
    assert_eq!((&found[0]["outcome"], &found[0]["status"]), (&json!("refused"), &json!(403)));
}

async fn a_login_is_noted_with_its_key(engine: Engine) {
    let app = engine.app().locked().start().await;
    let reader = made(&app, "reader", "read").await;
    for (key, name) in [(KEY, "default"), (reader.secret.as_str(), "reader")] {
        let login = app.form("/dashboard/login", &[("key", key)]).send().await.unwrap();
        assert_eq!(login.status(), 303);
        let found = entries(&app, &format!("key={name}&operation=login"), 1).await;
        assert_eq!(found[0]["operation"], "POST /dashboard/login");
    }
}

/// A store that does not answer holds the request while its client goes away.
#[tokio::test]
async fn who_goes_away_before_the_answer_leaves_an_entry() {
    logs::keep();
    let engine = Engine::redis();
    let server = engine.server.as_ref().unwrap();
    let app = engine.app().locked().start().await;
    app.get("/agents/").await.ok();
    server.freeze(true);
    let body = "{\"job\": \"x\"}";
    let head = format!(
        "POST /results/task HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nX-Request-ID: gone-away"
    );
    let mut under_way: Option<TcpStream> = None;
    // Whether a request was read before its connection is reset nobody can see: some more are sent.
    until("it is noted", || {
        if let Some(stream) = under_way.take() {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let mut stream = TcpStream::connect(app.addr).unwrap();
        let rest = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        write!(stream, "{head}\r\n{rest}").unwrap();
        under_way = Some(stream);
        let mut audited = logs::all().into_iter().filter(|record| record.target == "audit");
        let noted = audited.any(|record| record.request_id.as_deref() == Some("gone-away"));
        async move { noted.then_some(()) }
    })
    .await;
    server.freeze(false);
    let found = until("it is kept", || async {
        let found =
            app.get("/audit?operation=results/task").await.ok()["entries"].as_array().unwrap().clone();
        found.into_iter().find(|entry| entry["status"] == 499)
    })
    .await;
    assert_eq!((&found["outcome"], &found["key"]), (&json!("failed"), &json!("default")));
    assert_eq!(found["operation"], "POST /results/task");
}
