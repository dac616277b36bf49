//! Metrics, for Prometheus and as JSON.

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Data, Json},
};
use serde_json::{Map, Value};

use super::Answer;
use crate::{
    http::{HttpState, error::Problem},
    telemetry::metrics::{self, Reading, full_name},
};

/// Metrics for Prometheus
///
/// What this process has counted, and what the store holds, in the text format of Prometheus (0.0.4). While
/// the store is away `productforge_store_up` is 0 and what it holds is left out.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "system",
    operation_id = "metrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain",
        example = "# HELP productforge_uptime_seconds Seconds since this process began\n\
                   # TYPE productforge_uptime_seconds gauge\nproductforge_uptime_seconds 28.5\n"))
)]
pub async fn text(state: Data<HttpState>) -> Result<HttpResponse, Problem> {
    let all = state.services.metrics.read().await;
    let kind = ContentType("text/plain; version=0.0.4; charset=utf-8".parse().unwrap_or(mime()));
    Ok(HttpResponse::Ok().insert_header(kind).body(metrics::text(&all)))
}

/// Metrics as JSON
///
/// The same as one object; a metric with labels stands as `name.value`, a histogram as its `_count` and `_sum`.
#[utoipa::path(
    get,
    path = "/metrics/json",
    tag = "system",
    operation_id = "metrics_json",
    responses((status = 200, description = "The metrics", body = Object,
        example = json!({"productforge_uptime_seconds": 28.5, "productforge_total_requests": 12.0,
            "productforge_queue_ready.queue": 0.0})))
)]
pub async fn json(state: Data<HttpState>) -> Answer<Map<String, Value>> {
    let mut named = Map::new();
    for metric in state.services.metrics.read().await {
        let name = full_name(metric.name);
        for sample in metric.samples {
            let values: String = sample.labels.iter().map(|(_, value)| format!(".{value}")).collect();
            match sample.reading {
                Reading::Number(number) => {
                    named.insert(format!("{name}{values}"), number.into());
                }
                Reading::Histogram { counts, sum, .. } => {
                    named.insert(format!("{name}_count{values}"), (counts.iter().sum::<u64>() as f64).into());
                    named.insert(format!("{name}_sum{values}"), sum.into());
                }
            }
        }
    }
    Ok(Json(named))
}

fn mime() -> actix_web::mime::Mime {
    actix_web::mime::TEXT_PLAIN_UTF_8
}
