//! Retention by age and number, and how much is kept.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use productforge::{
    model::{DeadJob, JobResult},
    service::records,
    store::{Change, Store},
};
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    engines::Engine,
    scripted::chain,
    sleepy_store::SleepyStore,
    wait::until,
};

on_both_engines!(
    a_workflow_goes_with_what_belongs_to_it_when_its_time_is_over,
    a_workflow_that_runs_or_is_needed_by_a_fork_stays,
    of_many_workflows_the_newest_stay,
    of_many_results_the_newest_and_the_pinned_ones_stay,
    a_result_is_never_removed_before_somebody_can_have_fetched_it,
    any_number_of_pinned_results_hides_none_that_has_to_go,
    two_processes_that_clean_at_once_remove_no_more_than_is_too_many,
    of_the_dead_set_no_more_goes_than_is_too_many_either,
    one_that_cannot_be_removed_stands_in_nobodys_way,
    nothing_goes_unless_that_is_set,
    the_status_says_how_much_is_kept,
);

async fn start(app: &TestApp, body: Value) -> String {
    app.post("/orchestrate", &body).await.ok()["workflow_id"].as_str().unwrap().to_owned()
}

async fn reaches(app: &TestApp, id: &str, status: &str) -> Value {
    until(&format!("the workflow is {status}"), || async {
        let workflow = app.get(&format!("/workflows/{id}")).await.ok()["workflow"].clone();
        Some(workflow).filter(|workflow| workflow["status"] == status)
    })
    .await
}

async fn done(app: &TestApp, brief: &str) -> Value {
    let id = start(app, json!({"job": brief})).await;
    reaches(app, &id, "completed").await
}

/// A process with these settings on the same store cleans until nothing is left to go.
async fn clean(engine: &Engine, variables: &[(&'static str, &'static str)]) {
    let app = engine.app().variables(variables).start().await;
    let mut portions = 0;
    while app.app.services.retention.run().await.unwrap() {
        portions += 1;
        assert!(portions < 100, "it finds no end");
    }
}

async fn status(app: &TestApp, path: &str) -> u16 {
    app.get(path).await.status
}

async fn a_workflow_goes_with_what_belongs_to_it_when_its_time_is_over(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let old = done(&app, "Write a note").await;
    let id = old["workflow_id"].as_str().unwrap();
    let steps = old["steps"].as_array().unwrap();
    let jobs: Vec<&str> = steps.iter().map(|step| step["job_id"].as_str().unwrap()).collect();
    app.post(&format!("/results/{}/pin", jobs[0]), &json!({})).await.ok();
    clean(&engine, &[("WORKFLOW_TTL", "3600")]).await;
    assert_eq!(status(&app, &format!("/workflows/{id}")).await, 200, "its time is not over");
    clean(&engine, &[("WORKFLOW_TTL", "0.001")]).await;
    assert_eq!(status(&app, &format!("/workflows/{id}")).await, 404);
    for job in &jobs {
        assert_eq!(status(&app, &format!("/jobs/{job}")).await, 404);
        let expected = if *job == jobs[0] { 200 } else { 404 };
        assert_eq!(status(&app, &format!("/results/{job}")).await, expected, "a pinned result stays");
    }
    assert_eq!(app.get("/workflows").await.ok()["total"], json!(0));
}

async fn a_workflow_that_runs_or_is_needed_by_a_fork_stays(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let original = start(&app, json!({"job": "Write a note", "approval": true})).await;
    reaches(&app, &original, "paused").await;
    let settings: &[_] = &[("WORKFLOW_TTL", "0.001"), ("MAX_WORKFLOWS", "1")];
    clean(&engine, settings).await;
    app.post(&format!("/workflows/{original}/approve"), &json!({})).await.ok();
    reaches(&app, &original, "completed").await;
    let fork = app.post(&format!("/workflows/{original}/fork"), &json!({"from": "approval"})).await.ok();
    let fork = fork["workflow"]["workflow_id"].as_str().unwrap();
    done(&app, "Another one").await;
    clean(&engine, settings).await;
    for id in [original.as_str(), fork] {
        assert_eq!(status(&app, &format!("/workflows/{id}")).await, 200);
    }
    app.post(&format!("/workflows/{fork}/cancel"), &json!({})).await.ok();
    clean(&engine, &[("WORKFLOW_TTL", "0.001")]).await;
    for id in [original.as_str(), fork] {
        assert_eq!(status(&app, &format!("/workflows/{id}")).await, 404);
    }
}

async fn of_many_workflows_the_newest_stay(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(done(&app, &format!("Brief {n}")).await["workflow_id"].as_str().unwrap().to_owned());
    }
    clean(&engine, &[("MAX_WORKFLOWS", "2")]).await;
    let mut found = Vec::new();
    for id in &ids {
        found.push(status(&app, &format!("/workflows/{id}")).await);
    }
    assert_eq!(found, [404, 404, 404, 200, 200]);
}

async fn of_many_results_the_newest_and_the_pinned_ones_stay(engine: Engine) {
    let store = engine.store.as_ref();
    results(store, (0..6).map(|n| format!("r-{n}")), false).await;
    let app = engine.app().start().await;
    app.post("/results/r-0/pin", &json!({})).await.ok();
    clean(&engine, &[("MAX_RESULTS", "2")]).await;
    assert_eq!(numbers(store, "r", 0..6).await, [0, 4, 5], "what is pinned does not count");
    app.post("/results/r-0/unpin", &json!({})).await.ok();
    clean(&engine, &[("MAX_RESULTS", "2")]).await;
    assert_eq!(numbers(store, "r", 0..6).await, [4, 5]);
}

async fn a_result_is_never_removed_before_somebody_can_have_fetched_it(engine: Engine) {
    let app = engine.app().worker().start().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let task = app.post("/results/task", &json!({"job": format!("task {n}")})).await.ok();
        let id = task["job_id"].as_str().unwrap().to_owned();
        app.get_once_there(&format!("/results/{id}")).await;
        ids.push(id);
    }
    results(engine.store.as_ref(), (0..2).map(|n| format!("r-{n}")), false).await;
    clean(&engine, &[("MAX_RESULTS", "1")]).await;
    for id in &ids {
        assert_eq!(status(&app, &format!("/results/{id}")).await, 200);
    }
    assert_eq!(numbers(engine.store.as_ref(), "r", 0..2).await, [0; 0], "old ones go");
}

async fn any_number_of_pinned_results_hides_none_that_has_to_go(engine: Engine) {
    let store = engine.store.as_ref();
    results(store, (0..1_150).map(|n| format!("p-{n}")), true).await;
    results(store, (0..1_170).map(|n| format!("r-{n}")).skip(1_160), false).await;
    clean(&engine, &[("MAX_RESULTS", "4")]).await;
    assert_eq!(numbers(store, "r", 1_160..1_170).await, [1_166, 1_167, 1_168, 1_169]);
    assert_eq!(numbers(store, "p", 0..1_150).await.len(), 1_150);
}

/// The same moment whenever it is asked for.
fn yesterday() -> DateTime<Utc> {
    static NOW: LazyLock<DateTime<Utc>> = LazyLock::new(Utc::now);
    *NOW - TimeDelta::days(1)
}

/// Results that the store has had for a day, the one with the lowest number the oldest.
async fn results(store: &dyn Store, names: impl Iterator<Item = String>, pinned: bool) {
    let names: Vec<String> = names.collect();
    for names in names.chunks(50) {
        let mut change = Change::new();
        for name in names {
            let number: i64 = name.rsplit('-').next().unwrap().parse().unwrap();
            let at = yesterday() + TimeDelta::seconds(number);
            let mut result: JobResult = serde_json::from_value(json!({
                "job_id": name, "agent": "worker_bot", "status": "completed", "output": "done",
                "timestamp": at.to_rfc3339(), "pinned": pinned}))
            .unwrap();
            let ttl = std::time::Duration::from_secs(7 * 86_400);
            change = change.put(records::put_result(&mut result, ttl, Utc::now()));
        }
        store.apply(change).await.unwrap().unwrap();
    }
}

/// Those of these results that are there, by number.
async fn numbers(store: &dyn Store, prefix: &str, range: std::ops::Range<usize>) -> Vec<usize> {
    let keys: Vec<_> = range.clone().map(|n| records::result_key(&format!("{prefix}-{n}"))).collect();
    let mut found = Vec::new();
    for chunk in keys.chunks(100) {
        found.extend(store.get(chunk).await.unwrap().into_iter().map(|doc| doc.is_some()));
    }
    range.zip(found).filter(|(_, there)| *there).map(|(n, _)| n).collect()
}

async fn two_processes_that_clean_at_once_remove_no_more_than_is_too_many(engine: Engine) {
    results(engine.store.as_ref(), (0..205).map(|n| format!("r-{n}")), false).await;
    let others = || (0..5).fold(Change::new(), |c, n| c.delete(records::result_key(&format!("r-{n}"))));
    // The other process is there between any two steps of this one.
    for verb in ["list", "count", "apply"] {
        let store = SleepyStore::over(engine.store.clone());
        store.meanwhile(verb, others());
        let app = TestApp::builder().store(store).variables(&[("MAX_RESULTS", "200")]).start().await;
        while app.app.services.retention.run().await.unwrap() {}
        assert_eq!(numbers(engine.store.as_ref(), "r", 0..205).await.first(), Some(&5), "{verb}");
        assert_eq!(numbers(engine.store.as_ref(), "r", 0..205).await.len(), 200, "{verb}");
        results(engine.store.as_ref(), (0..5).map(|n| format!("r-{n}")), false).await;
    }
}

async fn of_the_dead_set_no_more_goes_than_is_too_many_either(engine: Engine) {
    let dead = |n: i64| DeadJob {
        died_at: yesterday() + TimeDelta::seconds(n),
        ..serde_json::from_value(
            json!({"job_id": format!("d-{n}"), "reason": "poison", "error": "it crashed",
            "queue": "queue", "died_at": "2026-11-22T10:18:03Z"}),
        )
        .unwrap()
    };
    let change = (0..20).fold(Change::new(), |change, n| change.put(records::put_dead_job(&dead(n))));
    engine.store.apply(change).await.unwrap().unwrap();
    let store = SleepyStore::over(engine.store.clone());
    let others = (0..5).fold(Change::new(), |c, n| c.delete(records::dead_job_key(&format!("d-{n}"))));
    store.meanwhile("list", others);
    let app = TestApp::builder().store(store).start().await;
    app.app.services.jobs.trim_dead(15).await.unwrap();
    let index = productforge::store::IndexName::all(records::DEAD_JOB);
    assert_eq!(engine.store.count(&index).await.unwrap(), 15);
}

async fn one_that_cannot_be_removed_stands_in_nobodys_way(engine: Engine) {
    let app = engine.app().provider(chain(|_| "approve")).worker().start().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(done(&app, &format!("Brief {n}")).await["workflow_id"].as_str().unwrap().to_owned());
    }
    results(engine.store.as_ref(), (0..9).map(|n| format!("r-{n}")), false).await;
    let store = SleepyStore::over(engine.store.clone());
    store.break_down(&ids[0]);
    let settings = [("WORKFLOW_TTL", "0.001"), ("MAX_WORKFLOWS", "1")];
    let cleaner = TestApp::builder().store(store.clone()).variables(&settings).start().await;
    while cleaner.app.services.retention.run().await.unwrap() {}
    let mut found = Vec::new();
    for id in &ids {
        found.push(status(&app, &format!("/workflows/{id}")).await);
    }
    assert_eq!(found, [200, 404, 404]);
    store.break_down("result:r-2");
    let cleaner = TestApp::builder().store(store).variables(&[("MAX_RESULTS", "2")]).start().await;
    while cleaner.app.services.retention.run().await.unwrap() {}
    assert!(numbers(engine.store.as_ref(), "r", 0..9).await.starts_with(&[2]));
    let index = productforge::store::IndexName::all(records::RESULT);
    assert_eq!(engine.store.count(&index).await.unwrap(), 2);
}

async fn nothing_goes_unless_that_is_set(engine: Engine) {
    let app = engine.app().worker().start().await;
    assert!(!app.app.services.retention.is_on());
    let id = done(&app, "Write a note").await["workflow_id"].as_str().unwrap().to_owned();
    clean(&engine, &[]).await;
    assert_eq!(status(&app, &format!("/workflows/{id}")).await, 200);
}

async fn the_status_says_how_much_is_kept(engine: Engine) {
    let app = engine.app().worker().start().await;
    let before = app.get("/system/status").await.ok()["kept"].clone();
    assert_eq!(
        keys(&before),
        ["bytes", "free_bytes", "workflows", "jobs", "results", "dead_jobs", "uploads"]
    );
    done(&app, &"A long brief. ".repeat(5_000)).await;
    let kept = app.get("/system/status").await.ok()["kept"].clone();
    assert_eq!((&kept["workflows"], &kept["dead_jobs"], &kept["uploads"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(kept["jobs"], kept["results"]);
    assert!(kept["bytes"].as_u64() > before["bytes"].as_u64(), "{before} {kept}");
    assert_eq!(kept["free_bytes"].is_null(), engine.server.is_some());
}
