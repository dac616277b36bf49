//! The access log: one line a request.

use reqwest::Method;

use crate::support::{engines::Engine, logs, wait::until};

on_both_engines!(
    every_request_leaves_one_line_in_the_owners_form,
    a_path_is_logged_as_it_was_sent_and_cannot_forge_a_line,
);

async fn line_of(id: &str) -> String {
    until("the access line is written", || async {
        logs::of_request(id).into_iter().find(|r| r.target == "access").map(|r| r.text)
    })
    .await
}

async fn every_request_leaves_one_line_in_the_owners_form(engine: Engine) {
    logs::keep();
    let app = engine.app().locked().start().await;
    let (get, post) = (Method::GET, Method::POST);
    for (id, method, path, key, expected) in [
        ("line-ping", &get, "/system/ping", false, "method=GET path=/system/ping status=200 "),
        ("line-query", &get, "/workflows?limit=5&token=hush", true, "method=GET path=/workflows status=200 "),
        ("line-401", &post, "/orchestrate", false, "method=POST path=/orchestrate status=401 "),
        ("line-404", &get, "/nothing", true, "method=GET path=/nothing status=404 "),
        ("line-405", &post, "/system/ping", true, "method=POST path=/system/ping status=405 "),
        ("line-422", &post, "/orchestrate", true, "method=POST path=/orchestrate status=422 "),
    ] {
        let request = if key { app.request(method.clone(), path) } else { app.bare(method.clone(), path) };
        request.header("x-request-id", id).send().await.unwrap();
        let line = line_of(id).await;
        assert!(line.starts_with(expected), "{line}");
        let (_, rest) = line.split_once("duration_ms=").unwrap();
        let (duration, ip) = rest.split_once(' ').unwrap();
        assert!(duration.parse::<f64>().unwrap() >= 0.0 && duration.split_once('.').unwrap().1.len() == 2);
        assert_eq!(ip, "ip=127.0.0.1");
        let lines = logs::of_request(id).into_iter().filter(|r| r.target == "access").count();
        assert_eq!(lines, 1, "{id}");
    }
}

async fn a_path_is_logged_as_it_was_sent_and_cannot_forge_a_line(engine: Engine) {
    logs::keep();
    let app = engine.app().start().await;
    app.raw_line("GET /a%0d%0astatus=200%20x", "X-Request-ID: line-forged\r\n");
    let line = line_of("line-forged").await;
    assert!(line.starts_with("method=GET path=/a%0d%0astatus=200%20x status=404 "), "{line}");
}
