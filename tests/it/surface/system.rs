//! System: ping, health, status, verify, workers.

use productforge::{
    model::WorkerInfo,
    service::records,
    store::{Change, DocKey},
};
use serde_json::json;

use crate::support::{app::keys, engines::Engine, sleepy_store::SleepyStore, wait::until};

on_both_engines!(
    health_turns_red_with_its_usual_document_and_green_again,
    a_ping_answers_from_memory,
    health_has_the_legacy_fields_first_and_counts_truly,
    health_answers_from_memory_for_a_while,
    a_worker_that_lives_but_takes_no_work_turns_health_red,
    the_status_has_the_legacy_fields_and_knows_whether_a_worker_lives,
    verify_checks_every_part_and_says_what_to_do,
    the_workers_that_live_are_listed,
    a_draining_process_turns_health_red_and_ends_connections_while_it_answers,
);

async fn a_ping_answers_from_memory(engine: Engine) {
    let app = engine.app().start().await;
    let ping = app.get("/system/ping").await.ok();
    assert_eq!(keys(&ping), ["status", "module", "timestamp"]);
    assert_eq!((ping["status"].as_str(), ping["module"].as_str()), (Some("ok"), Some("system")));
    let time = ping["timestamp"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
}

async fn health_has_the_legacy_fields_first_and_counts_truly(engine: Engine) {
    let app = engine.app().start().await;
    let task = json!({"job": "wait"});
    app.post("/results/task", &task).await.ok();
    let health = app.get("/system/health").await.ok();
    let legacy = [
        "status",
        "uptime_seconds",
        "uptime_human",
        "redis_connected",
        "active_jobs",
        "total_results",
        "timestamp",
        "version",
    ];
    assert_eq!(keys(&health)[..8], legacy);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["active_jobs"], 1);
    assert_eq!(health["total_results"], 0);
    assert_eq!(health["redis_connected"], engine.server.is_some());
    assert_eq!(
        (health["store"].as_str(), health["store_connected"].as_bool()),
        (Some(engine.name()), Some(true))
    );
    assert_eq!(health["simulated"], true);
    assert!(health["uptime_human"].as_str().unwrap().starts_with("0h 0m "));
}

async fn health_answers_from_memory_for_a_while(engine: Engine) {
    let app = engine.app().start().await;
    let first = app.get("/system/health").await.ok();
    app.post("/results/task", &json!({"job": "wait"})).await.ok();
    assert_eq!(app.get("/system/health").await.ok(), first);
}

async fn a_worker_that_lives_but_takes_no_work_turns_health_red(engine: Engine) {
    let app = engine.app().start().await;
    let worker = |id: &str, silent_seconds: i64, running: usize| {
        let now = chrono::Utc::now();
        let info = WorkerInfo {
            worker_id: id.to_owned(),
            host: "host".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            slots: 2,
            running: vec!["job".to_owned(); running],
            draining: false,
            started_at: now,
            asked_at: Some(now - chrono::TimeDelta::seconds(silent_seconds)),
            seen_at: now,
        };
        Change::new().put(records::put_worker(&info))
    };
    // All slots busy: then nobody asks for work, however long.
    app.app.store.apply(worker("busy", 3600, 2)).await.unwrap().unwrap();
    app.app.store.apply(worker("quick", 2, 0)).await.unwrap().unwrap();
    app.app.store.apply(worker("stuck", 30, 1)).await.unwrap().unwrap();
    // Others work: this server can be asked, and says who does not.
    let health = app.get("/system/health").await.ok();
    let warnings = health["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("worker stuck"), "{warnings:?}");
    // Its own worker does not: then it is red.
    app.app.services.system.set_own_worker("stuck");
    let red = async || {
        until("health is red", || async {
            let health = app.get("/system/health").await;
            (health.status == 503).then_some(health)
        })
        .await
    };
    let health = red().await;
    assert!(!health.header("retry-after").is_empty());
    let health = health.json();
    assert_eq!((health["status"].as_str(), health["store_connected"].as_bool()), (Some("error"), Some(true)));
    let problems = health["problems"].as_array().unwrap();
    assert!(problems.len() == 1 && problems[0].as_str().unwrap().contains("worker stuck"), "{problems:?}");
    // It is asked each time while it is red, and is well again at once.
    app.app.store.apply(worker("stuck", 0, 1)).await.unwrap().unwrap();
    app.get("/system/health").await.ok();
    // Nobody works, and none of them is its own.
    for id in ["busy", "quick"] {
        app.app.store.apply(worker(id, 30, 0)).await.unwrap().unwrap();
    }
    app.app.store.apply(Change::new().delete(DocKey::new(records::WORKER, "stuck"))).await.unwrap().unwrap();
    assert_eq!(red().await.json()["problems"].as_array().unwrap().len(), 2);
}

async fn the_status_has_the_legacy_fields_and_knows_whether_a_worker_lives(engine: Engine) {
    let app = engine.app().start().await;
    let status = app.get("/system/status").await.ok();
    let legacy = ["timestamp", "redis_connected", "openai_key_active", "worker_log_active", "worker_alive"];
    assert_eq!(keys(&status)[..5], legacy);
    let time = status["timestamp"].as_str().unwrap();
    assert!(chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").is_ok(), "{time}");
    assert_eq!(status["worker_alive"], false);
    assert_eq!(status["openai_key_active"], false);

    let working = engine.app().worker().start().await;
    until("the worker is heard of", || async {
        (working.get("/system/status").await.ok()["worker_alive"] == true).then_some(())
    })
    .await;
}

async fn verify_checks_every_part_and_says_what_to_do(engine: Engine) {
    let app = engine.app().variables(&[("PORT", "8001")]).start().await;
    let report = app.get("/system/verify").await.ok();
    let legacy = [
        "redis_ok",
        "openai_ok",
        "env_vars_count",
        "templates_count",
        "uptime",
        "app_version",
        "status",
        "warnings",
        "checks",
    ];
    assert_eq!(keys(&report), legacy);
    for check in ["redis", "openai", "environment", "filesystem"] {
        assert!(report["checks"][check].is_object(), "{check}: {report}");
    }
    assert_eq!(
        (&report["env_vars_count"], &report["checks"]["environment"]["PORT"]),
        (&json!(1), &json!("set"))
    );
    assert_eq!(report["status"], "degraded");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("OPENAI_API_KEY") && warnings.contains("worker"), "{warnings}");
    assert_eq!(report["checks"]["store"]["engine"], engine.name());
    assert_eq!(report["redis_ok"], engine.server.is_some());
    assert!(!report.to_string().contains("redis://"), "an address may carry a password: {report}");
}

async fn the_workers_that_live_are_listed(engine: Engine) {
    let app = engine.app().worker().start().await;
    let list = until("the worker is listed", || async {
        Some(app.get("/workers").await.ok()).filter(|l| l["count"] == 1)
    })
    .await;
    let worker = &list["workers"][0];
    assert_eq!(worker["slots"], 4);
    assert_eq!(worker["draining"], false);
    assert_eq!(worker["pid"], std::process::id());
}

async fn health_turns_red_with_its_usual_document_and_green_again(engine: Engine) {
    let store = SleepyStore::over(engine.store.clone());
    let app = engine.app().store(store.clone()).start().await;
    store.go_away();
    let answer = app.get("/system/health").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    assert_eq!(answer.header("content-type"), "application/json");
    let health = answer.json();
    assert_eq!((&health["status"], &health["redis_connected"]), (&json!("error"), &json!(false)));
    store.come_back();
    assert_eq!(app.get("/system/health").await.ok()["status"], "ok", "a red answer is not kept");
}

async fn a_draining_process_turns_health_red_and_ends_connections_while_it_answers(engine: Engine) {
    let app = engine.app().start().await;
    let before = app.get("/system/health").await;
    assert_eq!((before.status, before.header("connection")), (200, ""));
    app.app.services.system.drain();
    let health = app.get("/system/health").await;
    assert_eq!((health.status, health.header("connection")), (503, "close"));
    let told = health.json();
    assert_eq!((&told["status"], &told["store_connected"]), (&json!("draining"), &json!(true)));
    assert!(told["problems"][0].as_str().unwrap().contains("is stopping"), "{told}");
    // Whoever asks all the same is served.
    let answer = app.post("/results/task", &json!({"job": "the last one"})).await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert_eq!(app.get("/nothing/here").await.header("connection"), "close");
}
