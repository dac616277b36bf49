//! Retention by age and number, and how much is kept.

use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, keys},
    engines::Engine,
    scripted::chain,
    wait::until,
};

on_both_engines!(
    a_workflow_goes_with_what_belongs_to_it_when_its_time_is_over,
    a_workflow_that_runs_or_is_needed_by_a_fork_stays,
    of_many_workflows_the_newest_stay,
    of_many_results_the_newest_and_the_pinned_ones_stay,
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
    let app = engine.app().worker().start().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let task = app.post("/results/task", &json!({"job": format!("task {n}")})).await.ok();
        let id = task["job_id"].as_str().unwrap().to_owned();
        app.get_once_there(&format!("/results/{id}")).await;
        ids.push(id);
    }
    app.post(&format!("/results/{}/pin", ids[0]), &json!({})).await.ok();
    clean(&engine, &[("MAX_RESULTS", "3")]).await;
    let mut found = Vec::new();
    for id in &ids {
        found.push(status(&app, &format!("/results/{id}")).await);
    }
    assert_eq!(found, [200, 404, 404, 404, 200, 200]);
    assert_eq!(status(&app, &format!("/jobs/{}", ids[1])).await, 200, "the job stays as long as jobs do");
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
