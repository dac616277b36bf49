//! Analytics: windows, key figures and trends, from counted figures.

use actix_web::{
    HttpRequest,
    web::{Data, Json},
};
use serde_json::json;

use super::Answer;
use crate::{
    http::{
        HttpState,
        error::{FieldError, Problem},
        extract::query_value,
    },
    service::{
        analytics::{Leaderboard, Summary, Trends},
        usage::MAX_DAYS,
    },
};

const DEFAULT_DAYS: u32 = 30;

/// Key figures
///
/// Jobs that ended in the last hour, day and week, what is stored now, and a few key figures. Every job is counted
/// in the write that ends it, so the figures outlive the results.
#[utoipa::path(
    get,
    path = "/analytics/summary",
    tag = "analytics",
    operation_id = "analytics_summary",
    responses((status = 200, description = "The figures", body = Summary, example = json!({
        "timestamp": "2026-11-22T10:19:07.188509+00:00",
        "window": {"h1": {"tasks": 3, "completed": 3, "failed": 0, "cancelled": 0},
            "h24": {"tasks": 12, "completed": 11, "failed": 1, "cancelled": 0},
            "d7": {"tasks": 40, "completed": 37, "failed": 2, "cancelled": 1}},
        "totals": {"results": 12, "workflows": 4, "uploads": 1},
        "kpis": {"total_tasks_processed": 40, "avg_processing_time_ms": 1830.5, "active_agents_count": 4,
            "avg_redis_latency_ms": 0.21, "cache_hit_ratio": 0.75}})))
)]
pub async fn summary(state: Data<HttpState>) -> Answer<Summary> {
    Ok(Json(state.services.analytics.summary().await?))
}

/// Ended jobs by hour
///
/// 24 hours up to now, the oldest first.
#[utoipa::path(
    get,
    path = "/analytics/trends",
    tag = "analytics",
    operation_id = "analytics_trends",
    responses((status = 200, description = "The hours", body = Trends, example = json!({"series": [
        {"t": "11:20", "count": 2, "failed": 0, "from": "2026-11-22T10:20:00.000000+00:00"}]})))
)]
pub async fn trends(state: Data<HttpState>) -> Answer<Trends> {
    Ok(Json(state.services.analytics.trends().await?))
}

/// How agents did
///
/// Jobs, failures, what QA said of finished work, times, tokens and cost of each agent over some days up to today
/// (UTC), from counted figures. `p50_seconds` and `p95_seconds` are exact to a factor of two.
#[utoipa::path(
    get,
    path = "/analytics/agents",
    tag = "analytics",
    operation_id = "analytics_agents",
    params(("days" = Option<u32>, Query, description = "How many days, 1 to 92", minimum = 1, maximum = 92, example = 30)),
    responses((status = 200, description = "The agents, those with the most jobs first", body = Leaderboard,
        example = json!({"days": 30, "agents": [{"agent": "developer_bot", "jobs": 12, "completed": 11, "failed": 1,
            "cancelled": 0, "failure_rate": 0.083, "reviewed": 8, "accepted": 7, "accepted_first_rate": 0.5,
            "average_rounds": 1.5, "average_score": 0.86, "p50_seconds": 6.4, "p95_seconds": 25.6,
            "total_tokens": 48211, "cost_usd": 0.0312, "unpriced_calls": 0, "cost_per_accepted_usd": 0.00446}]})))
)]
pub async fn agents(state: Data<HttpState>, req: HttpRequest) -> Answer<Leaderboard> {
    let days = query_value(&req, "days").map_or(Ok(DEFAULT_DAYS), |text| {
        text.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days)).ok_or_else(|| {
            let msg = format!("Input should be a whole number from 1 to {MAX_DAYS}");
            let place = vec![json!("query"), json!("days")];
            Problem::field(FieldError::new("int_parsing", place, msg).input(json!(text)))
        })
    })?;
    Ok(Json(state.services.analytics.leaderboard(days).await?))
}
