//! Analytics: windows, key figures and trends, from counted figures.

use actix_web::web::{Data, Json};

use super::Answer;
use crate::{
    http::HttpState,
    service::analytics::{Summary, Trends},
};

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
