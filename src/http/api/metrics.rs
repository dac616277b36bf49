//! Metrics, for Prometheus and as JSON.

use std::fmt::Write;

use actix_web::{
    HttpResponse,
    http::header::ContentType,
    web::{Data, Json},
};
use serde_json::{Map, Value};

use super::Answer;
use crate::{
    http::{HttpState, error::Problem},
    service::metrics::{Metric, MetricKind},
};

const PREFIX: &str = "productforge";

/// Metrics for Prometheus
///
/// Counters of this process and the state of the store, in the text format of Prometheus.
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
    let metrics = state.services.metrics.read().await?;
    let kind = ContentType("text/plain; version=0.0.4; charset=utf-8".parse().unwrap_or(mime()));
    Ok(HttpResponse::Ok().insert_header(kind).body(exposition(&metrics)))
}

/// Metrics as JSON
///
/// The same as one object; a metric with a label stands as `name.value`.
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
    let metrics = state.services.metrics.read().await?;
    let named = metrics.iter().map(|metric| {
        let name = match metric.label {
            Some((_, value)) => format!("{PREFIX}_{}.{value}", metric.name),
            None => format!("{PREFIX}_{}", metric.name),
        };
        (name, Value::from(metric.value))
    });
    Ok(Json(named.collect()))
}

fn mime() -> actix_web::mime::Mime {
    actix_web::mime::TEXT_PLAIN_UTF_8
}

/// Names, helps and labels are this program's own words: nothing has to be escaped.
fn exposition(metrics: &[Metric]) -> String {
    let mut out = String::new();
    let mut last = "";
    for metric in metrics {
        let name = metric.name;
        if name != last {
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
            };
            let _ = writeln!(out, "# HELP {PREFIX}_{name} {}\n# TYPE {PREFIX}_{name} {kind}", metric.help);
        }
        last = name;
        let label = metric.label.map(|(key, value)| format!("{{{key}=\"{value}\"}}")).unwrap_or_default();
        let _ = writeln!(out, "{PREFIX}_{name}{label} {}", metric.value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_explained_once_and_labels_are_quoted() {
        let metric =
            |label, value| Metric { name: "jobs", help: "Jobs", kind: MetricKind::Gauge, label, value };
        let text = exposition(&[metric(Some(("state", "due")), 2.0), metric(Some(("state", "leased")), 0.5)]);
        assert_eq!(
            text,
            "# HELP productforge_jobs Jobs\n# TYPE productforge_jobs gauge\n\
             productforge_jobs{state=\"due\"} 2\nproductforge_jobs{state=\"leased\"} 0.5\n"
        );
    }
}
