//! Named API keys: made once, shown once, used, limited, revoked.

use productforge::model::Scope;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, KEY, TestApp, memory},
    engines::Engine,
    scripted::chain,
    sleepy_store::SleepyStore,
    wait::until,
};

on_both_engines!(
    a_key_is_shown_once_and_opens_what_its_scope_says,
    a_revoked_key_opens_nothing_on_any_node,
    a_bad_key_is_refused_with_every_field,
    a_name_is_free_again_when_its_key_is_revoked,
    a_key_is_made_once_for_an_idempotency_key,
    a_use_is_noted_and_keys_are_listed_page_by_page,
    work_and_spending_are_those_of_the_key_that_asked,
    a_key_with_a_budget_spends_no_more,
    what_clients_call_their_requests_is_their_own_matter,
    a_stream_ends_with_the_key_that_opened_it,
);

/// A key that was just made, and a client that shows it.
pub struct Maker<'a> {
    app: &'a TestApp,
    pub id: String,
    pub secret: String,
}

impl<'a> Maker<'a> {
    pub async fn of(app: &'a TestApp, name: &str, scope: &str) -> Self {
        Self::with(app, json!({"name": name, "scope": scope})).await
    }

    async fn with(app: &'a TestApp, order: Value) -> Self {
        let answer = app.post("/keys", &order).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let key = answer.json();
        let text = |field: &str| key[field].as_str().unwrap().to_owned();
        Self { app, id: text("id"), secret: text("secret") }
    }

    async fn send(&self, method: Method, path: &str) -> Answer {
        let request = self.app.bare(method, path).header("x-api-key", &self.secret);
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.app.bare(Method::POST, path).header("x-api-key", &self.secret);
        Answer::of(request.json(body).send().await.unwrap()).await
    }
}

pub async fn made<'a>(app: &'a TestApp, name: &str, scope: &str) -> Maker<'a> {
    Maker::of(app, name, scope).await
}

/// The text of a key that somebody has revoked.
pub async fn revoked(app: &TestApp, name: &str) -> String {
    let key = made(app, name, "admin").await;
    app.delete(&format!("/keys/{}", key.id)).await.ok();
    key.secret
}

/// The text of a key whose time is over.
pub async fn expired(app: &TestApp, name: &str) -> String {
    let soon = chrono::Utc::now() + chrono::TimeDelta::milliseconds(1_500);
    let order = json!({"name": name, "scope": "admin", "expires_at": soon.to_rfc3339()});
    let key = Maker::with(app, order).await;
    until("its time is over", || async { (key.get("/keys/me").await.status == 401).then_some(()) }).await;
    key.secret
}

async fn a_key_is_shown_once_and_opens_what_its_scope_says(engine: Engine) {
    let app = engine.app().locked().start().await;
    let order = json!({"name": "ci", "scope": "run", "requests_per_minute": 60, "expires_in_days": 30,
        "budget": {"usd": 2.5, "tokens": 1000}});
    let answer = app.post("/keys", &order).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"), "{}", answer.text);
    let key = answer.json();
    let (id, secret) = (key["id"].as_str().unwrap(), key["secret"].as_str().unwrap());
    assert!(secret.starts_with(&format!("{id}_")) && id.starts_with("pf_"), "{key}");
    assert_eq!((secret.len(), &key["created_by"], &key["state"]), (52, &json!("default"), &json!("active")));
    // Neither the answers nor the store have it again.
    let tail = &secret[12..];
    for path in ["/keys", &format!("/keys/{id}"), "/keys/ci"] {
        let answer = app.get(path).await;
        answer.ok();
        assert!(!answer.text.contains(tail) && !answer.text.contains("digest"), "{path}: {}", answer.text);
    }
    let stored = productforge::service::records::key_key(id);
    let stored = app.app.store.get(&[stored]).await.unwrap().pop().flatten().unwrap();
    let stored = String::from_utf8(stored.body.to_vec()).unwrap();
    assert!(!stored.contains(tail) && stored.contains("digest"), "{stored}");

    for (header, value) in [("x-api-key", secret.to_owned()), ("authorization", format!("Bearer {secret}"))] {
        let me = app.bare(Method::GET, "/keys/me").header(header, value);
        let me = Answer::of(me.send().await.unwrap()).await.ok();
        assert_eq!((&me["key"], &me["key_id"], &me["scope"]), (&json!("ci"), &json!(id), &json!("run")));
        assert_eq!((&me["requests_per_minute"], &me["expires_at"]), (&json!(60), &key["expires_at"]));
    }
    let me = app.get("/keys/me").await.ok();
    assert_eq!((&me["key"], &me["key_id"], &me["scope"]), (&json!("default"), &json!(null), &json!("admin")));
    // Both ways at once: one right key is enough.
    let both = app.bare(Method::GET, "/agents/").header("x-api-key", "wrong").bearer_auth(secret);
    assert_eq!(both.send().await.unwrap().status(), 200);
    // What is public asks for nothing, whatever is sent.
    let public = app.bare(Method::GET, "/").header("x-api-key", "pf_abcdEF12_x");
    assert_eq!(public.send().await.unwrap().status(), 200);
}

async fn a_revoked_key_opens_nothing_on_any_node(engine: Engine) {
    let here = engine.app().locked().start().await;
    let there = engine.app().locked().start().await;
    let key = made(&here, "ci", "admin").await;
    let seen = async |app: &TestApp| {
        let request = app.bare(Method::GET, "/agents/").header("x-api-key", &key.secret);
        Answer::of(request.send().await.unwrap()).await
    };
    assert_eq!((seen(&here).await.status, seen(&there).await.status), (200, 200));
    let first = here.delete(&format!("/keys/{}", key.id)).await.ok();
    assert_eq!((&first["state"], &first["name"]), (&json!("revoked"), &json!("ci")));
    assert_eq!(seen(&here).await.problem(401), "This key opens nothing any more: it is revoked");
    until("the other node knows", || async { (seen(&there).await.status == 401).then_some(()) }).await;
    // Twice is once, by its name as well.
    for path in [format!("/keys/{}", key.id), "/keys/ci".to_owned()] {
        assert_eq!(there.delete(&path).await.ok()["revoked_at"], first["revoked_at"]);
    }
    here.delete("/keys/pf_00000000").await.problem(404);
    here.delete("/keys/nobody").await.problem(404);
    // Who has only a part of it is told nothing.
    let guess = format!("{}_{}", key.id, "x".repeat(40));
    let answer = here.bare(Method::GET, "/agents/").header("x-api-key", guess).send().await.unwrap();
    assert_eq!(Answer::of(answer).await.problem(401), "Unauthorized");
    // A key that is no text, or very long, is simply wrong.
    for odd in [&b"pf_\xff\xfe"[..], &[b'x'; 7_000]] {
        let value = reqwest::header::HeaderValue::from_bytes(odd).unwrap();
        let answer = here.bare(Method::GET, "/agents/").header("x-api-key", value).send().await.unwrap();
        assert_eq!(Answer::of(answer).await.problem(401), "Unauthorized");
    }
}

async fn a_bad_key_is_refused_with_every_field(engine: Engine) {
    let app = engine.app().locked().start().await;
    let bad = app
        .post("/keys", &json!({"name": "a b", "scope": "run", "expires_at": "soon", "budget": {"usd": 0}}))
        .await;
    let expected =
        [("string_pattern", "name"), ("datetime_parsing", "expires_at"), ("greater_than", "budget")];
    let expected = expected.map(|(kind, field)| (kind.to_owned(), format!("body.{field}")));
    assert_eq!(bad.bad_fields(), expected);
    let shape =
        app.post("/keys", &json!({"scope": "root", "requests_per_minute": 0, "expires_in_days": 9999})).await;
    let expected = [
        ("missing", "name"),
        ("literal_error", "scope"),
        ("less_than_equal", "expires_in_days"),
        ("greater_than_equal", "requests_per_minute"),
    ];
    let expected = expected.map(|(kind, field)| (kind.to_owned(), format!("body.{field}")));
    assert_eq!(shape.bad_fields(), expected);
    for name in ["default", "me", "pf_mine"] {
        let reserved = app.post("/keys", &json!({"name": name, "scope": "read"})).await.bad_fields();
        assert_eq!(reserved, [("reserved".to_owned(), "body.name".to_owned())]);
    }
    assert_eq!(app.get("/keys").await.ok()["total"], 0);
    // Where everybody is let in a key would protect nothing.
    let open = engine.app().start().await;
    let refused = open.post("/keys", &json!({"name": "ci", "scope": "read"})).await.problem(409);
    assert!(refused.as_str().unwrap().contains("API_KEY"), "{refused}");
    let me = open.get("/keys/me").await.ok();
    assert_eq!((&me["key"], &me["scope"]), (&Value::Null, &json!("admin")));
}

async fn a_name_is_free_again_when_its_key_is_revoked(engine: Engine) {
    let app = engine.app().locked().start().await;
    let first = made(&app, "ci", "read").await;
    let again = json!({"name": "ci", "scope": "run"});
    assert_eq!(
        app.post("/keys", &again).await.bad_fields(),
        [("not_unique".to_owned(), "body.name".to_owned())]
    );
    app.delete("/keys/ci").await.ok();
    let second = made(&app, "ci", "run").await;
    assert_ne!(first.id, second.id);
    assert_eq!(app.get("/keys/ci").await.ok()["id"], second.id.as_str(), "a name means the newest");
    assert_eq!(app.get(&format!("/keys/{}", first.id)).await.ok()["state"], "revoked");
    assert_eq!((first.get("/keys/me").await.status, second.get("/keys/me").await.status), (401, 200));
    // Of many at once one gets the name.
    let order = json!({"name": "race", "scope": "read"});
    let all = futures_util::future::join_all((0..10).map(|_| app.post("/keys", &order))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(all.iter().all(|answer| matches!(answer.status, 201 | 422)), "{all:?}");
}

async fn a_key_is_made_once_for_an_idempotency_key(engine: Engine) {
    let app = engine.app().locked().start().await;
    let send = async |body: Value| {
        let request = app.request(Method::POST, "/keys").header("idempotency-key", "make-ci").json(&body);
        Answer::of(request.send().await.unwrap()).await
    };
    let order = json!({"name": "ci", "scope": "run"});
    let first = send(order.clone()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = send(order).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert_eq!((&again.json()["id"], &again.json()["secret"]), (&first.json()["id"], &Value::Null));
    assert_eq!(
        send(json!({"name": "other", "scope": "run"})).await.bad_fields()[0].0,
        "idempotency_mismatch"
    );
    assert_eq!(app.get("/keys").await.ok()["total"], 1);
}

async fn a_use_is_noted_and_keys_are_listed_page_by_page(engine: Engine) {
    let app = engine.app().locked().start().await;
    let used = made(&app, "used", "read").await;
    for n in 0..3 {
        made(&app, &format!("idle-{n}"), "read").await;
    }
    assert_eq!(app.get("/keys/used").await.ok()["last_used"], Value::Null);
    used.get("/agents/").await.ok();
    until("its use is noted", || async {
        app.get("/keys/used").await.ok()["last_used"].is_string().then_some(())
    })
    .await;
    assert_eq!(app.get("/keys/idle-0").await.ok()["last_used"], Value::Null);
    let (mut names, mut cursor) = (Vec::new(), String::new());
    for _ in 0..9 {
        let page = app.get(&format!("/keys?limit=2{cursor}")).await.ok();
        assert_eq!(page["total"], 4);
        names.extend(
            page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    names.sort();
    assert_eq!(names, ["idle-0", "idle-1", "idle-2", "used"]);
}

async fn work_and_spending_are_those_of_the_key_that_asked(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).locked().worker().start().await;
    let key = made(&app, "ci", "run").await;
    let workflow = key.post("/orchestrate", &json!({"job": "Write about Oslo"})).await.ok();
    let id = workflow["workflow_id"].as_str().unwrap();
    let task = key.post("/results/task", &json!({"job": "x"})).await.ok()["job_id"].clone();
    let review = key.post("/admin_review", &json!({"job_id": "x"})).await.ok()["review_job_id"].clone();
    let done = async |job: &Value| {
        let job = job.as_str().unwrap();
        app.get_once_there(&format!("/results/{job}")).await;
        app.get(&format!("/jobs/{job}")).await.ok()["api_key"].clone()
    };
    assert_eq!((done(&task).await, done(&review).await), (json!("ci"), json!("ci")));
    let done = until("the workflow is done", || async {
        let found = app.get(&format!("/workflows/{id}")).await.ok()["workflow"].clone();
        (found["status"] == "completed").then_some(found)
    })
    .await;
    assert_eq!(done["api_key"], "ci");
    let own = app.post("/results/task", &json!({"job": "y"})).await.ok()["job_id"].clone();
    app.get_once_there(&format!("/results/{}", own.as_str().unwrap())).await;
    let used = app.get("/usage").await.ok()["days"][0]["total"]["total_tokens"].as_u64().unwrap();
    let own = 15;
    let spend = app.get("/keys/ci").await.ok()["spend"].clone();
    assert_eq!(spend["today"]["tokens"].as_u64().unwrap(), used - own, "{spend}");
    assert_eq!(spend["total"], spend["today"]);
    assert_eq!(spend["today"]["cost_usd"], Value::Null, "nobody knows the price of this model");
    // Who goes on from the work of another does so for his own account.
    let step = done["steps"][1]["job_id"].as_str().unwrap();
    let fork = app.post(&format!("/workflows/{id}/fork"), &json!({"from": step})).await.ok();
    assert_eq!(fork["workflow"]["api_key"], "default");
}

async fn a_key_with_a_budget_spends_no_more(engine: Engine) {
    let provider = chain(|_| "approve");
    let variables = [("MODEL_MAX_TOKENS", "5"), ("KEY_BUDGET_TOKENS", "1000000")];
    let app = engine.app().provider(provider.clone()).variables(&variables).locked().worker().start().await;
    // Every call uses 15: after two of them the budget is used up.
    let order = json!({"name": "thrifty", "scope": "run", "budget": {"tokens": 20}});
    let key = Maker::with(&app, order).await;
    let mut jobs = Vec::new();
    for n in 0..4 {
        let receipt = key.post("/results/task", &json!({"job": format!("task {n}")})).await.ok();
        jobs.push(receipt["job_id"].as_str().unwrap().to_owned());
    }
    let waiting = async || {
        let mut waiting = Vec::new();
        for job in &jobs {
            let job = app.get(&format!("/jobs/{job}")).await.ok();
            waiting.extend((job["waits_for"] == "budget:api_key").then_some(job));
        }
        waiting
    };
    until("two wait", || async { (waiting().await.len() == 2).then_some(()) }).await;
    assert_eq!(provider.calls(), 2);
    assert_eq!(app.get("/keys/thrifty").await.ok()["spend"]["today"]["tokens"], 30);
    // Revoked, it has no more to spend than before, and others are not held up.
    app.delete("/keys/thrifty").await.ok();
    let other = app.post("/results/task", &json!({"job": "other"})).await.ok();
    app.get_once_there(&format!("/results/{}", other["job_id"].as_str().unwrap())).await;
    assert_eq!(waiting().await.len(), 2);
}

async fn what_clients_call_their_requests_is_their_own_matter(engine: Engine) {
    let app = engine.app().locked().start().await;
    let (one, two) = (made(&app, "one", "run").await, made(&app, "two", "run").await);
    let send = async |secret: &str, job: &str| {
        let request = app.bare(Method::POST, "/results/task").header("x-api-key", secret);
        let request = request.header("idempotency-key", "nightly").json(&json!({"job": job}));
        Answer::of(request.send().await.unwrap()).await
    };
    let first = send(&one.secret, "a").await.ok()["job_id"].clone();
    assert_eq!(send(&one.secret, "a").await.ok()["job_id"], first);
    let other = send(&two.secret, "b").await.ok()["job_id"].clone();
    assert_ne!(other, first);
    assert_ne!(send(KEY, "a").await.ok()["job_id"], first);
    assert_eq!(send(&one.secret, "b").await.bad_fields()[0].0, "idempotency_mismatch");
}

async fn a_stream_ends_with_the_key_that_opened_it(engine: Engine) {
    let app = engine.app().locked().start().await;
    let key = made(&app, "viewer", "read").await;
    let mut stream = app.bare(Method::GET, "/events").header("x-api-key", &key.secret).send().await.unwrap();
    let mut said = String::new();
    while !said.contains("workflow_created") {
        app.post("/orchestrate", &json!({"job": "seen"})).await.ok();
        said.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    app.delete("/keys/viewer").await.ok();
    let unseen = app.post("/orchestrate", &json!({"job": "x"})).await.ok()["workflow_id"].clone();
    let mut rest = Vec::new();
    while let Some(piece) = stream.chunk().await.unwrap() {
        rest.extend_from_slice(&piece);
    }
    assert!(!String::from_utf8(rest).unwrap().contains(unseen.as_str().unwrap()));
}

#[tokio::test]
async fn while_the_store_is_away_a_named_key_is_told_so_and_the_key_of_the_server_works() {
    let store = SleepyStore::over(memory());
    let app = TestApp::builder().store(store.clone()).locked().start().await;
    let key = made(&app, "ci", "admin").await;
    store.go_away();
    let away = key.get("/agents/ping").await;
    assert!(away.problem(503).as_str().unwrap().contains("not available"), "{}", away.text);
    assert!(away.header("retry-after").parse::<u32>().unwrap() > 0);
    app.get("/agents/ping").await.ok();
    // What cannot be a key is known not to be one, and what is public is not locked.
    let wrong = app.bare(Method::GET, "/agents/ping").header("x-api-key", "wrong").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let public = app.bare(Method::GET, "/system/ping").header("x-api-key", &key.secret).send().await.unwrap();
    assert_eq!(public.status(), 200);
    store.come_back();
    key.get("/agents/ping").await.ok();
    // What was read a moment ago still counts.
    store.go_away();
    key.get("/agents/ping").await.ok();
}

#[tokio::test]
async fn the_three_scopes_are_what_the_document_says() {
    let app = TestApp::builder().locked().start().await;
    let document = app.get("/openapi.json").await.ok();
    let words = document["components"]["schemas"]["Scope"].to_string();
    for scope in Scope::ALL {
        assert!(words.contains(scope.as_str()), "{words}");
    }
}
