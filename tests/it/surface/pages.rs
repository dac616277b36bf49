//! Pages for people: where they are, with and without a key, and that they load nothing from elsewhere.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, TestApp},
    engines::Engine,
};

on_both_engines!(
    pages_stand_where_the_legacy_ones_stood,
    with_a_key_set_the_help_is_open_and_the_dashboard_asks_for_a_login,
    a_name_with_a_script_in_it_is_only_a_name,
    pages_of_jobs_and_results_are_no_page_of_strangers,
);

async fn page(app: &TestApp, path: &str) -> Answer {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}");
    assert!(answer.header("content-type").starts_with("text/html"), "{path}");
    answer
}

async fn pages_stand_where_the_legacy_ones_stood(engine: Engine) {
    let app = engine.app().start().await;
    for path in [
        "/dashboard/",
        "/dashboard",
        "/dashboard/help",
        "/dashboard/workflows",
        "/dashboard/results",
        "/dashboard/agents",
        "/help",
        "/docs",
        "/redoc",
    ] {
        let page = page(&app, path).await;
        for loaded in ["src=\"http", "src=\"//", "@import"] {
            assert!(!page.text.contains(loaded), "{path} loads from elsewhere");
        }
        assert!(!page.text.contains("rel=\"stylesheet\" href=\"http"), "{path} loads from elsewhere");
    }
    assert_eq!(app.get("/dashboard/ping").await.json(), json!({"status": "ok", "module": "dashboard"}));
    assert!(app.get("/openapi.json").await.ok()["openapi"].is_string());
}

async fn with_a_key_set_the_help_is_open_and_the_dashboard_asks_for_a_login(engine: Engine) {
    let app = engine.app().locked().start().await;
    for (path, status) in [
        ("/help", 200),
        ("/dashboard/help", 200),
        ("/dashboard/ping", 200),
        ("/dashboard/login", 200),
        ("/dashboard/", 303),
        ("/dashboard/workflows", 303),
        ("/dashboard/results", 303),
        ("/dashboard/agents", 303),
    ] {
        assert_eq!(app.bare(Method::GET, path).send().await.unwrap().status(), status, "{path}");
    }
}

async fn a_name_with_a_script_in_it_is_only_a_name(engine: Engine) {
    let app = engine.app().worker().start().await;
    let script = "<script>alert(1)</script>";
    app.post("/agents/", &json!({"name": "evil", "role": script, "description": script})).await.ok();
    app.post("/orchestrate", &json!({"job": script})).await.ok();
    app.get_once_there("/agents/evil").await;
    for path in ["/dashboard/", "/dashboard/agents", "/dashboard/workflows", "/dashboard/results"] {
        let page = page(&app, path).await;
        assert!(!page.text.contains(script), "{path}");
        assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
    }
    assert!(page(&app, "/dashboard/workflows").await.text.contains("&lt;script&gt;alert(1)"));
}

async fn pages_of_jobs_and_results_are_no_page_of_strangers(engine: Engine) {
    let app = engine.app().locked().start().await;
    app.post("/orchestrate", &json!({"job": "the secret brief"})).await.ok();
    for path in [
        "/dashboard/workflows",
        "/dashboard/results",
        "/dashboard/upload",
        "/dashboard/reports",
        "/dashboard/observability",
        "/dashboard/api/stats",
        "/dashboard/api/recent-workflows",
    ] {
        let answer = Answer::of(app.bare(Method::GET, path).send().await.unwrap()).await;
        assert!(answer.status != 200, "{path}");
        assert!(!answer.text.contains("secret brief"), "{path}");
    }
    for path in ["/dashboard/upload/file", "/dashboard/agents/register", "/dashboard/agents/run"] {
        let answer = Answer::of(app.bare(Method::POST, path).send().await.unwrap()).await;
        assert!(!(200..300).contains(&answer.status), "{path}: {}", answer.status);
    }
}
