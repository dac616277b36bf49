//! A legacy program beside us on the same Redis: what it puts in is run, what it reads is where it was.

use deadpool_redis::redis::{AsyncCommands, aio::MultiplexedConnection, cmd};
use serde_json::{Value, json};

use crate::support::{
    process::{Process, Server, folder},
    redis_server::RedisServer,
    wait::until,
};

async fn kind(redis: &mut MultiplexedConnection, key: &str) -> String {
    cmd("TYPE").arg(key).query_async(redis).await.unwrap()
}

async fn document(redis: &mut MultiplexedConnection, key: &str) -> Value {
    let text: String = redis.get(key).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn pushes_onto_the_three_lists_are_run_in_order_of_priority() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    let mut connection = redis.connection().await;
    let lists = ["queue_low", "queue", "queue_high"];
    for n in 0..3 {
        for list in lists {
            let job = json!({"job_id": format!("{list}-{n}"), "job": "hello", "task": "hello",
                "agent_name": "general_assistant", "mode": "agent_dispatch", "created_at": "2026-11-22T10:17:55.399729"});
            let _: i64 = connection.lpush(list, job.to_string()).await.unwrap();
        }
    }
    let environment = [("REDIS_URL", url.as_str()), ("WORKERS", "1")];
    let _worker = Process::start(folder.path(), &["worker"], &environment);
    until("all have run", || {
        let mut connection = connection.clone();
        async move {
            let done: i64 = connection.zcard("results_index").await.unwrap();
            (done == 9).then_some(())
        }
    })
    .await;
    let mut order = Vec::new();
    for list in lists {
        for n in 0..3 {
            let id = format!("{list}-{n}");
            let result = document(&mut connection, &format!("result:{id}")).await;
            order.push((result["started_at"].as_str().unwrap().to_owned(), id));
        }
    }
    order.sort();
    let order: Vec<&str> = order.iter().map(|(_, id)| id.as_str()).collect();
    let expected = [
        "queue_high-0",
        "queue_high-1",
        "queue_high-2",
        "queue-0",
        "queue-1",
        "queue-2",
        "queue_low-0",
        "queue_low-1",
        "queue_low-2",
    ];
    assert_eq!(order, expected);

    // An idle worker is woken by a push, too.
    let _: i64 = connection.lpush("queue_low", r#"{"job_id":"later","job":"hello"}"#).await.unwrap();
    until("the late one has run", || {
        let mut connection = connection.clone();
        async move { connection.exists::<_, bool>("result:later").await.unwrap().then_some(()) }
    })
    .await;
}

#[tokio::test]
async fn every_document_is_where_the_owners_key_schema_says() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    let mut connection = redis.connection().await;
    let server = Server::start(folder.path(), &[], &[("REDIS_URL", url.as_str())]).await;
    let (status, _) = server.post("/agents/", json!({"name": "a1", "role": "Research"})).await;
    assert_eq!(status, 200);
    let id = server.orchestrate("Fix the login bug").await;
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    let job = workflow["steps"][0]["job_id"].as_str().unwrap();

    assert_eq!(kind(&mut connection, "agent:a1").await, "string");
    let agent = document(&mut connection, "agent:a1").await;
    assert_eq!((agent["role"].as_str(), agent["model"].as_str()), (Some("Research"), Some("gpt-4o-mini")));

    let stored = document(&mut connection, &format!("workflow:{id}")).await;
    assert_eq!(stored["original_task"], "Fix the login bug");
    assert_eq!((stored["status"].as_str(), stored["qa_enabled"].as_bool()), (Some("completed"), Some(true)));
    let life: i64 = connection.ttl(format!("workflow:{id}")).await.unwrap();
    assert_eq!(life, -1, "workflows are kept for ever");

    let result = document(&mut connection, &format!("result:{job}")).await;
    assert_eq!((result["job_id"].as_str(), result["status"].as_str()), (Some(job), Some("completed")));
    let life: i64 = connection.ttl(format!("result:{job}")).await.unwrap();
    assert!((3500..=3600).contains(&life), "{life}");

    for (index, member) in [("agents_index", "a1"), ("workflows_index", &id), ("results_index", job)] {
        assert_eq!(kind(&mut connection, index).await, "zset");
        let score: f64 = connection.zscore(index, member).await.unwrap();
        assert!(score > 1.7e9 && score < 1e10, "{index} is scored in seconds: {score}");
    }
    let heartbeat: String = connection.get("worker:heartbeat").await.unwrap();
    assert!(heartbeat.parse::<f64>().unwrap() > 1.7e9);
    let life: i64 = connection.ttl("worker:heartbeat").await.unwrap();
    assert!((1..=60).contains(&life), "{life}");

    // A reader sees the legacy job JSON in the lists.
    drop(server);
    let server = Server::start(folder.path(), &["--workers", "0"], &[("REDIS_URL", url.as_str())]).await;
    server.post("/results/task", json!({"job": "hello", "priority": "high"})).await;
    let waiting: Vec<String> = connection.lrange("queue_high", 0, -1).await.unwrap();
    let waiting: Value = serde_json::from_str(&waiting[0]).unwrap();
    let expected = json!({"job": "hello", "task": "hello", "agent_name": "general_assistant", "priority": "high",
        "requires_qa": false, "mode": "agent_dispatch"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&waiting[field], value, "{field}");
    }
}

#[tokio::test]
async fn agents_stored_as_hashes_and_results_with_numbers_as_ids_do_no_harm() {
    let redis = RedisServer::start();
    let folder = folder();
    let url = redis.url();
    let mut connection = redis.connection().await;
    for name in ["qa_bot", "hashy"] {
        let key = format!("agent:{name}");
        let _: i64 = connection.hset(&key, "name", name).await.unwrap();
        let _: i64 = connection.zadd("agents_index", name, 1_795_342_704).await.unwrap();
    }
    let result = r#"{"job_id":1795342704.93,"agent":"a","status":"error","output":"x","timestamp":"2026-11-22T10:18:26.072977"}"#;
    let _: () = connection.set("result:1795342704.93", result).await.unwrap();
    let server = Server::start(folder.path(), &[], &[("REDIS_URL", url.as_str())]).await;
    let id = server.orchestrate("Outlive an old agent").await;
    let workflow = until("the workflow ends", || server.ended(&id)).await;
    assert_eq!(workflow["status"], "completed", "{workflow:#}");
    let (status, answer) = server.get("/results/1795342704.93").await;
    assert_eq!((status, answer["status"].as_str()), (200, Some("failed")), "{answer}");
    assert_eq!(server.get("/agents/hashy").await.0, 404);
    assert_eq!(server.post("/agents/", json!({"name": "hashy", "role": "New"})).await.0, 200);
    assert_eq!(server.get("/agents/hashy").await.1["role"], "New");
}
