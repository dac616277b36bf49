//! A database as the earlier system leaves it, document for document, with all that was found wrong with
//! such databases. Its machine was two hours east of UTC.

use deadpool_redis::redis::{self, AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};

/// Results that are stored and in no index.
pub const RESULTS: [&str; 5] = [
    "cf049ed7-0000-4000-8000-000000000001",
    "cf049ed7-0000-4000-8000-000000000002",
    "cf049ed7-0000-4000-8000-000000000003",
    "1795342704.934647",
    "99999999-0000-4000-8000-000000000001",
];

/// Jobs that wait in lists, of all kinds.
pub const JOBS: [&str; 10] = [
    "b6132eff-0000-4000-8000-000000000001",
    "0a837ed2-0000-4000-8000-000000000002",
    "8c56d2cf-0000-4000-8000-000000000003",
    "93b2de61-0000-4000-8000-000000000004",
    "74ae6836-0000-4000-8000-000000000001",
    "75ab46ce-0000-4000-8000-000000000001",
    "0f1b10fb-0000-4000-8000-000000000001",
    "wild-1",
    "none-1",
    "normal-1",
];

/// What belongs to us by its key and cannot be understood.
pub const NOT_UNDERSTOOD: [&str; 6] =
    ["agent:torn", "agent:listy", "agent:roleless", "result:no-json", "workflow:odd", "upload:notes.txt"];

/// What belongs to others.
pub const STRANGERS: [&str; 4] =
    ["analytics_snapshot_cache", "session:1", "queue_emails", "worker_heartbeat"];

/// What is written with the time of the migration.
pub const HAS_TIMES: [&str; 4] = [
    "queue_high",
    "workflow:2859d6e4-0000-4000-8000-000000000002",
    "workflow:2859d6e4-0000-4000-8000-000000000003",
    "job:lost-1",
];

/// What adopting it changes.
pub fn changes() -> Value {
    json!({
        "agent_converted": 1,
        "agent_indexed": 1,
        "entry_removed": 3,
        "job_moved": 3,
        "result_indexed": 5,
        "upload_indexed": 1,
        "workflow_indexed": 5,
        "workflow_settled": 3,
    })
}

async fn set(redis: &mut MultiplexedConnection, key: &str, text: impl AsRef<str>, life_seconds: Option<u64>) {
    let _: () = match life_seconds {
        Some(life) => redis.set_ex(key, text.as_ref(), life).await.unwrap(),
        None => redis.set(key, text.as_ref()).await.unwrap(),
    };
}

/// Fills an empty database.
pub async fn fill(redis: &mut MultiplexedConnection) {
    agents(redis).await;
    workflows(redis).await;
    results(redis).await;
    uploads(redis).await;
    queues(redis).await;
    for (key, text) in [
        ("result:no-json", "half writ"),
        ("workflow:odd", r#"{"workflow_id":"odd","status":"dreaming"}"#),
        ("upload:notes.txt", "[]"),
        ("agent:torn", r#"{"name":"torn"}"#),
        ("analytics_snapshot_cache", "{}"),
        ("session:1", "somebody else's"),
        ("worker_heartbeat", "1795342704.934647"),
    ] {
        set(redis, key, text, None).await;
    }
    let _: i64 = redis.rpush("agent:listy", "x").await.unwrap();
    let _: () = redis.hset_multiple("agent:roleless", &[("name", "roleless")]).await.unwrap();
}

async fn agents(redis: &mut MultiplexedConnection) {
    let a1 = r#"{"name":"a1","role":"Research","description":null,"skills":[],"model":"gpt-4o-mini","task_count":0,"created_at":"2026-11-22T12:17:24.520252","last_assigned":null}"#;
    set(redis, "agent:a1", a1, None).await;
    // Written by the API, which died before the index; and one whose delete left its entry.
    set(redis, "agent:unlisted", a1.replace("a1", "unlisted"), None).await;
    for (name, score) in [("a1", 1_795_342_644.520_252), ("deleted", 1_795_342_600.0)] {
        let _: i64 = redis.zadd("agents_index", name, score).await.unwrap();
    }
    let fields = [
        ("name", "hashy"),
        ("role", "Research"),
        ("model", "gpt-4o"),
        ("mood", "curious"),
        ("created_at", "2026-11-22T12:10:00.5"),
    ];
    let _: () = redis.hset_multiple("agent:hashy", &fields).await.unwrap();
}

fn workflow(id: &str, status: &str, step_status: &str, jobs: &[&str]) -> String {
    let names = ["admin_analysis", "specialist_execution", "qa_validation", "admin_feedback"];
    let agents = ["general_assistant", "debugger_bot", "qa_bot", "general_assistant"];
    let steps: Vec<Value> = jobs
        .iter()
        .enumerate()
        .map(|(n, job)| {
            let mut step =
                json!({"step": names[n], "agent": agents[n], "job_id": job, "status": step_status});
            if n > 0 {
                step["depends_on"] = jobs[n - 1].into();
            }
            step
        })
        .collect();
    json!({"workflow_id": id, "original_task": "Fix the login bug", "steps": steps, "status": status,
        "qa_enabled": jobs.len() == 4, "created_at": "2026-11-22T12:17:24.738861"})
    .to_string()
}

async fn workflows(redis: &mut MultiplexedConnection) {
    let all = [
        // All of its jobs wait.
        (
            "76660f75-5a72-41a3-b5ca-ff78d91023ea",
            workflow("76660f75-5a72-41a3-b5ca-ff78d91023ea", "running", "queued", &JOBS[..4]),
        ),
        // All have run, and nobody has looked.
        (
            "2859d6e4-0000-4000-8000-000000000001",
            workflow("2859d6e4-0000-4000-8000-000000000001", "running", "processing", &RESULTS[..2]),
        ),
        // Its results are gone with their hour.
        (
            "2859d6e4-0000-4000-8000-000000000002",
            workflow("2859d6e4-0000-4000-8000-000000000002", "running", "processing", &["gone-1", "gone-2"]),
        ),
        // A worker took the second job and died.
        (
            "2859d6e4-0000-4000-8000-000000000003",
            workflow(
                "2859d6e4-0000-4000-8000-000000000003",
                "running",
                "queued",
                &[RESULTS[2], "lost-1", "wild-1"],
            ),
        ),
        // Somebody has looked.
        (
            "2859d6e4-0000-4000-8000-000000000004",
            workflow("2859d6e4-0000-4000-8000-000000000004", "completed", "completed", &["old-1", "old-2"]),
        ),
    ];
    for (id, body) in all {
        set(redis, &format!("workflow:{id}"), body, None).await;
        let _: i64 = redis.zadd("workflows_index", id, 1_795_342_644.738_861).await.unwrap();
    }
    let _: i64 = redis.zadd("workflows_index", "odd", 1_795_342_000).await.unwrap();
    let _: i64 = redis.zadd("workflows_index", "vanished", 1_795_342_000).await.unwrap();
}

async fn results(redis: &mut MultiplexedConnection) {
    for (n, id) in RESULTS.iter().enumerate() {
        let number = id.contains('.').then(|| (*id).to_owned());
        let id_text = number.unwrap_or_else(|| format!("\"{id}\""));
        let (status, workflow) = match n {
            0 | 1 => ("completed", r#""2859d6e4-0000-4000-8000-000000000001""#),
            2 => ("completed", r#""2859d6e4-0000-4000-8000-000000000003""#),
            3 => ("completed", "null"),
            _ => ("error", "null"),
        };
        let body = format!(
            r#"{{"job_id":{id_text},"workflow_id":{workflow},"parent_job_id":null,"agent":"default_agent","role":"Analyze","reviewed_by":null,"status":"{status}","output":"This is a canned answer from the fake model.","started_at":"2026-11-22T10:18:25.575498","completed_at":"2026-11-22T10:18:29.058549","execution_time":0.5,"confidence_score":0.95,"timestamp":"2026-11-22T10:18:26.072977","task":null}}"#
        );
        set(redis, &format!("result:{id}"), body, Some(3_600)).await;
    }
}

async fn uploads(redis: &mut MultiplexedConnection) {
    let id = "1b60f9b1-0000-4000-8000-000000000001";
    let body = format!(
        r#"{{"upload_id":"{id}","filename":"ok.zip","original_filename":"ok.zip","size":129,"file_path":"workspace/uploads/{id}_ok.zip","job_id":"7d0db146-0000-4000-8000-000000000001","project":"demo","uploaded_at":"2026-11-22T12:18:03.863641"}}"#
    );
    set(redis, &format!("upload:{id}"), body, Some(7 * 24 * 3_600)).await;
    set(redis, "upload:plans.zip", r#"{"filename":"plans.zip","size":17}"#, None).await;
    for (id, score) in [(id, 1_795_342_683.863_641), ("long-gone", 1_790_000_000.0)] {
        let _: i64 = redis.zadd("uploads_index", id, score).await.unwrap();
    }
}

async fn queues(redis: &mut MultiplexedConnection) {
    let steps = [
        ("general_assistant", "admin_analysis"),
        ("debugger_bot", "specialist_execution"),
        ("qa_bot", "qa_validation"),
        ("general_assistant", "admin_feedback"),
    ];
    let mut payloads: Vec<(&str, String)> = Vec::new();
    for (n, (agent, step)) in steps.iter().enumerate() {
        let parent = n.checked_sub(1).map_or("null".to_owned(), |n| format!("\"{}\"", JOBS[n]));
        payloads.push(("queue", format!(
            r#"{{"job_id":"{}","workflow_id":"76660f75-5a72-41a3-b5ca-ff78d91023ea","job":"Fix the login bug","agent_name":"{agent}","step":"{step}","parent_job_id":{parent},"created_at":"2026-11-22T12:17:24.742943","mode":"{step}"}}"#,
            JOBS[n]
        )));
    }
    let task = |id: &str, priority: &str| {
        format!(
            r#"{{"job_id":"{id}","job":"hello","task":"hello","agent_name":"general_assistant","priority":"{priority}","requires_qa":false,"created_at":"2026-11-22T12:17:55.399729","mode":"agent_dispatch"}}"#
        )
    };
    payloads.push(("queue_high", task(JOBS[4], "high")));
    payloads.push(("queue", format!(
        r#"{{"job_id":"{}","job":"Analyze uploaded archive: bomb.zip","task":"Analyze uploaded archive: bomb.zip","file_path":"workspace/uploads/e8491485_bomb.zip","mode":"analyze","project":"unknown","created_at":"2026-11-22T12:18:04.381703"}}"#,
        JOBS[5]
    )));
    payloads.push(("queue", format!(
        r#"{{"job_id":"{}","job":"Review it.\n\nOriginal Job ID: zzz","agent_name":"qa_bot","mode":"admin_review","original_job_id":"zzz","created_at":"2026-11-22T12:18:04.381703"}}"#,
        JOBS[6]
    )));
    // The third step of the workflow that has lost its second job.
    payloads.push(("queue_wild",
        r#"{"job_id":"wild-1","workflow_id":"2859d6e4-0000-4000-8000-000000000003","job":"Fix the login bug","agent_name":"qa_bot","step":"qa_validation","parent_job_id":"lost-1","created_at":"2026-11-22T12:17:24.742943","mode":"qa_validation"}"#.to_owned(),
    ));
    payloads.push(("queue_None", task("none-1", "None")));
    payloads.push(("queue_normal", task("normal-1", "normal")));
    payloads.push(("queue_emails", r#"{"to":"somebody","job":"send a mail"}"#.to_owned()));
    payloads.push(("queue_emails", "not even JSON".to_owned()));
    for (list, payload) in payloads {
        let _: i64 = redis.lpush(list, payload).await.unwrap();
    }
}

/// Adds so many results that are in no index.
pub async fn fill_many(redis: &mut MultiplexedConnection, results: usize) {
    for from in (0..results).step_by(1_000) {
        let mut pipeline = redis::pipe();
        for n in from..(from + 1_000).min(results) {
            let body = format!(
                r#"{{"job_id":"many-{n}","agent":"default_agent","status":"completed","output":"answer {n}","timestamp":"2026-11-22T10:18:26.072977","task":null}}"#
            );
            pipeline.set_ex(format!("result:many-{n}"), body, 3_600).ignore();
        }
        pipeline.query_async::<()>(redis).await.unwrap();
    }
}
