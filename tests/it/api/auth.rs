//! The API key: every operation of the document, every way to show a key, every spelling of a path.

use reqwest::Method;
use serde_json::Value;

use crate::support::app::{Answer, KEY, TestApp};

const PUBLIC: [&str; 6] = [
    "GET /",
    "GET /system/ping",
    "GET /system/health",
    "GET /docs",
    "GET /openapi.json",
    "GET /docs/swagger-ui.css",
];

/// Every operation of the OpenAPI document: method and path with its parameters filled in.
async fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let document = app.get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled: Vec<_> = path.split('/').map(|s| if s.starts_with('{') { "qa_bot" } else { s }).collect();
        for method in item.as_object().unwrap().keys() {
            found.push((Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), filled.join("/")));
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

fn is_public(method: &Method, path: &str) -> bool {
    PUBLIC.contains(&format!("{method} {path}").as_str())
}

#[tokio::test]
async fn every_operation_needs_the_right_key_in_the_right_place() {
    let app = TestApp::builder().locked().start().await;
    for (method, path) in operations(&app).await {
        let public = is_public(&method, &path);
        let send = async |name: &str, value: &str| {
            let request = app.bare(method.clone(), &path);
            let request = if name.is_empty() { request } else { request.header(name, value) };
            Answer::of(request.send().await.unwrap()).await
        };
        for (name, value) in [
            ("", ""),
            ("x-api-key", ""),
            ("x-api-key", "wrong"),
            ("x-api-key", &KEY[1..]),
            ("x-api-key", &format!("{KEY}x")),
            ("x-api-key", &KEY.to_uppercase()),
            ("api-key", KEY),
            ("authorization", KEY),
            ("authorization", "Bearer wrong"),
            ("authorization", &format!("Basic {KEY}")),
            ("cookie", &format!("x-api-key={KEY}")),
        ] {
            let answer = send(name, value).await;
            if public {
                assert_ne!(answer.status, 401, "{method} {path}");
            } else {
                assert_eq!(answer.problem(401), "Unauthorized", "{method} {path} {name}: {value}");
                assert!(answer.header("www-authenticate").starts_with("Bearer"));
            }
        }
        for (name, value) in [
            ("x-api-key", KEY.to_owned()),
            ("X-API-KEY", KEY.to_owned()),
            ("authorization", format!("Bearer {KEY}")),
            ("authorization", format!("bearer {KEY}")),
        ] {
            assert_ne!(send(name, &value).await.status, 401, "{method} {path}");
        }
        let in_query = app.bare(method.clone(), &format!("{path}?api_key={KEY}&x-api-key={KEY}"));
        let status = in_query.send().await.unwrap().status();
        assert_eq!(status == 401, !public, "{method} {path}: a key in the query counts for nothing");
    }
}

/// Other spellings of a path, most of which some server somewhere takes for the same.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.strip_prefix('/').unwrap();
    let mut upper = path.to_owned();
    upper.make_ascii_uppercase();
    let encoded = rest.bytes().next().map_or(String::new(), |b| format!("/%{b:02x}{}", &rest[1..]));
    vec![
        format!("/{path}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("/%2e{path}"),
        format!("/.{path}"),
        format!("/docs/..{path}"),
        format!("/docs/%2e%2e{path}"),
        format!("/docs/%2E%2E%2f{rest}"),
        format!("/system/ping/..{path}"),
        format!("/system/ping/../..{path}"),
        format!("/static/..{path}"),
        format!("/dashboard/..{path}"),
        format!("/dashboard/..;{path}"),
        format!("/dashboard/\\..\\{rest}"),
        format!("/help/%2e%2e{path}"),
        format!("{path}%2f"),
        format!("{path};"),
        format!("{path};/system/ping"),
        format!("{path}/system/ping"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}/."),
        format!("{path}?x=/system/ping"),
        format!("{path}?/docs/"),
        format!("http://127.0.0.1{path}"),
        upper,
        encoded,
    ]
}

#[tokio::test]
async fn no_spelling_of_a_path_gets_around_the_key() {
    let app = TestApp::builder().locked().start().await;
    for (method, path) in operations(&app).await {
        if is_public(&method, &path) {
            continue;
        }
        for spelling in spellings(&path).into_iter().filter(|s| !s.is_empty()) {
            let answer = app.raw_line(&format!("{method} {spelling}"), "");
            // 400: what is not even a request line never gets to a route.
            assert!(matches!(answer.status, 401 | 400), "{method} {spelling}: {}", answer.status);
            if answer.status == 401 {
                let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                assert!(method == Method::HEAD || problem["detail"] == "Unauthorized", "{}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn other_spellings_of_public_paths_are_not_public() {
    let app = TestApp::builder().locked().start().await;
    for path in [
        "//",
        "/system/ping/",
        "//system/ping",
        "/system//ping",
        "/SYSTEM/ping",
        "/system/%70ing",
        "/system/./ping",
        "/system/ping;x",
        "/system/pingx",
        "/system/health/x",
        "/docsx",
        "/openapi.json/",
        "/docs/%2e%2e/agents/",
        "/docs//x",
        "/healthz",
    ] {
        assert_eq!(app.raw_line(&format!("GET {path}"), "").status, 401, "{path}");
    }
}

#[tokio::test]
async fn wrong_methods_and_unknown_paths_need_the_key_as_well() {
    let app = TestApp::builder().locked().start().await;
    for line in [
        "POST /",
        "DELETE /system/ping",
        "PUT /agents/",
        "PATCH /nothing",
        "GET /nothing",
        "GET /agents/a/b/c",
        "OPTIONS /agents/",
        "POST /docs",
        "TRACE /results/",
        "PROPFIND /agents/",
    ] {
        assert_eq!(app.raw_line(line, "").status, 401, "{line}");
    }
}

#[tokio::test]
async fn a_missing_key_is_401_whatever_the_body_or_the_id_looks_like() {
    let app = TestApp::builder().locked().start().await;
    let large = "x".repeat(2 << 20);
    for body in ["", "{", "[]", "{\"job\": 1}", "{\"job\": \"x\"}", large.as_str()] {
        for path in ["/orchestrate", "/results/task", "/agents/", "/admin_review"] {
            let request = app.bare(Method::POST, path).header("content-type", "application/json");
            let answer = Answer::of(request.body(body.to_owned()).send().await.unwrap()).await;
            assert_eq!(answer.problem(401), "Unauthorized", "{path} {}", body.len());
        }
    }
    let long = "x".repeat(4_000);
    for id in ["nobody", "%00", "%ff", "..", long.as_str()] {
        assert_eq!(app.raw_line(&format!("GET /results/{id}"), "").status, 401, "{id}");
        assert_eq!(app.raw_line(&format!("DELETE /agents/{id}"), "").status, 401, "{id}");
    }
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
}

#[tokio::test]
async fn the_dashboard_asks_for_a_session_of_its_own() {
    let app = TestApp::builder().locked().start().await;
    for path in ["/dashboard/", "/dashboard/workflows", "/dashboard/results", "/dashboard/agents"] {
        let answer = Answer::of(app.bare(Method::GET, path).send().await.unwrap()).await;
        assert_eq!(answer.status, 303, "{path}: {}", answer.text);
        assert!(answer.header("location").starts_with("/dashboard/login?next="), "{path}");
    }
    let form = app
        .bare(Method::POST, "/dashboard/workflows")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = Answer::of(form.body("job=x").send().await.unwrap()).await;
    assert!(matches!(answer.status, 303 | 403), "{}", answer.text);
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
    for path in ["/dashboard/login", "/help", "/redoc", "/static/app.css"] {
        assert_eq!(app.bare(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn without_a_key_set_everything_is_open() {
    let app = TestApp::start().await;
    for (method, path) in operations(&app).await {
        let status = app.bare(method.clone(), &path).send().await.unwrap().status();
        assert_ne!(status, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn without_a_key_only_names_of_this_machine_are_answered_to() {
    let open = TestApp::start().await;
    let named = |app: &TestApp, host: &str, path: &str| {
        app.raw(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status
    };
    for path in ["/workflows", "/dashboard/", "/", "/nowhere"] {
        assert_eq!(named(&open, "evil.example:8000", path), 403, "{path}");
        assert_ne!(named(&open, "localhost:8000", path), 403, "{path}");
    }
    assert_eq!(named(&open, "evil.example", "/system/ping"), 200, "a probe may use any name");
    // With a key the key decides.
    let locked = TestApp::builder().locked().start().await;
    assert_eq!(named(&locked, "app.example", "/workflows"), 401);
    assert_eq!(named(&locked, "app.example", "/"), 200);
}
