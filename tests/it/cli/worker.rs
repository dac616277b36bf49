//! `worker`: refused without Redis, stopped by a signal with it.

use crate::support::{command::Workspace, redis_server::RedisServer};

#[test]
fn without_redis_it_is_refused_with_what_to_do() {
    let ended = Workspace::new().run(&["worker"], &[]).expect_code(2);
    assert!(ended.stderr.contains("a worker needs REDIS_URL"), "{ended:?}");
    assert!(ended.stderr.contains("productforge serve --workers"), "{ended:?}");
}

#[test]
fn without_slots_it_is_refused() {
    let env = [("REDIS_URL", "redis://127.0.0.1:1")];
    let ended = Workspace::new().run(&["worker", "--workers", "0"], &env).expect_code(2);
    assert!(ended.stderr.contains("--workers"), "{ended:?}");
}

#[test]
fn with_redis_it_runs_until_sigterm() {
    let redis = RedisServer::start();
    let workspace = Workspace::new();
    let mut worker = workspace.start(&["worker", "--workers", "2"], &[("REDIS_URL", &redis.url())]);
    worker.line_with("engine=redis");
    worker.line_with("ready for jobs");
    worker.signal("TERM");
    let output = worker.ends_with_code(0);
    assert!(output.contains("SIGTERM: stopping"), "{output}");
}

#[tokio::test]
async fn with_a_port_for_metrics_it_answers_those_and_probes_and_nothing_else() {
    let redis = RedisServer::start();
    let workspace = Workspace::new();
    let url = redis.url();
    let env = [("REDIS_URL", url.as_str()), ("METRICS_PORT", "0"), ("API_KEY", "the-key-of-a-worker")];
    let mut worker = workspace.start(&["worker", "--workers", "3"], &env);
    let line = worker.line_with("metrics: listening on ");
    let address = line.rsplit(' ').next().unwrap().to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let get = |path: &str, key: &str| {
        let request = client.get(format!("{address}{path}")).header("x-api-key", key);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(get("/system/ping", "").await.status(), 200);
    assert_eq!(get("/metrics", "wrong").await.status(), 401);
    let metrics = get("/metrics", "the-key-of-a-worker").await.text().await.unwrap();
    assert!(metrics.contains("\nproductforge_worker_slots 3\n"), "{metrics}");
    for path in ["/jobs", "/dashboard/", "/openapi.json", "/"] {
        assert_eq!(get(path, "the-key-of-a-worker").await.status(), 404, "{path}");
    }
    worker.signal("TERM");
    worker.ends_with_code(0);
}

#[test]
fn metrics_for_other_machines_need_a_key() {
    let redis = RedisServer::start();
    let url = redis.url();
    let env = [("REDIS_URL", url.as_str()), ("METRICS_PORT", "0"), ("HOST", "0.0.0.0")];
    let ended = Workspace::new().run(&["worker"], &env).expect_code(1);
    assert!(ended.stderr.contains("set API_KEY as well"), "{ended:?}");
}
