//! Jobs: the lists, the story of one, and the dead set.

use productforge::{
    llm::ModelErrorKind,
    store::{Change, Enqueue, Queue},
};
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    scripted::{Line, Scripted},
    wait::until,
    world::push,
};

/// Every model call fails until the rule is told that the fault is mended.
async fn failing(attempts: &'static str) -> (TestApp, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rule = mended.clone();
    let provider = Scripted::new(move |_, n| match rule.load(std::sync::atomic::Ordering::SeqCst) {
        true => Line::Say(format!("answer {n}")),
        false => Line::Fail(ModelErrorKind::Unavailable),
    });
    let app = TestApp::builder()
        .provider(provider)
        .variables(&[("RETRY_BASE_SECONDS", "0"), ("JOB_MAX_ATTEMPTS", attempts)])
        .worker()
        .start()
        .await;
    (app, mended)
}

fn mend(fault: &std::sync::atomic::AtomicBool) {
    fault.store(true, std::sync::atomic::Ordering::SeqCst);
}

async fn submit(app: &TestApp, body: Value) -> String {
    app.post("/results/task", &body).await.ok()["job_id"].as_str().unwrap().to_owned()
}

async fn in_state(app: &TestApp, id: &str, state: &str) -> Value {
    until(&format!("{id} is {state}"), || async {
        Some(app.get(&format!("/jobs/{id}")).await.ok()).filter(|story| story["state"] == state)
    })
    .await
}

fn ids(page: &Value) -> Vec<&str> {
    page["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_waiting_job_tells_its_whole_story() {
    let app = TestApp::start().await;
    let id = submit(&app, json!({"job": "Say hello", "agent_name": "qa_bot", "priority": "low"})).await;
    let story = app.get(&format!("/jobs/{id}")).await.ok();
    assert_eq!(
        (&story["state"], &story["agent"], &story["queue"]),
        (&json!("queued"), &json!("qa_bot"), &json!("queue_low"))
    );
    assert_eq!(story["waits_because"], "Waits in its queue for a free slot of a worker.");
    assert_eq!((&story["payload"]["job"], &story["payload"]["job_id"]), (&json!("Say hello"), &json!(id)));
    assert_eq!(
        (&story["result"], &story["dead"], &story["attempts"]),
        (&json!(null), &json!(null), &json!([]))
    );
    app.get("/jobs/nothing").await.problem(404);
}

#[tokio::test]
async fn a_finished_job_links_to_its_result_and_shows_its_attempts() {
    let (app, mended) = failing("9").await;
    let id = submit(&app, json!({"job": "x"})).await;
    until("it failed once", || async {
        let story = app.get(&format!("/jobs/{id}")).await.ok();
        (story["attempts"][0]["outcome"] == "failed").then_some(())
    })
    .await;
    mend(&mended);
    let story = in_state(&app, &id, "completed").await;
    assert_eq!(story["result"], format!("/results/{id}"));
    app.get(story["result"].as_str().unwrap()).await.ok();
    let first = &story["attempts"][0];
    assert_eq!((&first["class"], &first["error"]), (&json!("server_error"), &json!("scripted unavailable")));
    let last = story["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["outcome"], last.get("class")), (&json!("completed"), None));
}

#[tokio::test]
async fn lists_are_narrowed_by_state_agent_and_workflow_and_paged() {
    let app = TestApp::start().await;
    let mut tasks = Vec::new();
    for n in 0..5 {
        let agent = if n % 2 == 0 { "qa_bot" } else { "debugger_bot" };
        tasks.push(submit(&app, json!({"job": format!("task {n}"), "agent_name": agent})).await);
    }
    let later = submit(&app, json!({"job": "x", "delay_seconds": 1000, "agent_name": "qa_bot"})).await;
    let workflow = app.post("/orchestrate", &json!({"job": "x"})).await.ok()["workflow_id"].clone();
    let workflow = workflow.as_str().unwrap();

    let all = app.get("/jobs").await.ok();
    assert_eq!(keys(&all), ["jobs", "count", "total", "next_cursor"]);
    assert_eq!((&all["count"], &all["total"], &all["next_cursor"]), (&json!(7), &json!(7), &json!(null)));
    let of_workflow = app.get(&format!("/jobs?workflow_id={workflow}")).await.ok();
    assert_eq!(
        (&of_workflow["total"], &of_workflow["jobs"][0]["step"]),
        (&json!(1), &json!("admin_analysis"))
    );
    let scheduled = app.get("/jobs?state=scheduled").await.ok();
    assert_eq!((ids(&scheduled), &scheduled["total"]), (vec![later.as_str()], &json!(1)));
    let qa = app.get("/jobs?agent=qa_bot").await.ok();
    assert_eq!((ids(&qa).len(), &qa["total"]), (4, &json!(4)));
    let both = app.get("/jobs?agent=qa_bot&state=queued").await.ok();
    assert_eq!(ids(&both), [tasks[4].as_str(), &tasks[2], &tasks[0]]);
    assert_eq!(both["total"], json!(null), "only a look at each could tell");
    for nothing in ["?state=dead", "?state=completed", "?agent=nobody", "?workflow_id=none&state=queued"] {
        assert_eq!(app.get(&format!("/jobs{nothing}")).await.ok()["count"], 0, "{nothing}");
    }

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/jobs?state=queued&agent=qa_bot&limit=1{cursor}")).await.ok();
        seen.extend(ids(&page).iter().map(|id| id.to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids(&both));
}

#[tokio::test]
async fn a_bad_query_is_named() {
    let app = TestApp::start().await;
    let bad = async |query: &str| app.get(&format!("/jobs?{query}")).await.bad_fields();
    assert_eq!(bad("state=sleeping").await, [("literal_error".to_owned(), "query.state".to_owned())]);
    assert_eq!(bad("limit=501").await, [("less_than_equal".to_owned(), "query.limit".to_owned())]);
    assert_eq!(bad("cursor=%21").await, [("cursor_invalid".to_owned(), "query.cursor".to_owned())]);
    let delete = app.delete("/jobs/x?result=perhaps").await;
    assert_eq!(delete.bad_fields(), [("bool_parsing".to_owned(), "query.result".to_owned())]);
}

#[tokio::test]
async fn a_job_that_failed_for_good_stands_in_the_dead_set_and_runs_when_it_is_retried() {
    let (app, mended) = failing("2").await;
    let id = submit(&app, json!({"job": "x", "agent_name": "qa_bot"})).await;
    let story = in_state(&app, &id, "failed").await;
    assert_eq!(
        (&story["dead"]["reason"], &story["dead"]["error"]),
        (&json!("exhausted"), &json!("scripted unavailable"))
    );
    let dead = app.get("/jobs?state=dead").await.ok();
    assert_eq!((ids(&dead), &dead["total"]), (vec![id.as_str()], &json!(1)));
    assert_eq!(
        (&dead["jobs"][0]["dead_reason"], &dead["jobs"][0]["attempts"]),
        (&json!("exhausted"), &json!(2))
    );
    assert_eq!(app.get("/jobs?state=dead&agent=qa_bot").await.ok()["count"], 1);
    assert_eq!(app.get("/jobs?state=dead&agent=debugger_bot").await.ok()["count"], 0);

    // Tried again in vain: it gets as many attempts as a new job.
    app.post(&format!("/jobs/{id}/retry"), &json!({})).await.ok();
    until("it failed again", || async {
        let story = app.get(&format!("/jobs/{id}")).await.ok();
        (story["state"] == "failed" && story["attempts"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;
    mend(&mended);
    let retried = app.post(&format!("/jobs/{id}/retry"), &json!({})).await.ok();
    assert_eq!(retried["replays"].as_array().unwrap().len(), 2);
    let story = in_state(&app, &id, "completed").await;
    assert_eq!(story["attempts"].as_array().unwrap().len(), 5, "its history is kept");
    assert_eq!(app.get(&format!("/results/{id}")).await.ok()["status"], "completed");
    assert_eq!(app.get("/jobs?state=dead").await.ok()["total"], 0);
    let again = app.post(&format!("/jobs/{id}/retry"), &json!({})).await.problem(409);
    assert!(again.as_str().unwrap().contains("only failed jobs are retried"), "{again}");
}

#[tokio::test]
async fn a_retried_step_lets_its_workflow_go_on_to_its_end() {
    let (app, mended) = failing("1").await;
    let body = json!({"job": "x", "requires_qa": true});
    let workflow = app.post("/orchestrate", &body).await.ok()["workflow_id"].as_str().unwrap().to_owned();
    let path = format!("/workflows/{workflow}");
    let workflow_is = |status: &'static str| {
        let (app, path) = (&app, &path);
        until(status, move || async move {
            Some(app.get(path).await.ok()["workflow"].clone()).filter(|w| w["status"] == status)
        })
    };
    let failed = workflow_is("failed").await;
    let step = failed["steps"][0]["job_id"].as_str().unwrap();
    mend(&mended);
    app.post(&format!("/jobs/{step}/retry"), &json!({})).await.ok();
    let done = workflow_is("completed").await;
    assert_eq!(done.get("error"), None);
    assert!(done["steps"].as_array().unwrap().iter().all(|s| s["status"] == "completed"), "{done}");
    let results = app.get(&format!("/results/workflow/{workflow}")).await.ok();
    assert!(results.as_array().unwrap().iter().all(|r| r["status"] == "completed"), "{results}");
}

#[tokio::test]
async fn a_payload_that_is_no_job_runs_when_another_one_takes_its_place() {
    let app = TestApp::builder().worker().start().await;
    push(&app.app, Queue::High, "{not json").await;
    let entry =
        until("it is dead", || async { app.get("/jobs?state=dead").await.ok()["jobs"].get(0).cloned() });
    let entry = entry.await;
    assert_eq!((&entry["dead_reason"], &entry["state"]), (&json!("unreadable"), &json!("failed")));
    let id = entry["job_id"].as_str().unwrap();
    let story = app.get(&format!("/jobs/{id}")).await.ok();
    assert_eq!((&story["payload"], &story["queue"]), (&json!("{not json"), &json!("queue_high")));
    assert_eq!(story["dead"]["payload_text"], "{not json");

    let retry = format!("/jobs/{id}/retry");
    let why = app.post(&retry, &json!({})).await.problem(409);
    assert!(why.as_str().unwrap().contains("send a corrected one: {\"payload\""), "{why}");
    for (payload, kind) in [
        (json!({"job": " "}), "unreadable"),
        (json!({"agent_name": "qa_bot"}), "unreadable"),
        (json!({"job": "x", "job_id": "another"}), "wrong_id"),
    ] {
        let bad = app.post(&retry, &json!({"payload": payload})).await.bad_fields();
        assert_eq!(bad, [(kind.to_owned(), "body.payload".to_owned())]);
    }
    app.post(&retry, &json!({"payload": {"job": "Say hello", "agent_name": "qa_bot"}})).await.ok();
    let done = in_state(&app, id, "completed").await;
    assert_eq!(
        (&done["agent"], &done["task"], &done["priority"]),
        (&json!("qa_bot"), &json!("Say hello"), &json!("high"))
    );
    assert_eq!(app.get(&format!("/results/{id}")).await.ok()["status"], "completed");
    assert_eq!(app.get("/jobs?state=dead").await.ok()["total"], 0);
}

#[tokio::test]
async fn a_payload_that_names_a_job_is_found_under_that_name() {
    let app = TestApp::builder().worker().start().await;
    push(&app.app, Queue::Normal, r#"{"job_id": "mine", "job": 17}"#).await;
    let story = until("it is known", || async {
        Some(app.get("/jobs/mine").await).filter(|answer| answer.status == 200)
    });
    let story = story.await.ok();
    assert_eq!((&story["state"], &story["dead"]["reason"]), (&json!("failed"), &json!("unreadable")));
    assert_eq!(ids(&app.get("/jobs?state=dead").await.ok()), ["mine"]);
    app.post("/jobs/mine/retry", &json!({"payload": {"job": "Say hello"}})).await.ok();
    in_state(&app, "mine", "completed").await;
}

#[tokio::test]
async fn a_readable_job_takes_no_other_payload() {
    let (app, _) = failing("1").await;
    let id = submit(&app, json!({"job": "x"})).await;
    in_state(&app, &id, "failed").await;
    let answer = app.post(&format!("/jobs/{id}/retry"), &json!({"payload": {"job": "y"}})).await;
    assert_eq!(answer.bad_fields(), [("not_needed".to_owned(), "body.payload".to_owned())]);
}

#[tokio::test]
async fn what_has_ended_can_be_deleted_and_what_has_not_cannot() {
    let (app, _) = failing("1").await;
    let id = submit(&app, json!({"job": "x"})).await;
    in_state(&app, &id, "failed").await;
    let path = format!("/jobs/{id}");
    assert_eq!(app.delete(&path).await.ok(), json!({"status": "deleted", "job_id": id}));
    app.get(&path).await.problem(404);
    app.delete(&path).await.problem(404);
    assert_eq!(app.get("/jobs?state=dead").await.ok()["total"], 0);
    assert_eq!(app.get(&format!("/results/{id}")).await.ok()["status"], "failed", "its result stays");

    let id = submit(&app, json!({"job": "y"})).await;
    in_state(&app, &id, "failed").await;
    app.delete(&format!("/jobs/{id}?result=true")).await.ok();
    app.get(&format!("/results/{id}")).await.problem(404);

    let idle = TestApp::start().await;
    let id = submit(&idle, json!({"job": "x"})).await;
    let why = idle.delete(&format!("/jobs/{id}")).await.problem(409);
    assert!(why.as_str().unwrap().contains("cancel it first"), "{why}");
}

#[tokio::test]
async fn a_step_is_kept_while_its_workflow_needs_it() {
    let provider = Scripted::new(|_, n| {
        if n == 1 { Line::Say("plan".into()) } else { Line::Fail(ModelErrorKind::Unavailable) }
    });
    let app = TestApp::builder().provider(provider).variables(&[("RETRY_BASE_SECONDS", "3000")]).worker();
    let app = app.start().await;
    let started = app.post("/orchestrate", &json!({"job": "x"})).await.ok();
    let id = started["steps"][0]["job_id"].as_str().unwrap();
    in_state(&app, id, "completed").await;
    let why = app.delete(&format!("/jobs/{id}")).await.problem(409);
    assert!(why.as_str().unwrap().contains("which still runs"), "{why}");
}

#[tokio::test]
async fn the_dead_set_keeps_the_newest_up_to_its_bound() {
    let app = TestApp::builder().worker().start().await;
    // One after the other: of those that died in the same millisecond none is the newest.
    for n in 1..=7 {
        let payload = format!("broken {n}").into_bytes();
        let change = Change::new().enqueue(Enqueue { queue: Queue::Low, payload, due_at: None });
        app.app.store.apply(change).await.unwrap().unwrap();
        until("it is dead", || async {
            (app.get("/jobs?state=dead").await.ok()["total"] == n).then_some(())
        })
        .await;
    }
    let before = app.get("/jobs?state=dead").await.ok();
    let jobs = &app.app.services.jobs;
    assert!(!jobs.trim_dead(7).await.unwrap());
    assert!(!jobs.trim_dead(3).await.unwrap(), "four are one portion");
    let after = app.get("/jobs?state=dead").await.ok();
    assert_eq!(ids(&after), ids(&before)[..3]);
    assert_eq!(after["total"], 3);
}
