//! Results: lists, one, by workflow and by agent; filters, search, pins, deletes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use productforge::{
    model::{JobResult, ResultStatus},
    service::records,
    store::{Change, Store},
};
use serde_json::{Value, json};

use crate::support::{app::TestApp, engines::Engine};

on_both_engines!(
    old_results_are_found_behind_any_number_of_newer_ones,
    results_are_listed_ten_at_a_time_unless_told_otherwise,
    results_live_as_long_as_the_settings_say,
    the_list_is_plain_and_newest_first,
    pages_follow_one_another_by_cursor_and_by_link,
    an_unknown_result_is_told_in_the_legacy_words,
    an_id_that_nothing_can_have_is_unknown_and_no_accident,
    the_results_of_a_workflow_and_of_an_agent_are_found,
    the_module_answers_its_ping,
    each_filter_finds_its_results_and_all_together_too,
    a_search_finds_words_in_any_case_and_order,
    pages_of_a_filter_meet_each_result_once,
    bad_filters_are_all_named,
    a_pinned_result_stays_and_an_unpinned_one_goes,
    a_deleted_result_is_gone_and_its_job_is_not_run_again,
);

/// Runs tasks with these texts, one after the other; returns their job ids.
async fn run(app: &TestApp, tasks: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for task in tasks {
        let receipt = app.post("/results/task", &json!({"job": task})).await.ok();
        let id = receipt["job_id"].as_str().unwrap().to_owned();
        app.get_once_there(&format!("/results/{id}")).await;
        ids.push(id);
    }
    ids
}

async fn the_list_is_plain_and_newest_first(engine: Engine) {
    let app = engine.app().worker().start().await;
    assert_eq!(app.get("/results/").await.ok(), json!([]));
    let ids = run(&app, &["one", "two", "three"]).await;
    let answer = app.get("/results/").await;
    let tasks: Vec<_> = answer.ok().as_array().unwrap().iter().map(|r| r["task"].clone()).collect();
    assert_eq!(tasks, ["three", "two", "one"]);
    assert_eq!(answer.header("x-total-count"), "3");
    assert_eq!(answer.header("x-next-cursor"), "");
    assert_eq!(app.get("/results?limit=1").await.ok()[0]["job_id"], ids[2].as_str());
}

async fn pages_follow_one_another_by_cursor_and_by_link(engine: Engine) {
    let app = engine.app().worker().start().await;
    run(&app, &["one", "two", "three"]).await;
    let (mut path, mut seen) = ("/results/?limit=2".to_owned(), Vec::new());
    loop {
        let answer = app.get(&path).await;
        for result in answer.ok().as_array().unwrap() {
            seen.push(result["task"].as_str().unwrap().to_owned());
        }
        let cursor = answer.header("x-next-cursor").to_owned();
        if cursor.is_empty() {
            assert_eq!(answer.header("link"), "");
            break;
        }
        let next = format!("/results/?limit=2&cursor={cursor}");
        assert_eq!(answer.header("link"), format!("<{next}>; rel=\"next\""));
        path = next;
    }
    assert_eq!(seen, ["three", "two", "one"]);
}

async fn an_unknown_result_is_told_in_the_legacy_words(engine: Engine) {
    let app = engine.app().start().await;
    assert_eq!(app.get("/results/x").await.problem(404), "Result for job 'x' not found");
    assert_eq!(app.get("/results/task/x").await.problem(404), "Task 'x' not found");
    let words = "No results found for workflow 'x'";
    assert_eq!(app.get("/results/workflow/x").await.problem(404), words);
}

async fn an_id_that_nothing_can_have_is_unknown_and_no_accident(engine: Engine) {
    let app = engine.app().start().await;
    let long = "x".repeat(4_000);
    for id in ["%00", "a%0Ab", "%2e%2e%2fetc", "%ff%fe", "'%20or%201=1", long.as_str()] {
        for path in ["/results/", "/results/task/", "/results/workflow/", "/workflows/", "/agents/"] {
            app.get(&format!("{path}{id}")).await.problem(404);
        }
        assert_eq!(app.get(&format!("/results/agent/{id}")).await.ok(), json!([]), "{id}");
    }
}

async fn the_results_of_a_workflow_and_of_an_agent_are_found(engine: Engine) {
    let app = engine.app().worker().start().await;
    run(&app, &["a task of its own"]).await;
    let started = app.post("/orchestrate", &json!({"job": "Fix the login bug"})).await.ok();
    let id = started["workflow_id"].as_str().unwrap();
    let specialist = started["steps"][1]["job_id"].as_str().unwrap();
    app.get_once_there(&format!("/results/{specialist}")).await;
    let of_workflow = app.get(&format!("/results/workflow/{id}")).await.ok();
    assert_eq!(of_workflow.as_array().unwrap().len(), 2);
    assert_eq!(of_workflow[0]["job_id"], specialist, "the newest first");
    assert!(of_workflow.as_array().unwrap().iter().all(|r| r["workflow_id"] == id));
    let of_agent = app.get("/results/agent/debugger_bot?limit=5").await;
    assert_eq!(of_agent.ok().as_array().unwrap().len(), 1);
    assert_eq!(of_agent.header("x-total-count"), "1");
    assert_eq!(app.get("/results/agent/nobody").await.ok(), json!([]));
}

async fn the_module_answers_its_ping(engine: Engine) {
    let app = engine.app().start().await;
    assert_eq!(app.get("/results/ping").await.ok(), json!({"status": "ok", "module": "results"}));
}

/// A result as a worker would have written it.
pub fn result(id: &str, agent: &str, status: ResultStatus, at_ms: i64, output: &str) -> JobResult {
    let at = DateTime::<Utc>::from_timestamp_millis(at_ms).unwrap();
    serde_json::from_value(json!({
        "job_id": id, "agent": agent, "role": "Test", "status": status, "output": output,
        "timestamp": at.to_rfc3339(), "completed_at": at.to_rfc3339(), "task": format!("Task of {id}"),
        "execution_time": 0.5, "attempts": 1,
    }))
    .unwrap()
}

/// Stores results that live for an hour.
pub async fn store_all(store: &dyn Store, results: Vec<JobResult>) {
    for batch in results.chunks(100) {
        let mut change = Change::new();
        for result in batch {
            let mut result = result.clone();
            change = change.put(records::put_result(
                &mut result,
                std::time::Duration::from_secs(3_600),
                Utc::now(),
            ));
        }
        store.apply(change).await.unwrap().unwrap();
    }
}

const NOON: i64 = 1_763_812_800_000; // 2025-11-22T12:00:00Z

async fn some(engine: &Engine) -> TestApp {
    let mut results = vec![
        result("a", "writer", ResultStatus::Completed, NOON, "The Login page is mended."),
        result("b", "writer", ResultStatus::Failed, NOON + 1_000, "No answer."),
        result("c", "reader", ResultStatus::Completed, NOON + 2_000, "Nothing about ÄRGER here."),
        result("d", "reader", ResultStatus::Cancelled, NOON + 3_000, "Somebody stopped it."),
    ];
    results[2].workflow_id = Some("w".to_owned());
    store_all(engine.store.as_ref(), results).await;
    engine.app().start().await
}

async fn ids(app: &TestApp, query: &str) -> Vec<String> {
    let found = app.get(&format!("/results/?{query}")).await.ok();
    found.as_array().unwrap().iter().map(|r| r["job_id"].as_str().unwrap().to_owned()).collect()
}

async fn old_results_are_found_behind_any_number_of_newer_ones(engine: Engine) {
    let mut old = result("old", "rare", ResultStatus::Completed, NOON, "x");
    old.workflow_id = Some("w".to_owned());
    let newer =
        (0..300).map(|n| result(&format!("n{n}"), "busy", ResultStatus::Completed, NOON + 1 + n, "x"));
    store_all(engine.store.as_ref(), std::iter::once(old).chain(newer).collect()).await;
    let app = engine.app().start().await;
    for path in ["/results/workflow/w", "/results/agent/rare", "/results/agent/rare?limit=1"] {
        let found = app.get(path).await.ok();
        assert_eq!((found.as_array().unwrap().len(), &found[0]["job_id"]), (1, &json!("old")), "{path}");
    }
}

async fn results_are_listed_ten_at_a_time_unless_told_otherwise(engine: Engine) {
    let results = (0..12).map(|n| result(&format!("n{n}"), "a", ResultStatus::Completed, NOON + n, "x"));
    store_all(engine.store.as_ref(), results.collect()).await;
    let app = engine.app().start().await;
    for path in ["/results/", "/results/agent/a"] {
        assert_eq!(app.get(path).await.ok().as_array().unwrap().len(), 10, "{path}");
        assert_eq!(app.get(&format!("{path}?limit=12")).await.ok().as_array().unwrap().len(), 12, "{path}");
    }
}

async fn results_live_as_long_as_the_settings_say(engine: Engine) {
    let app = engine.app().variables(&[("RESULT_TTL", "90")]).worker().start().await;
    let id = run(&app, &["say something"]).await.remove(0);
    let result = app.get(&format!("/results/{id}")).await.ok();
    let time = |field: &str| DateTime::parse_from_rfc3339(result[field].as_str().unwrap()).unwrap();
    let life = (time("expires_at") - time("completed_at")).num_seconds();
    assert!((88..=92).contains(&life), "{life}");
}

async fn each_filter_finds_its_results_and_all_together_too(engine: Engine) {
    let app = some(&engine).await;
    for (query, expected) in [
        ("", vec!["d", "c", "b", "a"]),
        ("agent=writer", vec!["b", "a"]),
        ("status=completed", vec!["c", "a"]),
        ("workflow_id=w", vec!["c"]),
        ("since=2025-11-22T12:00:02Z", vec!["d", "c"]),
        ("until=2025-11-22T12:00:01Z", vec!["b", "a"]),
        ("since=2025-11-22T12:00:01%2B00:00&until=2025-11-22T12:00:02", vec!["c", "b"]),
        ("agent=reader&status=completed&workflow_id=w&since=2025-11-22T12:00:00Z&q=nothing", vec!["c"]),
        ("agent=writer&workflow_id=w", vec![]),
        ("agent=nobody", vec![]),
        ("agent=&status=&q=", vec!["d", "c", "b", "a"]),
    ] {
        assert_eq!(ids(&app, query).await, expected, "{query}");
    }
    assert_eq!(app.get("/results/?status=completed").await.header("x-total-count"), "2");
    assert_eq!(app.get("/results/?status=completed&q=x").await.header("x-total-count"), "", "nobody counted");
}

async fn a_search_finds_words_in_any_case_and_order(engine: Engine) {
    let app = some(&engine).await;
    for (search, expected) in [
        ("login", vec!["a"]),
        ("MENDED%20login", vec!["a"]),
        ("%C3%A4rger", vec!["c"]),
        ("task%20of", vec!["d", "c", "b", "a"]),
        ("writer", vec!["b", "a"]),
        ("login%20nowhere", vec![]),
        ("%25", vec![]),
    ] {
        assert_eq!(ids(&app, &format!("q={search}")).await, expected, "{search}");
    }
}

async fn pages_of_a_filter_meet_each_result_once(engine: Engine) {
    let many = (0..230).map(|n| {
        let status = if n % 3 == 0 { ResultStatus::Failed } else { ResultStatus::Completed };
        // Several of one time.
        result(&format!("job-{n:03}"), if n % 2 == 0 { "even" } else { "odd" }, status, NOON + n / 4, "x")
    });
    store_all(engine.store.as_ref(), many.collect()).await;
    let app = engine.app().start().await;
    for limit in [1, 7, 100] {
        let mut path = format!("/results/?agent=even&status=failed&limit={limit}");
        let (mut seen, mut unique) = (0, BTreeSet::new());
        loop {
            let answer = app.get(&path).await;
            let page = answer.ok();
            assert!(page.as_array().unwrap().len() <= limit);
            for found in page.as_array().unwrap() {
                assert_eq!((&found["agent"], &found["status"]), (&json!("even"), &json!("failed")));
                unique.insert(found["job_id"].as_str().unwrap().to_owned());
                seen += 1;
            }
            let Some(link) = answer.header("link").strip_prefix('<') else { break };
            path = link.split_once('>').unwrap().0.to_owned();
        }
        assert_eq!((seen, unique.len()), (39, 39), "limit {limit}");
    }
}

async fn bad_filters_are_all_named(engine: Engine) {
    let app = engine.app().start().await;
    let long = "x".repeat(201);
    let bad = app.get(&format!("/results/?status=done&since=yesterday&until=1&q={long}")).await.bad_fields();
    let places: Vec<_> = bad.iter().map(|(_, place)| place.as_str()).collect();
    assert_eq!(places, ["query.since", "query.until", "query.status", "query.q"]);
    app.get("/results/?cursor=nonsense").await.problem(422);
}

async fn a_pinned_result_stays_and_an_unpinned_one_goes(engine: Engine) {
    // Short enough to see it end, long enough to pin it before.
    let app = engine.app().variables(&[("RESULT_TTL", "1")]).worker().start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = app.post("/results/task", &json!({"job": "say something"})).await.ok()["job_id"].clone();
        let id = id.as_str().unwrap().to_owned();
        if ids.is_empty() {
            let shown = app.get_once_there(&format!("/results/{id}")).await.ok();
            assert!(shown["expires_at"].is_string() && shown.get("pinned").is_none(), "{shown}");
            let pinned = app.post(&format!("/results/{id}/pin"), &json!({})).await.ok();
            assert_eq!((&pinned["pinned"], pinned.get("expires_at")), (&json!(true), None));
            assert_eq!(app.post(&format!("/results/{id}/pin"), &json!({})).await.ok(), pinned);
        } else {
            app.get_once_there(&format!("/results/{id}")).await;
        }
        ids.push(id);
    }
    let gone = format!("/results/{}", ids[1]);
    crate::support::wait::until("it expires", || async {
        (app.get(&gone).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(app.get(&format!("/results/{}", ids[0])).await.ok()["pinned"], true);
    assert_eq!(app.get("/results/").await.header("x-total-count"), "1");
    let unpinned = app.post(&format!("/results/{}/unpin", ids[0]), &json!({})).await.ok();
    assert!(unpinned["expires_at"].is_string(), "{unpinned}");
    let gone = format!("/results/{}", ids[0]);
    crate::support::wait::until("it expires", || async {
        (app.get(&gone).await.status == 404).then_some(())
    })
    .await;
    for verb in ["pin", "unpin"] {
        let words = app.post(&format!("{gone}/{verb}"), &json!({})).await.problem(404);
        assert_eq!(words, format!("Result for job '{}' not found", ids[0]));
    }
}

async fn a_deleted_result_is_gone_and_its_job_is_not_run_again(engine: Engine) {
    let app = engine.app().worker().start().await;
    let receipt = app.post("/results/task", &json!({"job": "say something"})).await.ok();
    let path = format!("/results/{}", receipt["job_id"].as_str().unwrap());
    app.get_once_there(&path).await;
    let said = app.delete(&path).await.ok();
    assert_eq!(said, json!({"status": "deleted", "job_id": receipt["job_id"]}));
    app.get(&path).await.problem(404);
    app.delete(&path).await.problem(404);
    // A foreign program that puts the payload in once more changes nothing.
    let payload = json!({"job_id": receipt["job_id"], "job": "say something"}).to_string();
    crate::support::world::push(&app.app, productforge::store::Queue::Normal, &payload).await;
    crate::support::world::idle(&app.app).await;
    assert_eq!(app.get("/results/").await.ok(), Value::Array(vec![]));
}
