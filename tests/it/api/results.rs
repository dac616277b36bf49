//! Results: newest first, one, by workflow, by agent.

use serde_json::json;

use crate::support::app::TestApp;

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

#[tokio::test]
async fn the_list_is_plain_and_newest_first() {
    let app = TestApp::builder().worker().start().await;
    assert_eq!(app.get("/results/").await.ok(), json!([]));
    let ids = run(&app, &["one", "two", "three"]).await;
    let answer = app.get("/results/").await;
    let tasks: Vec<_> = answer.ok().as_array().unwrap().iter().map(|r| r["task"].clone()).collect();
    assert_eq!(tasks, ["three", "two", "one"]);
    assert_eq!(answer.header("x-total-count"), "3");
    assert_eq!(answer.header("x-next-cursor"), "");
    assert_eq!(app.get("/results?limit=1").await.ok()[0]["job_id"], ids[2].as_str());
}

#[tokio::test]
async fn pages_follow_one_another_by_cursor_and_by_link() {
    let app = TestApp::builder().worker().start().await;
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

#[tokio::test]
async fn an_unknown_result_is_told_in_the_legacy_words() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/results/x").await.problem(404), "Result for job 'x' not found");
    assert_eq!(app.get("/results/task/x").await.problem(404), "Task 'x' not found");
    let words = "No results found for workflow 'x'";
    assert_eq!(app.get("/results/workflow/x").await.problem(404), words);
}

#[tokio::test]
async fn an_id_that_nothing_can_have_is_unknown_and_no_accident() {
    let app = TestApp::start().await;
    let long = "x".repeat(4_000);
    for id in ["%00", "a%0Ab", "%2e%2e%2fetc", "%ff%fe", "'%20or%201=1", long.as_str()] {
        for path in ["/results/", "/results/task/", "/results/workflow/", "/workflows/", "/agents/"] {
            app.get(&format!("{path}{id}")).await.problem(404);
        }
        assert_eq!(app.get(&format!("/results/agent/{id}")).await.ok(), json!([]), "{id}");
    }
}

#[tokio::test]
async fn the_results_of_a_workflow_and_of_an_agent_are_found() {
    let app = TestApp::builder().worker().start().await;
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

#[tokio::test]
async fn the_module_answers_its_ping() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/results/ping").await.ok(), json!({"status": "ok", "module": "results"}));
}
