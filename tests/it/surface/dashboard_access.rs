//! The locked dashboard: every route of its table, by everybody who may not.

use actix_web::http::Method as Verb;
use productforge::{
    http::{
        dashboard::routes::PAGES,
        rights::{self, Needed},
        session,
    },
    model::Scope,
};
use reqwest::Method;
use serde_json::json;

use super::named_keys::made;
use crate::support::{
    app::{Answer, KEY, TestApp},
    engines::Engine,
    scripted::chain,
    wait::until,
};

on_both_engines!(
    no_route_shows_or_does_anything_without_a_session,
    no_form_is_taken_without_the_token_of_its_session,
    no_form_of_another_site_is_taken,
    every_answer_forbids_frames_foreign_code_and_caches,
    a_session_may_what_its_key_may_and_no_more,
    a_session_shows_no_form_that_its_key_may_not_send,
    a_session_ends_with_its_key,
    the_secret_of_a_new_key_stands_in_one_answer_alone,
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
            "{id}" if path.starts_with("/keys") => "pf_00000000",
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
    session_with(app, KEY).await
}

/// The cookie and the token of a session that begins with this key.
async fn session_with(app: &TestApp, key: &str) -> (String, String) {
    let login = form(app, &Method::POST, "/dashboard/login", &format!("key={key}"));
    let answer = Answer::of(login.send().await.unwrap()).await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let signing_key = app.app.services.sessions.signing_key(KEY).await.unwrap();
    let csrf = session::csrf(&signing_key, cookie.split_once('=').unwrap().1);
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
    let signing_key = app.app.services.sessions.signing_key(KEY).await.unwrap();
    let expired = session::issue(&signing_key, 0).unwrap();
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

/// What a route needs, by the one table.
fn needed(method: &Method, path: &str) -> Option<Scope> {
    match rights::listed(method.as_str(), &format!("/dashboard{path}")).unwrap() {
        Needed::Nothing => None,
        Needed::Scope(scope) => Some(scope),
    }
}

async fn a_session_may_what_its_key_may_and_no_more(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    for scope in [Scope::Read, Scope::Run, Scope::Admin] {
        let key = made(&app, scope.as_str(), scope.as_str()).await;
        let before = state(&app).await;
        let (cookie, csrf) = session_with(&app, &key.secret).await;
        let send = async |method: &Method, path: &str| {
            let body = format!("csrf={csrf}&job=x&action=retry");
            let request = form(&app, method, path, &body).header("cookie", &cookie);
            Answer::of(request.send().await.unwrap()).await
        };
        let (may, may_not): (Vec<_>, Vec<_>) = routes
            .iter()
            .partition(|(path, method, _)| needed(method, path).is_none_or(|needed| needed <= scope));
        for (path, method, filled) in may_not {
            for spelling in [filled.clone(), format!("{filled}/")] {
                let answer = send(method, &spelling).await;
                let what = format!("{method} {spelling} as {}", scope.as_str());
                assert_eq!(answer.status, 403, "{what}: {}", answer.text);
                let word = needed(method, path).unwrap().as_str();
                let says = ["This takes a key of scope", word].iter().all(|part| answer.text.contains(part));
                assert!(says, "{what}: {}", answer.text);
                assert!(!answer.text.contains(SECRET), "{what}");
            }
        }
        assert_eq!(state(&app).await, before, "a session of scope {} changed something", scope.as_str());
        // What may be done is done, the end of the session last and what deletes not at all.
        for (path, method, filled) in may {
            let is_done_elsewhere = ["/logout", "/login"].contains(path) || path.contains("delete");
            if *method == Method::POST && (scope == Scope::Admin || is_done_elsewhere) {
                continue;
            }
            let answer = send(method, filled).await;
            let to_login = answer.header("location").starts_with("/dashboard/login");
            let what = format!("{method} {filled} as {}", scope.as_str());
            assert!(answer.status != 403 && !to_login, "{what}: {} {}", answer.status, answer.text);
        }
        assert_eq!(send(&Method::POST, "/dashboard/logout").await.header("location"), "/dashboard/login");
        assert_eq!(send(&Method::GET, "/dashboard/agents").await.status, 303, "logged out");
    }
}

/// Where the forms of a page lead that change something.
fn targets(page: &str) -> Vec<String> {
    let forms = page.split("<form").skip(1).map(|rest| rest.split('>').next().unwrap());
    let posting = forms.filter(|form| form.contains("method=\"post\""));
    posting
        .map(|form| form.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned())
        .collect()
}

async fn a_session_shows_no_form_that_its_key_may_not_send(engine: Engine) {
    let (app, routes) = locked(&engine).await;
    until("the workflow is over", || async {
        (app.get("/workflows").await.ok()["completed"].as_array()?.len() == 1).then_some(())
    })
    .await;
    // Something that waits, so that there is something to cancel.
    app.post("/queues/low/pause", &json!({})).await.ok();
    app.post("/results/task", &json!({"job": "waits", "priority": "low"})).await.ok();
    let mut seen = std::collections::BTreeMap::new();
    for scope in [Scope::Read, Scope::Run, Scope::Admin] {
        let key = made(&app, &format!("of-{}", scope.as_str()), scope.as_str()).await;
        let (cookie, _) = session_with(&app, &key.secret).await;
        let mut forms = 0;
        for (path, method, filled) in routes.iter().filter(|(_, method, _)| *method == Method::GET) {
            let shows = needed(method, path).is_some_and(|needed| needed <= scope);
            if !shows || path.contains("events") || path.contains("export") {
                continue;
            }
            let page = form(&app, method, filled, "").header("cookie", &cookie);
            let page = Answer::of(page.send().await.unwrap()).await;
            for target in targets(&page.text).iter().filter(|target| !target.ends_with("/logout")) {
                forms += 1;
                // The table knows what the form needs: a POST without a token is refused for its scope first.
                let refused = form(&app, &Method::POST, target, "csrf=x").header("cookie", &cookie);
                let refused = Answer::of(refused.send().await.unwrap()).await;
                let is_scope = refused.text.contains("This takes a key of scope");
                assert!(!is_scope, "{filled} of a {} session has a form for {target}", scope.as_str());
                let is_sometimes = ["/delete", "/budget"].iter().any(|end| target.ends_with(end));
                assert!(!is_sometimes || scope == Scope::Admin, "{filled}: {target}");
            }
            let batch = page.text.contains("value=\"delete\"");
            assert!(!batch || scope == Scope::Admin, "{filled} of a {} session", scope.as_str());
            for link in ["/dashboard/keys\"", "/dashboard/agents/new\"", "/edit\""] {
                assert!(scope == Scope::Admin || !page.text.contains(link), "{filled}: {link}");
            }
        }
        seen.insert(scope, forms);
    }
    assert_eq!(seen[&Scope::Read], 0, "a reader has nothing to send but the end of the session");
    assert!(seen[&Scope::Run] > 5 && seen[&Scope::Admin] > seen[&Scope::Run] + 5, "{seen:?}");
}

async fn a_session_ends_with_its_key(engine: Engine) {
    let here = engine.app().locked().start().await;
    let there = engine.app().locked().start().await;
    let key = made(&here, "visitor", "admin").await;
    let (cookie, csrf) = session_with(&here, &key.secret).await;
    assert!(cookie.contains(&key.id) && !cookie.contains(&key.secret[12..]), "{cookie}");
    let status = async |app: &TestApp| {
        form(app, &Method::GET, "/dashboard/agents", "")
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!((status(&here).await.as_u16(), status(&there).await.as_u16()), (200, 200));
    // It may end itself.
    let revoke =
        form(&here, &Method::POST, &format!("/dashboard/keys/{}/revoke", key.id), &format!("csrf={csrf}"));
    assert_eq!(revoke.header("cookie", &cookie).send().await.unwrap().status(), 303);
    assert_eq!(status(&here).await, 303);
    until("the other node knows", || async { (status(&there).await == 303).then_some(()) }).await;
    let login = form(&here, &Method::POST, "/dashboard/login", &format!("key={}", key.secret));
    let login = Answer::of(login.send().await.unwrap()).await;
    assert!(login.status == 401 && login.text.contains("This key was revoked"), "{}", login.text);
}

async fn the_secret_of_a_new_key_stands_in_one_answer_alone(engine: Engine) {
    let app = engine.app().locked().start().await;
    let (cookie, csrf) = session_of(&app).await;
    let send = async |body: &str| {
        let request = form(&app, &Method::POST, "/dashboard/keys", &format!("csrf={csrf}&{body}"));
        Answer::of(request.header("cookie", &cookie).send().await.unwrap()).await
    };
    let made = send("name=ci&scope=run&expires_in_days=30&usd=2.5&tokens=&requests_per_minute=60").await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{}", made.text);
    let secret = made.text.split("value=\"pf_").nth(1).unwrap().split('"').next().unwrap();
    let secret = format!("pf_{secret}");
    assert_eq!(secret.len(), 52, "{secret}");
    for header in made.headers.values() {
        assert!(!header.to_str().unwrap().contains(&secret[12..]), "{header:?}");
    }
    let me = app.bare(Method::GET, "/keys/me").header("x-api-key", &secret).send().await.unwrap();
    assert_eq!(Answer::of(me).await.ok()["scope"], "run");
    let list =
        form(&app, &Method::GET, "/dashboard/keys", "").header("cookie", &cookie).send().await.unwrap();
    let list = Answer::of(list).await;
    for text in ["ci", "60 requests a minute", "$2.50 a day", "active", "Revoke ci"] {
        assert!(list.text.contains(text), "{text}: {}", list.text);
    }
    assert!(!list.text.contains(&secret[12..]));
    // What is wrong is said, and what was typed stays.
    let wrong = send("name=c%22i&scope=run&usd=much&expires_in_days=1").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("a number, or nothing") && wrong.text.contains("c&quot;i"), "{}", wrong.text);
    let taken = send("name=ci&scope=run").await;
    assert!(taken.status == 422 && taken.text.contains("already"), "{}", taken.text);
    assert_eq!(app.get("/keys").await.ok()["total"], 1);
}
