//! Errors, names of requests, methods and the headers of every answer.

use std::sync::Arc;

use async_trait::async_trait;
use productforge::{
    llm::{ChatAnswer, ChatRequest, Listener, ModelError, ModelProvider},
    store::{Change, DocKey, Kind, Put},
};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, keys},
    engines::Engine,
    logs,
};

on_both_engines!(
    a_bad_field_is_told_in_the_legacy_form,
    a_problem_is_a_whole_document,
    a_path_that_nothing_answers_to_is_404_in_the_legacy_words,
    a_wrong_method_is_405_and_the_right_ones_are_told,
    pages_and_assets_answer_to_wrong_methods_and_unknown_names_too,
    head_answers_where_get_does_and_sends_no_body,
    every_path_answers_with_and_without_the_slash_at_its_end,
    a_request_keeps_its_name_or_is_given_one,
    every_answer_carries_the_protective_headers,
    an_error_of_the_server_shows_nothing_of_its_inside_and_is_logged_once,
    a_panic_is_an_error_of_this_request_only,
    a_path_that_could_be_a_name_is_one_for_the_methods_that_it_does_not_have,
);

async fn a_problem_is_a_whole_document(engine: Engine) {
    let app = engine.app().start().await;
    let answer = app.get("/agents/nobody?secret=1").await;
    assert_eq!(answer.problem(404), "Agent 'nobody' not found");
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:productforge:problem:not-found");
    assert_eq!(problem["title"], "Not Found");
    assert_eq!(problem["instance"], "/agents/nobody");
}

async fn a_bad_field_is_told_in_the_legacy_form(engine: Engine) {
    let app = engine.app().start().await;
    let detail = app.post("/agents/", &json!({"name": "a1"})).await.problem(422);
    assert_eq!(
        detail.to_string(),
        r#"[{"type":"missing","loc":["body","role"],"msg":"Field required","input":{"name":"a1"}}]"#
    );
    let detail = app.post_text("/orchestrate", "application/json", "{").await.problem(422);
    assert_eq!(keys(&detail[0]), ["type", "loc", "msg", "input", "ctx"]);
    assert_eq!((&detail[0]["loc"], &detail[0]["input"]), (&json!(["body", 1]), &json!({})));
}

async fn a_path_that_nothing_answers_to_is_404_in_the_legacy_words(engine: Engine) {
    let app = engine.app().start().await;
    for path in ["/nothing", "/agents/a/b", "//agents/", "/AGENTS/", "/results/task/a/b", "/workflows/a/b"] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
            let answer = Answer::of(app.request(method, path).send().await.unwrap()).await;
            assert_eq!(answer.problem(404), "Not Found", "{path}");
        }
    }
}

async fn a_wrong_method_is_405_and_the_right_ones_are_told(engine: Engine) {
    let app = engine.app().start().await;
    for (path, allow) in [
        ("/", "GET, HEAD"),
        ("/agents/", "GET, HEAD, POST"),
        ("/agents", "GET, HEAD, POST"),
        ("/agents/x", "GET, HEAD, DELETE"),
        ("/orchestrate", "POST"),
        ("/results/task", "POST"),
        ("/results/x", "GET, HEAD, DELETE"),
        ("/results/ping", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ] {
        for method in ["PUT", "PATCH", "TRACE", "PROPFIND"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = Answer::of(app.request(method, path).body("{").send().await.unwrap()).await;
            assert_eq!(answer.problem(405), "Method Not Allowed");
            assert_eq!(answer.header("allow"), allow, "{path}");
        }
    }
}

async fn pages_and_assets_answer_to_wrong_methods_and_unknown_names_too(engine: Engine) {
    let app = engine.app().start().await;
    for path in ["/help", "/dashboard/ping", "/redoc", "/docs", "/static/app.css"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
        let answer = Answer::of(app.request(Method::PATCH, path).send().await.unwrap()).await;
        assert!(matches!(answer.status, 404 | 405), "{path}: {}", answer.status);
        // People get a page, programs a problem.
        let kind = if path.starts_with("/dashboard") {
            "text/html; charset=utf-8"
        } else {
            "application/problem+json"
        };
        assert!(answer.status != 405 || answer.header("content-type") == kind, "{path}");
    }
    assert_eq!(app.get("/dashboard/ping").await.json(), json!({"status": "ok", "module": "dashboard"}));
    assert_eq!(app.get("/static/nothing.css").await.problem(404), "Not Found");
    let page = app.get("/dashboard/results/nothing").await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").starts_with("text/html"), "people get a page");
}

async fn head_answers_where_get_does_and_sends_no_body(engine: Engine) {
    let app = engine.app().start().await;
    for path in ["/", "/system/health", "/agents/", "/results/", "/workflows", "/openapi.json", "/docs"] {
        let answer = app.raw_line(&format!("HEAD {path}"), "");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(!answer.header("content-type").is_empty());
    }
    let missing = app.raw_line("HEAD /agents/nobody", "");
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
    assert_eq!(missing.header("content-type"), "application/problem+json");
    assert_eq!(app.raw_line("HEAD /orchestrate", "").status, 405);
}

async fn every_path_answers_with_and_without_the_slash_at_its_end(engine: Engine) {
    let app = engine.app().start().await;
    for path in ["/system/ping", "/agents", "/agents/qa_bot", "/workflows", "/results", "/docs", "/workers"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
        assert_eq!(app.get(&format!("{path}/")).await.status, 200, "{path}/");
    }
    app.post("/agents", &json!({"name": "a", "role": "b"})).await.ok();
    app.post("/orchestrate/", &json!({"job": "x"})).await.ok();
}

async fn a_request_keeps_its_name_or_is_given_one(engine: Engine) {
    let app = engine.app().start().await;
    let named = async |name: &str| {
        let request = app.bare(Method::GET, "/system/ping").header("x-request-id", name);
        Answer::of(request.send().await.unwrap()).await.header("x-request-id").to_owned()
    };
    for sane in ["e8c423eb", "a/b:c=~!", &"x".repeat(128)] {
        assert_eq!(named(sane).await, sane);
    }
    for insane in ["", "a b", &"x".repeat(129)] {
        let given = named(insane).await;
        assert!(uuid::Uuid::parse_str(&given).is_ok(), "{insane:?}: {given}");
    }
    assert_ne!(named("").await, named("").await);
}

async fn every_answer_carries_the_protective_headers(engine: Engine) {
    let app = engine.app().locked().start().await;
    let locked = Answer::of(app.bare(Method::GET, "/agents/").send().await.unwrap()).await;
    for answer in [
        app.get("/").await,
        app.get("/agents/").await,
        app.get("/nothing").await,
        app.get("/docs").await,
        app.get("/docs/swagger-ui.css").await,
        locked,
    ] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(!answer.header("referrer-policy").is_empty());
        assert!(!answer.header("x-request-id").is_empty());
        assert!(!answer.header("cache-control").is_empty());
    }
    assert_eq!(app.get("/agents/").await.header("cache-control"), "no-store");
}

async fn an_error_of_the_server_shows_nothing_of_its_inside_and_is_logged_once(engine: Engine) {
    logs::keep();
    let app = engine.app().start().await;
    let broken = Put::raw(DocKey::new(Kind("workflow"), "broken"), "{\"steps\": 5, \"token\": \"hush\"}");
    app.app.store.apply(Change::new().put(broken)).await.unwrap().unwrap();
    let id = "an-error-that-is-logged-once";
    let request = app.request(Method::GET, "/workflows/broken").header("x-request-id", id);
    let answer = Answer::of(request.send().await.unwrap()).await;
    let detail = answer.problem(500);
    assert!(detail.as_str().unwrap().contains("request_id"), "{detail}");
    for inside in ["hush", "invalid type", "expected", "store", "serde"] {
        assert!(!answer.text.contains(inside), "{}", answer.text);
    }
    let errors: Vec<_> = logs::of_request(id).into_iter().filter(|r| r.level == log::Level::Error).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].text.contains("workflow:broken"), "{}", errors[0].text);
}

/// Brings down whoever asks for its name.
struct Trap;

#[async_trait]
impl ModelProvider for Trap {
    fn name(&self) -> &str {
        panic!("a trap")
    }

    fn default_model(&self) -> &str {
        "trap"
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn complete(&self, _: &ChatRequest, _: &dyn Listener) -> Result<ChatAnswer, ModelError> {
        panic!("a trap")
    }
}

async fn a_panic_is_an_error_of_this_request_only(engine: Engine) {
    logs::keep();
    let app = engine.app().provider(Arc::new(Trap)).start().await;
    let id = "a-panic-in-a-handler";
    let request = app.request(Method::GET, "/system/status").header("x-request-id", id);
    let answer = Answer::of(request.header("origin", "http://localhost:3000").send().await.unwrap()).await;
    answer.problem(500);
    assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.text.contains("trap"));
    let told: Vec<_> = logs::of_request(id).into_iter().map(|r| r.text).collect();
    assert!(told.iter().any(|line| line.contains("a trap")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("path=/system/status status=500")), "{told:?}");
    app.get("/system/ping").await.ok();
}

async fn a_path_that_could_be_a_name_is_one_for_the_methods_that_it_does_not_have(engine: Engine) {
    let app = engine.app().start().await;
    app.get("/reports/generate").await.problem(404);
    app.delete("/agents/ping").await.problem(404);
    assert_eq!(app.get("/agents/ping").await.status, 200);
    let refused = app.bare(Method::PATCH, "/reports/generate").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "POST"));
}
