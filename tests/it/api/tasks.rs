//! Tasks: `POST /results/task`.

use serde_json::json;

use crate::support::app::{TestApp, keys};

#[tokio::test]
async fn a_task_goes_into_the_queue_of_its_priority() {
    let app = TestApp::start().await;
    for (priority, queue) in [
        (json!("high"), "queue_high"),
        (json!("normal"), "queue"),
        (json!("low"), "queue_low"),
        (json!(null), "queue"),
    ] {
        let body = json!({"job": "hello", "priority": priority});
        let receipt = app.post("/results/task", &body).await.ok();
        assert_eq!(keys(&receipt), ["status", "job_id", "agent", "queue"]);
        assert_eq!(receipt["status"], "queued");
        assert_eq!(receipt["agent"], "general_assistant");
        assert_eq!(receipt["queue"], queue);
    }
    let depth = app.app.store.depth().await.unwrap();
    assert_eq!((depth.high, depth.normal, depth.low), (1, 2, 1));
}

#[tokio::test]
async fn a_task_gets_one_result_with_the_legacy_fields() {
    let app = TestApp::builder().worker().start().await;
    let body = json!({"job": "Explain fencing tokens", "agent_name": "qa_bot", "requires_qa": false});
    let receipt = app.post("/results/task", &body).await.ok();
    assert_eq!(receipt["agent"], "qa_bot");
    let id = receipt["job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{id}")).await.ok();
    let legacy = [
        "job_id",
        "workflow_id",
        "parent_job_id",
        "agent",
        "role",
        "reviewed_by",
        "status",
        "output",
        "started_at",
        "completed_at",
        "execution_time",
        "confidence_score",
        "timestamp",
        "task",
    ];
    assert_eq!(keys(&result)[..14], legacy);
    assert_eq!(result["job_id"], id);
    assert_eq!(result["status"], "completed");
    assert_eq!(result["task"], "Explain fencing tokens");
    assert_eq!(result["simulated"], true);
    assert!(result["execution_time"].is_f64());
    assert_eq!(app.get(&format!("/results/task/{id}")).await.ok(), result);
}

#[tokio::test]
async fn a_priority_that_is_none_is_named() {
    let app = TestApp::start().await;
    for priority in [json!("wild"), json!("High"), json!(1), json!("")] {
        let answer = app.post("/results/task", &json!({"job": "x", "priority": priority})).await;
        assert_eq!(answer.bad_fields(), [("literal_error".to_owned(), "body.priority".to_owned())]);
        let detail = answer.problem(422);
        assert_eq!(detail[0]["msg"], "Input should be 'high', 'normal' or 'low'");
        assert_eq!(detail[0]["input"], priority);
    }
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
}

#[tokio::test]
async fn an_agent_nobody_registered_is_named() {
    let app = TestApp::start().await;
    let answer = app.post("/results/task", &json!({"job": "x", "agent_name": "nobody"})).await;
    assert_eq!(answer.bad_fields(), [("unknown_agent".to_owned(), "body.agent_name".to_owned())]);
}

#[tokio::test]
async fn the_built_in_agents_work_even_where_only_others_are_registered() {
    let app = TestApp::start().await;
    app.post("/agents/", &json!({"name": "mine", "role": "x"})).await.ok();
    for body in [json!({"job": "x"}), json!({"job": "x", "agent_name": "qa_bot"})] {
        app.post("/results/task", &body).await.ok();
    }
    app.post("/orchestrate", &json!({"job": "x", "agent_name": "general_assistant"})).await.ok();
}

#[tokio::test]
async fn an_empty_or_endless_text_is_refused() {
    let app = TestApp::start().await;
    let kind = async |job: String| app.post("/results/task", &json!({"job": job})).await.bad_fields();
    assert_eq!(kind(" \n".to_owned()).await, [("string_too_short".to_owned(), "body.job".to_owned())]);
    assert_eq!(kind("x".repeat(100_001)).await, [("string_too_long".to_owned(), "body.job".to_owned())]);
    app.post("/results/task", &json!({"job": "ü".repeat(100_000)})).await.ok();
}
