//! The headers that belong on every answer.

use productforge::http::{dashboard::routes::PAGES, routes};
use reqwest::Method;

use crate::support::{app::Answer, engines::Engine};

on_both_engines!(every_answer_of_every_route_has_its_security_headers,);

/// Paths that browsers may keep: files, and documents without data.
const KEPT: [&str; 6] = ["/docs", "/redoc", "/openapi.json", "/static", "/favicon.ico", "/help"];

async fn every_answer_of_every_route_has_its_security_headers(engine: Engine) {
    let app = engine.app().locked().start().await;
    let fill = |path: &str| {
        let filled: Vec<_> =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        filled.join("/")
    };
    let api = routes::API
        .iter()
        .chain(routes::PAGES)
        .flat_map(|entry| entry.methods.iter().map(move |method| (*method, fill(entry.path))));
    let pages = PAGES.iter().flat_map(|entry| {
        entry.methods.iter().map(move |method| (*method, format!("/dashboard{}", fill(entry.path))))
    });
    let others = ["/static/app.css", "/favicon.ico", "/help", "/nothing", "/docs/nothing"];
    let others = others.map(|path| ("get", path.to_owned()));
    let mut seen = 0;
    for (method, path) in api.chain(pages).chain(others) {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        for request in [app.bare(method.clone(), &path), app.request(method.clone(), &path)] {
            let answer = Answer::of(request.send().await.unwrap()).await;
            let what = format!("{method} {path} {}", answer.status);
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{what}");
            assert_eq!(answer.header("referrer-policy"), "same-origin", "{what}");
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{what}");
            assert!(!answer.header("x-request-id").is_empty(), "{what}");
            let kept = KEPT.iter().any(|root| path.starts_with(root));
            assert!(kept || answer.header("cache-control").contains("no-store"), "{what}: {answer:?}");
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}
