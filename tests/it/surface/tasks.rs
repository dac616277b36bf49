//! Tasks: `POST /results/task`.

use std::time::Duration;

use serde_json::json;

use crate::support::{app::keys, engines::Engine, world::idle};

on_both_engines!(
    work_in_all_three_queues_is_done_the_urgent_first,
    a_task_goes_into_the_queue_of_its_priority,
    a_task_gets_one_result_with_the_legacy_fields,
    a_priority_that_is_none_is_named,
    an_agent_nobody_registered_is_named,
    the_built_in_agents_work_even_where_only_others_are_registered,
    an_empty_or_endless_text_is_refused,
);

async fn a_task_goes_into_the_queue_of_its_priority(engine: Engine) {
    let app = engine.app().start().await;
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

async fn work_in_all_three_queues_is_done_the_urgent_first(engine: Engine) {
    let app = engine.app().variables(&[("WORKERS", "1")]).start().await;
    for priority in ["low", "normal", "high"] {
        app.post("/results/task", &json!({"job": priority, "priority": priority})).await.ok();
    }
    let worker = app.app.start_worker();
    idle(&app.app).await;
    let results = app.get("/results/").await.ok();
    let mut done: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["started_at"].as_str().unwrap(), r["task"].as_str().unwrap()))
        .collect();
    done.sort_unstable();
    assert_eq!(done.iter().map(|(_, task)| *task).collect::<Vec<_>>(), ["high", "normal", "low"]);
    worker.stop(Duration::from_secs(5), std::future::pending()).await;
}

async fn a_task_gets_one_result_with_the_legacy_fields(engine: Engine) {
    let app = engine.app().worker().start().await;
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

async fn a_priority_that_is_none_is_named(engine: Engine) {
    let app = engine.app().start().await;
    for priority in [json!("wild"), json!("High"), json!(1), json!("")] {
        let answer = app.post("/results/task", &json!({"job": "x", "priority": priority})).await;
        assert_eq!(answer.bad_fields(), [("literal_error".to_owned(), "body.priority".to_owned())]);
        let detail = answer.problem(422);
        assert_eq!(detail[0]["msg"], "Input should be 'high', 'normal' or 'low'");
        assert_eq!(detail[0]["input"], priority);
    }
    assert_eq!(app.app.store.depth().await.unwrap().open(), 0);
}

async fn an_agent_nobody_registered_is_named(engine: Engine) {
    let app = engine.app().start().await;
    let answer = app.post("/results/task", &json!({"job": "x", "agent_name": "nobody"})).await;
    assert_eq!(answer.bad_fields(), [("unknown_agent".to_owned(), "body.agent_name".to_owned())]);
}

async fn the_built_in_agents_work_even_where_only_others_are_registered(engine: Engine) {
    let app = engine.app().start().await;
    app.post("/agents/", &json!({"name": "mine", "role": "x"})).await.ok();
    for body in [json!({"job": "x"}), json!({"job": "x", "agent_name": "qa_bot"})] {
        app.post("/results/task", &body).await.ok();
    }
    app.post("/orchestrate", &json!({"job": "x", "agent_name": "general_assistant"})).await.ok();
}

async fn an_empty_or_endless_text_is_refused(engine: Engine) {
    let app = engine.app().start().await;
    let kind = async |job: String| app.post("/results/task", &json!({"job": job})).await.bad_fields();
    assert_eq!(kind(" \n".to_owned()).await, [("string_too_short".to_owned(), "body.job".to_owned())]);
    assert_eq!(kind("x".repeat(100_001)).await, [("string_too_long".to_owned(), "body.job".to_owned())]);
    app.post("/results/task", &json!({"job": "ü".repeat(100_000)})).await.ok();
}
