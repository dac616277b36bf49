//! The API key: every operation of the document, every way to show a key, every spelling of a path.

use reqwest::Method;
use serde_json::Value;

use crate::support::{
    app::{Answer, KEY, TestApp},
    engines::Engine,
};

on_both_engines!(
    every_row_of_the_legacy_table_holds,
    every_operation_needs_the_right_key_in_the_right_place,
    no_spelling_of_a_path_gets_around_the_key,
    other_spellings_of_public_paths_are_not_public,
    wrong_methods_and_unknown_paths_need_the_key_as_well,
    a_missing_key_is_401_whatever_the_body_or_the_id_looks_like,
    the_dashboard_asks_for_a_session_of_its_own,
    without_a_key_set_everything_is_open,
    without_a_key_only_names_of_this_machine_are_answered_to,
    without_a_key_pages_of_other_sites_change_nothing,
);

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

async fn every_operation_needs_the_right_key_in_the_right_place(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn no_spelling_of_a_path_gets_around_the_key(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn other_spellings_of_public_paths_are_not_public(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn wrong_methods_and_unknown_paths_need_the_key_as_well(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn a_missing_key_is_401_whatever_the_body_or_the_id_looks_like(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn the_dashboard_asks_for_a_session_of_its_own(engine: Engine) {
    let app = engine.app().locked().start().await;
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

async fn without_a_key_set_everything_is_open(engine: Engine) {
    let app = engine.app().start().await;
    for (method, path) in operations(&app).await {
        let status = app.bare(method.clone(), &path).send().await.unwrap().status();
        assert_ne!(status, 401, "{method} {path}");
    }
}

async fn without_a_key_only_names_of_this_machine_are_answered_to(engine: Engine) {
    let open = engine.app().start().await;
    let named = |app: &TestApp, host: &str, path: &str| {
        app.raw(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status
    };
    for path in ["/workflows", "/dashboard/", "/", "/nowhere"] {
        assert_eq!(named(&open, "evil.example:8000", path), 403, "{path}");
        assert_ne!(named(&open, "localhost:8000", path), 403, "{path}");
    }
    assert_eq!(named(&open, "evil.example", "/system/ping"), 200, "a probe may use any name");
    // With a key the key decides.
    let locked = engine.app().locked().start().await;
    assert_eq!(named(&locked, "app.example", "/workflows"), 401);
    assert_eq!(named(&locked, "app.example", "/"), 200);
}

/// The legacy rows: no key, a wrong key, the right key.
async fn every_row_of_the_legacy_table_holds(engine: Engine) {
    let app = engine.app().locked().start().await;
    app.post("/agents/", &serde_json::json!({"name": "x", "role": "y"})).await.ok();
    for (line, expected) in [
        ("GET /", [200, 200, 200]),
        ("GET /system/ping", [200, 200, 200]),
        ("GET /system/health", [200, 200, 200]),
        ("GET /system/status", [401, 401, 200]),
        ("GET /docs", [200, 200, 200]),
        ("GET /redoc", [200, 200, 200]),
        ("GET /openapi.json", [200, 200, 200]),
        ("GET /help", [200, 200, 200]),
        ("GET /dashboard/help", [200, 200, 200]),
        ("GET /dashboard/", [303, 303, 303]),
        ("GET /dashboard/results", [303, 303, 303]),
        ("GET /results/", [401, 401, 200]),
        ("GET /results/export/json", [401, 401, 200]),
        ("GET /results/export/txt", [401, 401, 200]),
        ("GET /results/performance/export", [401, 401, 200]),
        ("GET /workflows", [401, 401, 200]),
        ("GET /agents/", [401, 401, 200]),
        ("GET /agents/ping", [401, 401, 200]),
        ("GET /upload/list", [401, 401, 200]),
        ("POST /upload/", [401, 401, 400]),
        ("POST /orchestrate", [401, 401, 200]),
        ("POST /results/task", [401, 401, 200]),
        ("POST /admin_review", [401, 401, 422]),
        ("POST /agents/", [401, 401, 422]),
        ("DELETE /agents/x", [401, 401, 200]),
        ("GET /metrics", [401, 401, 200]),
        ("GET /metrics/json", [401, 401, 200]),
        ("GET /analytics/summary", [401, 401, 200]),
        ("GET /analytics/trends", [401, 401, 200]),
        ("GET /analytics/agents", [401, 401, 200]),
        ("GET /reports", [401, 401, 200]),
        ("POST /reports/generate", [401, 401, 200]),
        ("GET /system/verify", [401, 401, 200]),
        ("GET /unknown", [401, 401, 404]),
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut statuses = Vec::new();
        for key in [None, Some("wrong"), Some(KEY)] {
            let request = app.bare(method.clone(), path);
            let request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
            let request = match method == Method::POST {
                true => request.json(&serde_json::json!({"job": "x"})),
                false => request,
            };
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, expected, "{line}");
    }
}

async fn without_a_key_pages_of_other_sites_change_nothing(engine: Engine) {
    let app = engine.app().origins(&["http://localhost:3000"]).start().await;
    let form =
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\n\r\n--x--\r\n";
    let send = async |path: &str, kind: &str, body: &str, header: &str, value: &str| {
        let request = app.bare(Method::POST, path).header("content-type", kind).header(header, value);
        Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
    };
    // What a browser sends without asking first.
    let simple =
        [("/upload/", "multipart/form-data; boundary=x", form), ("/system/backup", "text/plain", "")];
    for (path, kind, body) in simple {
        for (header, value) in
            [("origin", "https://a.netlify.app"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let refused = send(path, kind, body, header, value).await;
            assert!(refused.problem(403).as_str().unwrap().contains("CORS_ORIGINS"), "{path} {value}");
        }
    }
    let (task, json) = ("{\"job\": \"x\"}", "application/json");
    assert_eq!(send("/results/task", json, task, "origin", "http://localhost:3000").await.status, 200);
    let own = format!("http://{}", app.addr);
    assert_eq!(send("/results/task", json, task, "origin", &own).await.status, 200);
    let read = app.bare(Method::GET, "/agents/").header("origin", "https://evil.example");
    assert_eq!(read.send().await.unwrap().status(), 200, "such a page cannot see the answer");
    // With a key, whoever has it may come from anywhere.
    let locked = engine.app().locked().start().await;
    let request = locked.request(Method::POST, "/results/task").header("origin", "https://elsewhere.example");
    let request = request.header("content-type", json).body(task);
    assert_eq!(request.send().await.unwrap().status(), 200);
}
