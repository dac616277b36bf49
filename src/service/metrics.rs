//! Metrics: what this process has counted, and what the store holds now.

use std::{sync::Arc, time::Instant};

use crate::{
    model::WorkflowStatus,
    store::{IndexName, Queue},
    telemetry::counters,
};

use super::{Foundation, ServiceError, System, records};

/// Whether a value only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Without the prefix `productforge_`.
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricKind,
    /// One label at the most, of few values.
    pub label: Option<(&'static str, &'static str)>,
    pub value: f64,
}

#[derive(Clone)]
pub struct Metrics {
    base: Arc<Foundation>,
    system: System,
}

impl Metrics {
    pub(super) fn new(base: Arc<Foundation>, system: System) -> Self {
        Self { base, system }
    }

    /// All values; those of one name stand together.
    pub async fn read(&self) -> Result<Vec<Metric>, ServiceError> {
        let store = self.base.store.as_ref();
        let begun = Instant::now();
        store.now().await?;
        let latency_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        let depth = store.depth().await?;
        let mut metrics = Vec::new();
        let mut gauge = |name, help, label, value| {
            metrics.push(Metric { name, help, kind: MetricKind::Gauge, label, value });
        };
        let uptime = self.system.uptime().as_secs_f64();
        gauge("uptime_seconds", "Seconds since this process began", None, uptime);
        let running = store.count(&records::workflows_by_status(WorkflowStatus::Running)).await?;
        gauge("active_workflows", "Workflows that run", None, running as f64);
        gauge("redis_latency_ms", "One round trip to the store, in milliseconds", None, latency_ms);
        let uploads = counters::UPLOADS.get();
        let average = if uploads > 0 { counters::UPLOAD_MS.get() as f64 / uploads as f64 } else { 0.0 };
        gauge("upload_avg_duration_ms", "What an upload took on average, in milliseconds", None, average);
        for queue in Queue::ALL {
            let label = Some(("queue", queue.name()));
            gauge("queue_ready", "Jobs that are ready, by queue", label, depth.ready_in(queue) as f64);
        }
        let jobs = "Jobs by where they are";
        for (state, number) in [("due", depth.due), ("parked", depth.parked), ("leased", depth.leased)] {
            gauge("jobs", jobs, Some(("state", state)), number as f64);
        }
        let dead = store.count(&IndexName::all(records::DEAD_JOB)).await?;
        gauge("dead_jobs", "Jobs in the dead set", None, dead as f64);
        let results = store.count(&IndexName::all(records::RESULT)).await?;
        gauge("results", "Results that are kept", None, results as f64);
        let workers = self.system.workers().await?.len();
        gauge("workers", "Workers that were heard of in the last minute", None, workers as f64);
        metrics.extend(counters::all().map(|counter| Metric {
            name: counter.name,
            help: counter.help,
            kind: MetricKind::Counter,
            label: None,
            value: counter.get() as f64,
        }));
        Ok(metrics)
    }
}
