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
    let ended = worker.wait().expect_code(0);
    assert!(ended.stderr.contains("SIGTERM: stopping"), "{ended:?}");
}
