//! The pages that operate the system: overview, jobs, queues and workers, system; and their forms.

use productforge::{
    http::{render::segment, session},
    llm::ModelErrorKind,
    service::records,
    store::{Change, Queue},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{Answer, KEY, TestApp},
    engines::Engine,
    scripted::{Line, Scripted},
    wait::until,
    world::push,
};

on_both_engines!(
    the_overview_says_what_runs_and_what_waits_and_why,
    jobs_are_listed_by_state_and_in_pages,
    several_jobs_are_cancelled_deleted_and_retried_at_once,
    one_job_shows_its_story_and_only_what_can_be_done,
    an_unreadable_payload_is_retried_with_a_corrected_one,
    a_queue_is_paused_and_resumed_and_shows_what_comes_next,
    a_worker_is_drained_by_a_form,
    the_system_page_is_a_checklist,
    a_provider_that_is_not_asked_is_asked_again,
    what_is_not_there_is_not_found,
    with_a_key_set_nobody_sees_or_does_anything_without_login,
    texts_from_outside_are_only_texts,
);

async fn submit(app: &TestApp, body: Value) -> String {
    app.post("/results/task", &body).await.ok()["job_id"].as_str().unwrap().to_owned()
}

async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    assert!(answer.header("content-security-policy").contains("style-src 'self'"), "{path}");
    for inline in ["style=", "<style", "<script>", "onclick="] {
        assert!(!answer.text.contains(inline), "{path} has {inline}");
    }
    answer.text
}

async fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
    app.post_text(path, "application/x-www-form-urlencoded", pairs.join("&")).await
}

/// Follows a form to the page that it leads to.
async fn done(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> String {
    let answer = form(app, path, fields).await;
    assert_eq!(answer.status, 303, "{path}: {}", answer.text);
    let to = answer.header("location").split('#').next().unwrap().to_owned();
    page(app, &to).await
}

/// Every attempt fails for good.
fn hopeless() -> std::sync::Arc<Scripted> {
    Scripted::new(|_, _| Line::Fail(ModelErrorKind::Unavailable))
}

async fn in_state(app: &TestApp, id: &str, state: &str) {
    until(&format!("{id} is {state}"), || async {
        (app.get(&format!("/jobs/{id}")).await.json()["state"] == state).then_some(())
    })
    .await;
}

async fn the_overview_says_what_runs_and_what_waits_and_why(engine: Engine) {
    let held = Scripted::held(|_, _| Line::Say("done".into()));
    let app = engine.app().provider(held.clone()).variables(&[("WORKERS", "1")]).worker().start().await;
    submit(&app, json!({"job": "The running one"})).await;
    until("it runs", || async { (held.calls() == 1).then_some(()) }).await;
    submit(&app, json!({"job": "The waiting one"})).await;
    submit(&app, json!({"job": "The late one", "delay_seconds": 3_600})).await;
    app.post("/queues/low/pause", &json!({})).await.ok();
    submit(&app, json!({"job": "The stopped one", "priority": "low"})).await;
    let seen = page(&app, "/dashboard/").await;
    for text in [
        "The running one",
        "waits for a free slot",
        "begins at its time",
        "the low queue is paused",
        "The low queue is paused: 1 job waits in it.",
        "takes work",
        "No model was called today.",
    ] {
        assert!(seen.contains(text), "{text}");
    }
    held.release();
    until("three have ended, the chart says", || async {
        let seen = page(&app, "/dashboard/").await;
        seen.contains("Jobs that ended in the last 24 hours: 2, of which 0 failed").then_some(())
    })
    .await;
    let days = page(&app, "/dashboard/?chart=days").await;
    assert!(days.contains("Jobs that ended in the last 14 days: 2, of which 0 failed"));
    // The scripted model has no price.
    let today = days.split("Used today").nth(1).unwrap();
    assert!(today.contains("unknown") && today.contains("2 calls are of unknown price"), "{today}");
}

async fn jobs_are_listed_by_state_and_in_pages(engine: Engine) {
    let app = engine.app().start().await;
    for n in 0..27 {
        submit(&app, json!({"job": format!("Task number {n}"), "agent_name": "qa_bot"})).await;
    }
    let late = submit(&app, json!({"job": "Late", "delay_seconds": 600})).await;
    let seen = page(&app, "/dashboard/jobs?state=queued").await;
    assert!(seen.contains("25 of 27 jobs") && seen.contains("Task number 26"), "newest first");
    assert!(!seen.contains("Task number 0<") && !seen.contains(&late));
    let older = seen.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
    let older = older.split('"').next().unwrap().replace("&amp;", "&");
    let seen = page(&app, &older).await;
    assert!(seen.contains("Task number 0<") && seen.contains("« Newest"), "{older}");
    let seen = page(&app, "/dashboard/jobs?state=scheduled").await;
    assert!(seen.contains(&late) && seen.contains("1 of 1 jobs") && seen.contains("due <time"));
    let seen = page(&app, "/dashboard/jobs?agent=qa_bot&state=scheduled").await;
    assert!(!seen.contains(&late) && seen.contains("No job fits."));
    for (state, text) in [("dead", "The dead set is empty."), ("running", "No job is running now.")] {
        assert!(page(&app, &format!("/dashboard/jobs?state={state}")).await.contains(text), "{state}");
    }
}

async fn several_jobs_are_cancelled_deleted_and_retried_at_once(engine: Engine) {
    let app = engine.app().start().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(submit(&app, json!({"job": "x"})).await);
    }
    let here = ("here", "/dashboard/jobs?state=queued");
    let none = done(&app, "/dashboard/jobs", &[here, ("action", "cancel")]).await;
    assert!(none.contains("Nothing was ticked"));
    let seen =
        done(&app, "/dashboard/jobs", &[here, ("action", "cancel"), ("id", &ids[0]), ("id", &ids[1])]).await;
    assert!(seen.contains("2 jobs are cancelled.") && !seen.contains(&ids[0]) && seen.contains(&ids[2]));
    // What cannot be done to any of them is said.
    let seen = done(&app, "/dashboard/jobs", &[here, ("action", "retry"), ("id", &ids[2])]).await;
    assert!(seen.contains("nothing was done"));
    // All on this page, without a script: all that were listed.
    let all = [here, ("action", "cancel"), ("all", "true"), ("listed", &ids[2]), ("listed", &ids[3])];
    assert!(done(&app, "/dashboard/jobs", &all).await.contains("2 jobs are cancelled."));
    let delete = [("here", "https://evil.example/"), ("action", "delete"), ("id", &ids[0]), ("id", "no\nid")];
    let seen = done(&app, "/dashboard/jobs", &delete).await;
    assert!(seen.contains("The job is deleted.") && !seen.contains(&ids[0]) && seen.contains(&ids[1]));
    assert_eq!(form(&app, "/dashboard/jobs", &[("action", "explode"), ("id", &ids[1])]).await.status, 422);
}

async fn one_job_shows_its_story_and_only_what_can_be_done(engine: Engine) {
    let settings = [("RETRY_BASE_SECONDS", "0"), ("JOB_MAX_ATTEMPTS", "2")];
    let app = engine.app().provider(hopeless()).variables(&settings).start().await;
    let id = submit(&app, json!({"job": "Do the impossible"})).await;
    let path = format!("/dashboard/jobs/{id}");
    let seen = page(&app, &path).await;
    for text in ["Do the impossible", "Waits in its queue for a free slot", "No attempt yet.", "ask-cancel"] {
        assert!(seen.contains(text), "{text}");
    }
    assert!(!seen.contains("ask-delete") && !seen.contains("id=\"retry\""), "it waits");
    let worker = app.app.start_worker();
    in_state(&app, &id, "failed").await;
    worker.stop(std::time::Duration::ZERO, std::future::ready(())).await;
    let seen = page(&app, &path).await;
    for text in [
        "2 attempts, the last one failed",
        "attempts used up",
        "ask-delete",
        "id=\"retry\"",
        "Open the result",
    ] {
        assert!(seen.contains(text), "{text}");
    }
    assert!(!seen.contains("ask-cancel"), "it has ended");
    assert!(page(&app, "/dashboard/jobs?state=dead").await.contains(&id));

    let seen = done(&app, &format!("{path}/retry"), &[]).await;
    assert!(seen.contains("The job is tried again.") && seen.contains("queued"));
    assert_eq!(form(&app, &format!("{path}/retry"), &[]).await.status, 409);
    assert_eq!(form(&app, &format!("{path}/delete"), &[]).await.status, 409);
    let seen = done(&app, &format!("{path}/cancel"), &[("reason", "not needed")]).await;
    assert!(seen.contains("The job is cancelled.") && seen.contains("not needed"));
    let seen = done(&app, &format!("{path}/delete"), &[("result", "true")]).await;
    assert!(seen.contains("The job is deleted.") && !seen.contains(&id));
    assert_eq!(app.get(&path).await.status, 404);
    assert_eq!(app.get(&format!("/results/{id}")).await.status, 404);
}

async fn an_unreadable_payload_is_retried_with_a_corrected_one(engine: Engine) {
    let app = engine.app().start().await;
    push(&app.app, Queue::Normal, "no job <b>at all</b>").await;
    let worker = app.app.start_worker();
    let dead = until("it is dead", || async {
        let page = app.get("/jobs?state=dead").await.ok();
        page["jobs"][0]["job_id"].as_str().map(str::to_owned)
    })
    .await;
    worker.stop(std::time::Duration::from_secs(5), std::future::ready(())).await;
    let path = format!("/dashboard/jobs/{dead}");
    let seen = page(&app, &path).await;
    assert!(seen.contains("Retry with a corrected payload") && seen.contains("no job &lt;b&gt;at all"));
    assert!(!seen.contains("id=\"retry\""), "as it is it cannot be retried");
    for (typed, problem) in [
        ("{\"job\": ", "It is not JSON"),
        ("[1]", "It has to be a JSON object"),
        ("{\"job\": \"\"}", "it says nothing to do"),
        ("{\"job\": \"x\", \"job_id\": \"other\"}", "The job keeps its id"),
    ] {
        let answer = form(&app, &format!("{path}/retry"), &[("payload", typed)]).await;
        assert_eq!(answer.status, 422, "{typed}");
        assert!(answer.text.contains(problem), "{typed}: {}", answer.text);
        let kept = typed.replace('"', "&quot;");
        assert!(answer.text.contains(&kept), "what was typed stays: {kept}");
    }
    let seen = done(&app, &format!("{path}/retry"), &[("payload", "{\r\n\"job\": \"Mended\"}")]).await;
    assert!(seen.contains("The job is tried again.") && seen.contains("Mended"));
    let _worker = app.app.start_worker();
    in_state(&app, &dead, "completed").await;
}

async fn a_queue_is_paused_and_resumed_and_shows_what_comes_next(engine: Engine) {
    let app = engine.app().start().await;
    let first = submit(&app, json!({"job": "The very first", "priority": "high"})).await;
    for n in 0..6 {
        submit(&app, json!({"job": format!("Another {n}"), "priority": "high"})).await;
    }
    push(&app.app, Queue::Low, "broken <payload>").await;
    let seen = page(&app, "/dashboard/queues").await;
    for text in [
        "The very first",
        &first,
        "and 2 more",
        "broken &lt;payload&gt;",
        "not readable",
        "No worker is alive",
    ] {
        assert!(seen.contains(text), "{text}");
    }
    assert!(!seen.contains("Another 4"), "only the next ones");
    let seen = done(&app, "/dashboard/queues/high/pause", &[]).await;
    assert!(seen.contains("The queue is paused") && seen.contains("/dashboard/queues/high/resume"));
    assert_eq!(app.get("/queues").await.ok()["queues"][0]["paused"], true);
    let seen = done(&app, "/dashboard/queues/high/resume", &[]).await;
    assert!(seen.contains("The queue goes on.") && seen.contains("/dashboard/queues/high/pause"));
    assert_eq!(app.get("/queues").await.ok()["queues"][0]["paused"], false);
}

async fn a_worker_is_drained_by_a_form(engine: Engine) {
    let app = engine.app().worker().start().await;
    let id = until("a worker", || async {
        app.get("/workers").await.ok()["workers"][0]["worker_id"].as_str().map(str::to_owned)
    })
    .await;
    assert!(page(&app, "/dashboard/queues").await.contains("takes work"));
    let seen = done(&app, &format!("/dashboard/workers/{id}/drain"), &[]).await;
    for text in ["The worker drains", "draining", "Every worker drains, so nothing is taken."] {
        assert!(seen.contains(text), "{text}");
    }
    assert!(!seen.contains(&format!("/dashboard/workers/{id}/drain")), "it drains already");
    assert_eq!(form(&app, &format!("/dashboard/workers/{id}/drain"), &[]).await.status, 409);
}

async fn the_system_page_is_a_checklist(engine: Engine) {
    let app = engine.app().start().await;
    let seen = page(&app, "/dashboard/system").await;
    for text in [
        "None is alive: jobs wait.",
        "None is configured, so answers are simulated",
        engine.name(),
        "/metrics",
    ] {
        assert!(seen.contains(text), "{text}");
    }
    assert!(seen.contains("needs you") && seen.contains("in order"));
}

async fn a_provider_that_is_not_asked_is_asked_again(engine: Engine) {
    let app = engine.app().variables(&[("OPENAI_API_KEY", "sk-of-the-tests")]).start().await;
    let now = app.app.store.now().await.unwrap();
    let why = "the account <b>has no credit</b> left";
    let circuit = json!({"cause": "billing", "why": why, "since": now, "until": now + 600_000, "times": 1});
    let lane = json!({"id": "openai-1", "provider": "openai", "state": {"circuit": circuit, "failures": 3}});
    let lane = serde_json::from_value(lane).unwrap();
    app.app.store.apply(Change::new().put(records::put_lane(&lane, now))).await.unwrap().unwrap();
    for (path, from) in [("/dashboard/", "overview"), ("/dashboard/system", "system")] {
        let seen = page(&app, path).await;
        for text in [
            "not asked: no credit",
            "the account &lt;b&gt;has no credit",
            "/dashboard/providers/openai/reset",
            "api.openai.com",
        ] {
            assert!(seen.contains(text), "{path}: {text}");
        }
        assert!(!seen.contains("sk-of-the-tests"), "{path}");
        assert!(seen.contains(&format!("name=\"from\" value=\"{from}\"")), "{path}");
    }
    assert!(page(&app, "/dashboard/").await.contains("The provider openai is not asked now."));
    let seen = done(&app, "/dashboard/providers/openai/reset", &[("from", "system")]).await;
    assert!(seen.contains("The provider is asked again") && seen.contains("is asked</span>"));
    assert!(!seen.contains("/dashboard/providers/openai/reset"), "there is nothing to reset");
    assert!(app.get("/providers").await.ok()["providers"][0]["circuit"].is_null());
}

async fn what_is_not_there_is_not_found(engine: Engine) {
    let app = engine.app().start().await;
    let long = format!("/dashboard/jobs/{}", "x".repeat(600));
    for path in ["/dashboard/jobs?state=odd", "/dashboard/jobs/nothing", &long] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"));
    }
    for path in [
        "/dashboard/jobs/nothing/retry",
        "/dashboard/jobs/nothing/cancel",
        "/dashboard/queues/urgent/pause",
        "/dashboard/queues/urgent/resume",
        "/dashboard/workers/nobody/drain",
        "/dashboard/workers/heartbeat/drain",
        "/dashboard/providers/nobody/reset",
    ] {
        assert_eq!(form(&app, path, &[]).await.status, 404, "{path}");
    }
}

async fn with_a_key_set_nobody_sees_or_does_anything_without_login(engine: Engine) {
    let app = engine.app().locked().worker().start().await;
    let id = submit(&app, json!({"job": "the secret task", "delay_seconds": 600})).await;
    let worker = until("a worker", || async {
        app.get("/workers").await.ok()["workers"][0]["worker_id"].as_str().map(str::to_owned)
    })
    .await;
    for path in ["/", "/jobs", &format!("/jobs/{id}"), "/queues", "/system"] {
        let answer =
            Answer::of(app.bare(Method::GET, &format!("/dashboard{path}")).send().await.unwrap()).await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(!answer.text.contains("secret task") && !answer.text.contains(&worker), "{path}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signing_key = app.app.services.sessions.signing_key(KEY).await.unwrap();
    let cookie = format!("pf_session={}", session::issue(&signing_key, now as i64).unwrap());
    let forms = [
        "/jobs".to_owned(),
        format!("/jobs/{id}/cancel"),
        format!("/jobs/{id}/retry"),
        format!("/jobs/{id}/delete"),
        "/queues/high/pause".to_owned(),
        "/queues/high/resume".to_owned(),
        format!("/workers/{worker}/drain"),
        "/providers/openai/reset".to_owned(),
    ];
    for path in &forms {
        let send = |cookie: Option<&str>, body: &'static str| {
            let request = app.bare(Method::POST, &format!("/dashboard{path}"));
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            let request = if let Some(cookie) = cookie { request.header("cookie", cookie) } else { request };
            request.send()
        };
        assert_eq!(send(None, "action=cancel&all=true").await.unwrap().status(), 303, "{path}");
        for body in ["action=cancel", "csrf=AAAA&action=cancel"] {
            assert_eq!(send(Some(&cookie), body).await.unwrap().status(), 403, "{path}");
        }
    }
    assert_eq!(app.get(&format!("/jobs/{id}")).await.ok()["state"], "scheduled");
    assert_eq!(app.get("/queues").await.ok()["queues"][0]["paused"], false);
    assert_eq!(app.get("/workers").await.ok()["workers"][0]["draining"], false);
    let seen = app.bare(Method::GET, "/dashboard/jobs").header("cookie", &cookie).send().await.unwrap();
    let seen = seen.text().await.unwrap();
    assert!(seen.contains("the secret task"));
    let token = seen.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("csrf={}&action=cancel&id={id}", segment(token));
    let request = app.bare(Method::POST, "/dashboard/jobs").header("cookie", &cookie);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(request.send().await.unwrap().status(), 303);
    in_state(&app, &id, "cancelled").await;
}

async fn texts_from_outside_are_only_texts(engine: Engine) {
    let app = engine.app().start().await;
    let script = "<script>alert(1)</script>";
    let id = submit(&app, json!({"job": script})).await;
    push(
        &app.app,
        Queue::High,
        &json!({"job_id": "\" onclick=x", "job": script, "agent": script}).to_string(),
    )
    .await;
    push(&app.app, Queue::Low, script).await;
    for path in ["/dashboard/", "/dashboard/jobs", &format!("/dashboard/jobs/{id}"), "/dashboard/queues"] {
        let seen = page(&app, path).await;
        assert!(!seen.contains(script) && seen.contains("&lt;script&gt;"), "{path}");
    }
}
