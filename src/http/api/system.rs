//! System: liveness, readiness, status, self-check.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Json},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Answer;
use crate::{
    http::{HttpState, error::RETRY_AFTER_SECONDS},
    model::{Timestamp, iso},
    service::system::{Health, Status},
};

/// The answer of `/system/ping`.
#[derive(Serialize, ToSchema)]
pub struct Ping {
    #[schema(example = "ok")]
    status: &'static str,
    #[schema(example = "system")]
    module: &'static str,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Is the process alive?
///
/// Answers from memory, without a look at the store. For liveness probes. Needs no key.
#[utoipa::path(
    get,
    path = "/system/ping",
    tag = "system",
    responses((status = 200, description = "Alive", body = Ping,
        example = json!({"status": "ok", "module": "system", "timestamp": "2026-11-22T10:17:24.293792+00:00"})))
)]
pub async fn ping(state: Data<HttpState>) -> Json<Ping> {
    let timestamp = state.services.system.now();
    Json(Ping { status: "ok", module: "system", timestamp })
}

/// Is it able to work?
///
/// For readiness probes. Answers from memory for 5 seconds; while the store is away it is asked
/// each time. A worker that lives but has stopped asking for work makes it red, too, and so does a process that is
/// stopping (`status` "draining"), so that a balancer sends it nothing more. Needs no key.
#[utoipa::path(
    get,
    path = "/system/health",
    tag = "system",
    responses(
        (status = 200, description = "Ready", body = Health, example = json!({
            "status": "ok", "uptime_seconds": 252.28, "uptime_human": "0h 4m 12s", "redis_connected": true,
            "active_jobs": 3, "total_results": 1200, "timestamp": "2026-11-22T10:17:24.324071+00:00",
            "version": "3.0.0", "store": "redis", "store_connected": true, "simulated": false,
            "problems": [], "warnings": []})),
        (status = 503, description = "The store is away, no worker or not the one in this process takes work, or the process is stopping; the same document with `status` \"error\" or \"draining\"",
            body = Health, headers(("Retry-After" = u32, description = "Seconds to wait"))),
    )
)]
pub async fn health(state: Data<HttpState>) -> HttpResponse {
    let health = state.services.system.health().await;
    if health.is_ok() {
        return HttpResponse::Ok().json(health);
    }
    HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE)
        .insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS))
        .json(health)
}

/// The parts at a glance
///
/// Store, provider, log and workers in a few booleans and names, and how much is kept.
#[utoipa::path(
    get,
    path = "/system/status",
    tag = "system",
    responses((status = 200, description = "The status", body = Status, example = json!({
        "timestamp": "2026-11-22 10:18:25", "redis_connected": true, "openai_key_active": true,
        "worker_log_active": true, "worker_alive": true, "provider": "openai", "model": "gpt-4o-mini",
        "store": "redis", "providers": [{"name": "openai", "host": "api.openai.com", "api": "chat",
        "model": "gpt-4o-mini", "key_set": true, "default": true, "concurrency": null}],
        "kept": {"bytes": 41943040, "free_bytes": null, "workflows": 320, "jobs": 1280, "results": 1200,
        "dead_jobs": 0, "uploads": 3}})))
)]
pub async fn status(state: Data<HttpState>) -> Answer<Status> {
    Ok(Json(state.services.system.status().await?))
}

/// Check every part
///
/// Looks at store, model provider, workers and log file and says in `warnings` what to do. Shows no
/// secret, not even a part of one.
#[utoipa::path(
    get,
    path = "/system/verify",
    tag = "system",
    responses((status = 200, description = "What was found", body = Object, example = json!({
        "redis_ok": true, "openai_ok": true, "env_vars_count": 2, "templates_count": 1, "uptime": 28, "app_version": "3.0.0",
        "status": "healthy", "warnings": [], "checks": {"store": {"status": "ok", "latency_ms": 0.38}}})))
)]
pub async fn verify(state: Data<HttpState>) -> Json<Value> {
    Json(state.services.system.verify().await)
}
