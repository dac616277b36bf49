//! What other programs find in Redis: keys, indexes, lists and documents of the owner's schema.

use chrono::DateTime;
use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};

use super::uploads::{archive, upload};
use crate::support::{app::keys, engines::Engine};

async fn setup() -> (Engine, MultiplexedConnection) {
    let engine = Engine::redis();
    let connection = engine.server.as_ref().unwrap().connection().await;
    (engine, connection)
}

/// The documents in a list, the one that is taken next first.
async fn waiting(redis: &mut MultiplexedConnection, list: &str) -> Vec<Value> {
    let texts: Vec<String> = redis.lrange(list, 0, -1).await.unwrap();
    texts.iter().rev().map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[tokio::test]
async fn the_lists_hold_the_legacy_documents() {
    let (engine, mut redis) = setup().await;
    let app = engine.app().start().await;
    let started = app.post("/orchestrate", &json!({"job": "Fix the login bug"})).await.ok();
    let urgent = app.post("/results/task", &json!({"job": "hello", "priority": "high"})).await.ok();
    let low = app.post("/results/task", &json!({"job": "hello", "priority": "low"})).await.ok();
    let review = app.post("/admin_review", &json!({"job_id": "zzz", "review_prompt": "Look."})).await.ok();
    let received = upload(&app, "ok.zip", &archive(&[("a.txt", "a")])).await.ok();

    let queue = waiting(&mut redis, "queue").await;
    assert_eq!(queue.len(), 3, "of a workflow only the step that can run: {queue:?}");
    let step = json!({"job_id": started["steps"][0]["job_id"], "workflow_id": started["workflow_id"],
        "job": "Fix the login bug", "agent_name": "general_assistant", "step": "admin_analysis",
        "mode": "admin_analysis"});
    let review = json!({"job_id": review["review_job_id"], "job": "Look.\n\nOriginal Job ID: zzz",
        "agent_name": "qa_bot", "mode": "admin_review", "original_job_id": "zzz"});
    let name = "Analyze uploaded archive: ok.zip";
    let analysis = json!({"job_id": received["job_id"], "job": name, "task": name,
        "file_path": received["path"], "mode": "analyze", "project": "demo"});
    let task = |id: &Value, priority: &str| {
        json!({"job_id": id, "job": "hello", "task": "hello", "agent_name": "general_assistant",
            "priority": priority, "requires_qa": false, "mode": "agent_dispatch"})
    };
    let high = waiting(&mut redis, "queue_high").await.remove(0);
    let last = waiting(&mut redis, "queue_low").await.remove(0);
    for (found, expected) in [
        (&queue[0], step),
        (&queue[1], review),
        (&queue[2], analysis),
        (&high, task(&urgent["job_id"], "high")),
        (&last, task(&low["job_id"], "low")),
    ] {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&found[field], value, "{field} of {found}");
        }
        assert!(found["created_at"].is_string(), "{found}");
    }
}

#[tokio::test]
async fn an_upload_is_a_document_of_a_week_in_an_index_and_leaves_nothing() {
    let (engine, mut redis) = setup().await;
    let app = engine.app().start().await;
    let received = upload(&app, "ok.zip", &archive(&[("a.txt", "a")])).await.ok();
    let id = received["upload_id"].as_str().unwrap();
    let key = format!("upload:{id}");
    let text: String = redis.get(&key).await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let legacy = [
        "upload_id",
        "filename",
        "original_filename",
        "size",
        "file_path",
        "job_id",
        "project",
        "uploaded_at",
    ];
    assert_eq!(keys(&document)[..8], legacy);
    assert_eq!((&document["file_path"], &document["project"]), (&received["path"], &json!("demo")));
    let life: i64 = redis.ttl(&key).await.unwrap();
    // It lasts a week; its document waits three days longer at most, so that its file is not forgotten.
    let time = |field: &str| DateTime::parse_from_rfc3339(document[field].as_str().unwrap()).unwrap();
    assert_eq!((time("expires_at") - time("uploaded_at")).num_days(), 7);
    assert!((604_800..=604_800 + 3 * 86_400).contains(&life), "{life}");
    let score: f64 = redis.zscore("uploads_index", id).await.unwrap();
    assert!(score > 1.7e9 && score < 1e10, "in seconds: {score}");
    app.delete(&format!("/upload/{id}")).await.ok();
    assert!(!redis.exists::<_, bool>(&key).await.unwrap());
    assert_eq!(redis.zscore::<_, _, Option<f64>>("uploads_index", id).await.unwrap(), None);
}

#[tokio::test]
async fn a_deleted_agent_leaves_its_index() {
    let (engine, mut redis) = setup().await;
    let app = engine.app().start().await;
    app.post("/agents/", &json!({"name": "a1", "role": "Research"})).await.ok();
    assert!(redis.zscore::<_, _, Option<f64>>("agents_index", "a1").await.unwrap().is_some());
    app.delete("/agents/a1").await.ok();
    assert!(!redis.exists::<_, bool>("agent:a1").await.unwrap());
    assert_eq!(redis.zscore::<_, _, Option<f64>>("agents_index", "a1").await.unwrap(), None);
}

#[tokio::test]
async fn documents_have_the_legacy_fields() {
    let (engine, mut redis) = setup().await;
    let app = engine.app().worker().start().await;
    app.post("/agents/", &json!({"name": "a1", "role": "Research"})).await.ok();
    let receipt = app.post("/results/task", &json!({"job": "hello"})).await.ok();
    let id = receipt["job_id"].as_str().unwrap();
    let result = app.get_once_there(&format!("/results/{id}")).await.ok();
    let mut document = async |key: String| -> Value {
        let text: String = redis.get(key).await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    // What is stored is what is answered.
    let stored = document(format!("result:{id}")).await;
    for field in keys(&result).into_iter().take(14) {
        assert_eq!(stored[field], result[field], "{field}");
    }
    assert_eq!(document("agent:a1".to_owned()).await, app.get("/agents/a1").await.ok());
}
