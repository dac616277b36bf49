//! The locked dashboard: every route of its table, by everybody who may not.

use actix_web::http::Method as Verb;
use productforge::http::{dashboard::routes::PAGES, session};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    app::{Answer, KEY, TestApp},
    engines::Engine,
    scripted::chain,
};

on_both_engines!(
    no_route_shows_or_does_anything_without_a_session,
    no_form_is_taken_without_the_token_of_its_session,
    no_form_of_another_site_is_taken,
    every_answer_forbids_frames_foreign_code_and_caches,
);

/// Open to everybody; they show no data.
const OPEN: [&str; 3] = ["/ping", "/help", "/login"];

/// What must not be seen: a word of the brief, and the name of an agent.
const SECRET: &str = "xylophone-secret";

/// An application with work in it, and its routes with their parameters filled in.
async fn locked(engine: &Engine) -> (TestApp, Vec<(&'static str, Method, String)>) {
    let app = engine.app().provider(chain(|_| "approve")).locked().worker().start().await;
    app.post("/agents/", &json!({"name": "secret_agent", "role": SECRET, "description": SECRET})).await.ok();
    let id = app.post("/orchestrate", &json!({"job": SECRET})).await.ok()["workflow_id"].clone();
    let id = id.as_str().unwrap();
    let job = app.get(&format!("/workflows/{id}")).await.ok()["workflow"]["steps"][0]["job_id"].clone();
    let job = job.as_str().unwrap();
    let fill = |path: &str| {
        let parts = path.split('/').map(|part| match part {
            "{id}" if path.starts_with("/jobs") => job,
            "{id}" => id,
            "{job_id}" => job,
            "{name}" if path.starts_with("/agents") => "secret_agent",
            "{name}" if path.starts_with("/queues") => "low",
            "{name}" => "simulated",
            "{format}" => "json",
            "{anchor}" => "admin_analysis-1",
            "{action}" => "cancel",
            "{verb}" => "pin",
            "{file}" => "weekly.md",
            other => other,
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let mut routes = Vec::new();
    for entry in PAGES {
        for method in entry.methods {
            let verb: Verb = method.to_uppercase().parse().unwrap();
            let method = Method::from_bytes(verb.as_str().as_bytes()).unwrap();
            routes.push((entry.path, method, format!("/dashboard{}", fill(entry.path))));
        }
    }
    assert!(routes.len() > 40, "{routes:?}");
    (app, routes)
}

fn form(app: &TestApp, method: &Method, path: &str, body: &str) -> reqwest::RequestBuilder {
    let request = app.bare(method.clone(), path);
    match *method {
        Method::GET => request,
        _ => request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()),
    }
}

async fn leads_to_the_login(what: &str, request: reqwest::RequestBuilder) {
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, 303, "{what}: {}", answer.text);
    assert!(answer.header("location").starts_with("/dashboard/login?next="), "{what}");
    assert!(!answer.text.contains(SECRET), "{what}");
}

async fn session_of(app: &TestApp) -> (String, String) {
    let login = form(app, &Method::POST, "/dashboard/login", &format!("key={KEY}"));
    let answer = Answer::of(login.send().await.unwrap()).await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let csrf = session::csrf(KEY, cookie.split_once('=').unwrap().1);
    (cookie, csrf)
}

/// How many workflows, agents and jobs there are, and which queues are paused: what a form could have changed.
async fn state(app: &TestApp) -> String {
    let count = async |path: &str| app.get(path).await.text;
    let workflows = app.get("/workflows").await.ok();
    let queues = app.get("/queues").await.ok();
    let paused: Vec<_> = queues["queues"].as_array().unwrap().iter().map(|q| q["paused"].clone()).collect();
    let agents = count("/agents/").await.contains("secret_agent");
    format!("{} {agents} {paused:?} {}", workflows["total"], workflows["cancelled"])
}

async fn no_route_shows_or_does_anything_without_a_session(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    let before = state(&app).await;
    let expired = session::issue(KEY, 0).unwrap();
    let foreign = session::issue("another key", i64::from(i32::MAX)).unwrap();
    let (valid, _) = session_of(&app).await;
    let cut = &valid[..valid.len() - 1];
    for (path, method, filled) in &routes {
        if OPEN.contains(path) {
            let answer = Answer::of(form(&app, method, filled, "").send().await.unwrap()).await;
            assert!(!answer.text.contains(SECRET), "{path}");
            continue;
        }
        for spelling in [filled.clone(), format!("{filled}/"), format!("{filled}?notice=job-retried")] {
            let what = format!("{method} {spelling}");
            leads_to_the_login(&what, form(&app, method, &spelling, "job=x&demo=true")).await;
            for cookie in ["pf_session=", "pf_session=x.y.z", &format!("pf_session={expired}"), cut] {
                leads_to_the_login(&what, form(&app, method, &spelling, "").header("cookie", cookie)).await;
            }
            let of_foreign_key =
                form(&app, method, &spelling, "").header("cookie", format!("pf_session={foreign}"));
            leads_to_the_login(&what, of_foreign_key).await;
            // The key of the API opens no page: a page is opened by a session.
            leads_to_the_login(&what, form(&app, method, &spelling, "").header("x-api-key", KEY)).await;
        }
    }
    assert_eq!(state(&app).await, before, "somebody without a session changed something");
}

async fn no_form_is_taken_without_the_token_of_its_session(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    let before = state(&app).await;
    let (cookie, csrf) = session_of(&app).await;
    let (_, other) = session_of(&app).await;
    for (path, method, filled) in
        routes.iter().filter(|(path, method, _)| *method == Method::POST && *path != "/login")
    {
        for token in ["", "csrf=", "csrf=AAAA", &format!("csrf={other}"), &format!("CSRF={csrf}")] {
            let body = format!("{token}&job=x&action=cancel");
            let answer = form(&app, method, filled, &body).header("cookie", &cookie).send().await.unwrap();
            let answer = Answer::of(answer).await;
            // An upload is no form of this kind; what it is not, is refused as well.
            let refused = if *path == "/uploads" { answer.status >= 400 } else { answer.status == 403 };
            assert!(refused, "{method} {filled} {token}: {} {}", answer.status, answer.text);
        }
    }
    assert_eq!(state(&app).await, before, "a form without its token changed something");
}

async fn no_form_of_another_site_is_taken(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    let (cookie, csrf) = session_of(&app).await;
    for (_, method, filled) in routes.iter().filter(|(_, method, _)| *method == Method::POST) {
        for (name, value) in
            [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("origin", "null")]
        {
            let body = format!("csrf={csrf}&key={KEY}&job=x");
            let request = form(&app, method, filled, &body).header("cookie", &cookie).header(name, value);
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, 403, "{method} {filled} {name}: {value} {}", answer.text);
        }
    }
}

async fn every_answer_forbids_frames_foreign_code_and_caches(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    let (cookie, _) = session_of(&app).await;
    for (path, method, filled) in routes.iter().filter(|(path, _, _)| *path != "/ping") {
        for cookie in ["", cookie.as_str()] {
            let request = form(&app, method, filled, "").header("cookie", cookie);
            let answer = Answer::of(request.send().await.unwrap()).await;
            let what = format!("{method} {filled} {}", answer.status);
            assert!(answer.status < 500, "{what}: {}", answer.text);
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
            assert_eq!(answer.header("cache-control"), "no-store", "{what}");
            let is_page = answer.header("content-type").starts_with("text/html");
            if is_page || answer.status == 303 {
                let policy = answer.header("content-security-policy");
                for rule in
                    ["script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"]
                {
                    assert!(policy.contains(rule), "{what}: {policy}");
                }
                assert_eq!(answer.header("x-frame-options"), "DENY", "{what}");
            } else {
                assert!(
                    path.contains("export")
                        || path.contains("events")
                        || path.contains("raw")
                        || path.contains("markdown"),
                    "{what} is {}",
                    answer.header("content-type")
                );
            }
        }
    }
}
