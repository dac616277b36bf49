//! Cross-origin requests from browsers.

use reqwest::{Method, header::HeaderMap};

use crate::support::{
    app::{Answer, TestApp},
    engines::Engine,
};

on_both_engines!(
    a_preflight_needs_no_key_and_tells_what_is_allowed,
    a_preflight_of_another_site_is_refused_in_the_legacy_words,
    answers_can_be_read_by_allowed_sites_only,
    errors_can_be_read_by_allowed_sites_too,
    the_allowed_sites_are_those_of_the_configuration,
    options_that_is_no_preflight_needs_the_key,
);

async fn preflight(app: &TestApp, path: &str, origin: &str, method: &str) -> Answer {
    let request = app
        .bare(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type,x-api-key");
    Answer::of(request.send().await.unwrap()).await
}

fn words(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = headers.get(name).map_or("", |v| v.to_str().unwrap());
    let mut words: Vec<_> = text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
    words.sort_unstable();
    words
}

async fn a_preflight_needs_no_key_and_tells_what_is_allowed(engine: Engine) {
    let app = engine.app().locked().start().await;
    for origin in ["http://localhost:3000", "https://my-app.netlify.app"] {
        for path in ["/orchestrate", "/agents/x", "/nothing/here"] {
            let answer = preflight(&app, path, origin, "POST").await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
            assert_eq!(answer.header("access-control-max-age"), "600");
            let methods = words(&answer.headers, "access-control-allow-methods");
            assert_eq!(methods, ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);
            let headers = words(&answer.headers, "access-control-allow-headers");
            assert_eq!(headers, ["content-type", "x-api-key"]);
            assert!(!words(&answer.headers, "vary").is_empty());
        }
    }
}

async fn a_preflight_of_another_site_is_refused_in_the_legacy_words(engine: Engine) {
    let app = engine.app().start().await;
    for origin in
        ["https://evil.example", "https://netlify.app", "https://x.netlify.app.evil.example", "null"]
    {
        let answer = preflight(&app, "/orchestrate", origin, "POST").await;
        assert_eq!(answer.problem(400), "Disallowed CORS origin");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let answer = preflight(&app, "/orchestrate", "http://localhost:3000", "PURGE").await;
    assert_eq!(answer.problem(400), "Disallowed CORS method");
}

async fn answers_can_be_read_by_allowed_sites_only(engine: Engine) {
    let app = engine.app().start().await;
    for (origin, expected) in [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://a.netlify.app", "https://a.netlify.app"),
        ("https://evil.example", ""),
    ] {
        let request = app.bare(Method::GET, "/agents/").header("origin", origin);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), expected);
        if !expected.is_empty() {
            let exposed = words(&answer.headers, "access-control-expose-headers");
            assert!(exposed.contains(&"x-next-cursor".to_owned()), "{exposed:?}");
        }
    }
}

async fn errors_can_be_read_by_allowed_sites_too(engine: Engine) {
    let app = engine.app().locked().start().await;
    let origin = "http://localhost:3000";
    for (path, key, status) in [
        ("/agents/", false, 401),
        ("/agents/nobody", true, 404),
        ("/workflows?limit=x", true, 422),
        ("/orchestrate", true, 405),
        ("/nothing", true, 404),
    ] {
        let request = if key { app.request(Method::GET, path) } else { app.bare(Method::GET, path) };
        let answer = Answer::of(request.header("origin", origin).send().await.unwrap()).await;
        answer.problem(status);
        assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
    }
}

async fn the_allowed_sites_are_those_of_the_configuration(engine: Engine) {
    let app = engine.app().origins(&["https://shop.example"]).start().await;
    assert_eq!(preflight(&app, "/agents/", "https://shop.example", "GET").await.status, 200);
    assert_eq!(preflight(&app, "/agents/", "http://localhost:3000", "GET").await.status, 400);
    let none = engine.app().origins(&[]).start().await;
    assert_eq!(preflight(&none, "/agents/", "https://shop.example", "GET").await.status, 400);
}

async fn options_that_is_no_preflight_needs_the_key(engine: Engine) {
    let app = engine.app().locked().start().await;
    let bare = app.bare(Method::OPTIONS, "/agents/").header("origin", "http://localhost:3000");
    assert_eq!(bare.send().await.unwrap().status(), 401);
    let answer = Answer::of(app.request(Method::OPTIONS, "/agents/").send().await.unwrap()).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), "GET, HEAD, POST");
}
