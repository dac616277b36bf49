//! Who gets where: every operation of the document × every kind of key × every spelling of its path.
//!
//! The expectation comes from the document alone: the scope in an operation's `security`.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use productforge::{
    http::{dashboard::routes::PAGES as DASHBOARD, rights, routes},
    model::Scope,
};
use serde_json::{Value, json};

use super::named_keys::{Maker, expired, made, revoked};
use crate::support::{
    app::{KEY, TestApp},
    engines::Engine,
};

on_both_engines!(every_operation_by_every_key_in_every_spelling, other_methods_show_nothing);

/// What must not be seen without right.
const MARK: &str = "xylophone-secret";

/// An operation: its method, a path that leads to it, and what it needs; `None`: it is public.
struct Operation {
    method: String,
    path: String,
    scope: Option<Scope>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // A name that nothing has: what a key may do, it does to nothing.
        let filled: Vec<_> =
            path.split('/').map(|s| if s.starts_with('{') { "nothing" } else { s }).collect();
        for (method, operation) in item.as_object().unwrap() {
            let scopes: BTreeSet<&str> = operation["security"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|way| way.as_object().unwrap().values())
                .map(|roles| roles[0].as_str().unwrap())
                .collect();
            assert!(scopes.len() <= 1, "{method} {path}: {scopes:?}");
            let scope = scopes.first().map(|word| Scope::parse(word).unwrap());
            found.push(Operation { method: method.to_uppercase(), path: filled.join("/"), scope });
        }
    }
    assert!(found.len() > 60, "{}", found.len());
    found
}

/// A way to ask: what is sent as a key, and what that may do. `Err`: nothing, for the reason that the answer has.
struct Asker {
    name: &'static str,
    key: Option<String>,
    may: Result<Scope, &'static str>,
}

async fn askers(app: &TestApp) -> Vec<Asker> {
    let asker = |name, key: Option<String>, may| Asker { name, key, may };
    vec![
        asker("no key", None, Err("Unauthorized")),
        asker("a wrong key", Some("wrong".to_owned()), Err("Unauthorized")),
        asker("a made-up key", Some(format!("pf_abcdEF12_{}", "x".repeat(40))), Err("Unauthorized")),
        asker("a revoked key", Some(revoked(app, "gone").await), Err("is revoked")),
        asker("an expired key", Some(expired(app, "late").await), Err("is expired")),
        asker("read", Some(made(app, "reader", "read").await.secret), Ok(Scope::Read)),
        asker("run", Some(made(app, "runner", "run").await.secret), Ok(Scope::Run)),
        asker("admin", Some(made(app, "boss", "admin").await.secret), Ok(Scope::Admin)),
        asker("API_KEY", Some(KEY.to_owned()), Ok(Scope::Admin)),
    ]
}

/// Spellings of a path that some server somewhere takes for the same.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.strip_prefix('/').unwrap();
    let encoded: String =
        rest.bytes().map(|b| if b == b'/' { "/".to_owned() } else { format!("%{b:02x}") }).collect();
    let odd_case: String = path.chars().map(|c| c.to_ascii_uppercase()).collect();
    let all = vec![
        format!("{path}/"),
        format!("/{path}"),
        path.replacen('/', "//", 2),
        format!("/{encoded}"),
        path.replacen('/', "/%2f", 2).replacen("/%2f", "/", 1),
        odd_case,
        format!("{path};x"),
        format!("/.{path}"),
        format!("{path}/."),
        format!("/docs/..{path}"),
        format!("/x/..{path}"),
        format!("/keys/me/../..{path}"),
        format!("/system/ping/%2e%2e/%2e%2e{path}"),
        format!("http://127.0.0.1{path}"),
    ];
    // Of a short path some are what it is.
    all.into_iter().filter(|spelling| spelling != path).collect()
}

struct Seen {
    status: u16,
    head: String,
    body: String,
}

/// Sends a request as it is. Of a stream of events, which has no end, only the head is read.
fn ask(app: &TestApp, method: &str, target: &str, key: Option<&str>) -> Seen {
    let mut stream = TcpStream::connect(app.addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let key = key.map_or_else(String::new, |key| format!("X-API-Key: {key}\r\n"));
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut text, mut piece) = (Vec::new(), [0_u8; 16_384]);
    loop {
        let read = stream.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..read]);
        let said = String::from_utf8_lossy(&text);
        let whole_head = said.contains("\r\n\r\n");
        if read == 0 || (whole_head && said.contains("text/event-stream")) {
            let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            return Seen { status, head: head.to_ascii_lowercase(), body: body.to_owned() };
        }
    }
}

/// Something to be seen and something to be changed.
async fn with_data(engine: &Engine) -> TestApp {
    let app = engine.app().locked().start().await;
    app.post("/agents/", &json!({"name": "secret_agent", "role": MARK, "description": MARK})).await.ok();
    app.post("/orchestrate", &json!({"job": MARK})).await.ok();
    app.post("/results/task", &json!({"job": MARK})).await.ok();
    app
}

/// How much there is of everything, what is paused, and what was spent.
async fn state(app: &TestApp) -> Vec<Value> {
    let mut found = Vec::new();
    for (path, fields) in [
        ("/workflows", &["total", "active"][..]),
        ("/jobs", &["total", "jobs"]),
        ("/keys", &["total"]),
        ("/upload/list", &["total"]),
        ("/results/", &["total"]),
        ("/reports", &["total", "reports"]),
        ("/usage", &["days"]),
    ] {
        let answer = app.get(path).await.ok();
        found.extend(fields.iter().map(|field| answer[*field].clone()));
    }
    let queues = app.get("/queues").await.ok();
    found.extend(
        queues["queues"].as_array().unwrap().iter().map(|queue| json!([queue["paused"], queue["depth"]])),
    );
    found.push(json!(app.get("/agents/").await.text.len()));
    found
}

/// An answer to somebody without right tells nothing.
fn tells_nothing(seen: &Seen, what: &str) {
    assert!(!seen.body.contains(MARK) && !seen.body.contains("secret_agent"), "{what}: {}", seen.body);
    if !seen.body.is_empty() {
        let problem: Value =
            serde_json::from_str(&seen.body).unwrap_or_else(|e| panic!("{what}: {e}: {}", seen.body));
        assert!(
            problem["type"].as_str().unwrap().starts_with("urn:productforge:problem:"),
            "{what}: {problem}"
        );
    }
}

async fn every_operation_by_every_key_in_every_spelling(engine: Engine) {
    let app = with_data(&engine).await;
    let document = app.get("/openapi.json").await.ok();
    let operations = operations(&document);
    let askers = askers(&app).await;
    let before = state(&app).await;
    for asker in askers.iter().filter(|asker| asker.may.is_err()) {
        let why = asker.may.unwrap_err();
        for operation in &operations {
            let what = format!("{} {} with {}", operation.method, operation.path, asker.name);
            let seen = ask(&app, &operation.method, &operation.path, asker.key.as_deref());
            if operation.scope.is_none() {
                assert_eq!(seen.status, 200, "{what}");
            } else {
                assert_eq!(seen.status, 401, "{what}: {}", seen.body);
                assert!(seen.body.contains(why), "{what}: {}", seen.body);
                assert!(seen.head.contains("www-authenticate: bearer realm="), "{what}: {}", seen.head);
                let says_wrong = seen.head.contains("error=\"invalid_token\"");
                assert_eq!(says_wrong, asker.key.is_some(), "{what}: {}", seen.head);
                tells_nothing(&seen, &what);
            }
            for spelling in spellings(&operation.path) {
                let what = format!("{} {spelling} with {}", operation.method, asker.name);
                let seen = ask(&app, &operation.method, &spelling, asker.key.as_deref());
                // 400: what is no request line gets to no route. The last one is another way to send the same.
                let is_public =
                    operation.scope.is_none() && spelling == format!("http://127.0.0.1{}", operation.path);
                let expected = if is_public { 200 } else { 401 };
                assert!(
                    matches!(seen.status, 400) || seen.status == expected,
                    "{what}: {} {}",
                    seen.status,
                    seen.body
                );
                if !is_public && seen.status != 400 {
                    tells_nothing(&seen, &what);
                }
            }
        }
    }
    let limited = askers.iter().filter(|asker| matches!(asker.may, Ok(Scope::Read | Scope::Run)));
    for asker in limited {
        let has = asker.may.unwrap();
        for operation in
            operations.iter().filter(|operation| operation.scope.is_some_and(|needed| needed > has))
        {
            let needed = operation.scope.unwrap().as_str();
            let what = format!("{} {} with {}", operation.method, operation.path, asker.name);
            let seen = ask(&app, &operation.method, &operation.path, asker.key.as_deref());
            assert_eq!(seen.status, 403, "{what}: {}", seen.body);
            assert!(
                seen.body.contains("insufficient-scope") && seen.body.contains(&format!("scope '{needed}'")),
                "{what}"
            );
            assert!(
                seen.head.contains("error=\"insufficient_scope\"")
                    && seen.head.contains(&format!("scope=\"{needed}\"")),
                "{what}: {}",
                seen.head
            );
            tells_nothing(&seen, &what);
            for spelling in spellings(&operation.path) {
                let what = format!("{} {spelling} with {}", operation.method, asker.name);
                let seen = ask(&app, &operation.method, &spelling, asker.key.as_deref());
                // It is the same route, none, or one that does not know the method.
                assert!(
                    matches!(seen.status, 400 | 403 | 404 | 405),
                    "{what}: {} {}",
                    seen.status,
                    seen.body
                );
                if seen.status != 400 {
                    tells_nothing(&seen, &what);
                }
            }
        }
    }
    assert_eq!(state(&app).await, before, "somebody without right changed something");
    for asker in askers.iter().filter(|asker| asker.may.is_ok()) {
        let has = asker.may.unwrap();
        for operation in
            operations.iter().filter(|operation| operation.scope.is_none_or(|needed| needed <= has))
        {
            for spelling in std::iter::once(operation.path.clone()).chain(spellings(&operation.path)) {
                let seen = ask(&app, &operation.method, &spelling, asker.key.as_deref());
                let what = format!("{} {spelling} with {}", operation.method, asker.name);
                // What an odd spelling leads to may be another route, which needs more: `POST /jobs//…`.
                let is_other = spelling != operation.path && seen.status == 403;
                assert!(
                    !matches!(seen.status, 401 | 403) || (is_other && has < Scope::Admin),
                    "{what}: {}",
                    seen.body
                );
                assert!(seen.status < 500, "{what}: {} {}", seen.status, seen.body);
            }
        }
    }
}

async fn other_methods_show_nothing(engine: Engine) {
    let app = with_data(&engine).await;
    let document = app.get("/openapi.json").await.ok();
    let operations = operations(&document);
    let paths: BTreeSet<&str> = operations.iter().map(|operation| operation.path.as_str()).collect();
    let needed = |method: &str, path: &str| {
        operations.iter().find(|of| of.method == method && of.path == path).map(|of| of.scope)
    };
    let askers = askers(&app).await;
    let before = state(&app).await;
    for asker in &askers {
        for path in &paths {
            for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "BREW", "get"] {
                let seen = ask(&app, method, path, asker.key.as_deref());
                let what = format!("{method} {path} with {}: {} {}", asker.name, seen.status, seen.body);
                match (method, needed("GET", path), asker.may) {
                    ("HEAD", Some(None), _) => assert_eq!(seen.status, 200, "{what}"),
                    (_, _, Err(_)) => assert!(matches!(seen.status, 401 | 400), "{what}"),
                    ("HEAD", Some(Some(scope)), Ok(has)) if scope > has => {
                        assert_eq!(seen.status, 403, "{what}")
                    }
                    ("HEAD", Some(Some(_)), Ok(_)) => assert!(!matches!(seen.status, 401 | 403), "{what}"),
                    (_, _, Ok(_)) => assert!(matches!(seen.status, 400 | 404 | 405), "{what}"),
                }
                assert!(method != "HEAD" || seen.body.is_empty(), "{what}");
                assert!(!seen.body.contains(MARK), "{what}");
            }
        }
    }
    assert_eq!(state(&app).await, before);
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let of = |prefix: &str, entries: &[routes::Entry]| {
        let rows = entries.iter().flat_map(|entry| {
            entry.methods.iter().map(|method| format!("{method} {prefix}{}", entry.path)).collect::<Vec<_>>()
        });
        rows.collect::<Vec<_>>()
    };
    let routed: BTreeSet<String> = [of("", routes::API), of("", routes::PAGES), of("/dashboard", DASHBOARD)]
        .concat()
        .into_iter()
        .collect();
    let listed: BTreeSet<String> = rights::rows().map(|(_, row)| row.to_owned()).collect();
    assert_eq!(routed, listed);
}

#[test]
fn only_what_the_lock_lets_through_needs_nothing() {
    use productforge::http::middleware::auth::is_public;
    for (needed, row) in rights::rows() {
        let (_, path) = row.split_once(' ').unwrap();
        if !path.starts_with("/dashboard") {
            let path = path.replace("{file}", "x.css");
            assert_eq!(needed == rights::Needed::Nothing, is_public(&path), "{row}");
        }
    }
}

#[tokio::test]
async fn a_batch_of_deletions_takes_more_than_a_batch_of_other_things() {
    let app = TestApp::builder().locked().start().await;
    let runner = Maker::of(&app, "runner", "run").await;
    for path in ["/jobs/bulk", "/workflows/bulk"] {
        let order = |action: &str| json!({"action": action, "ids": ["nothing"]});
        let refused = runner.post(path, &order("delete")).await;
        assert_eq!(refused.problem(403), "This needs a key of scope 'admin'; the scope of this one is 'run'");
        assert_eq!(runner.post(path, &order("cancel")).await.status, 200);
    }
}
