//! What this process has counted since it began. `/metrics` shows all of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
pub struct Counter {
    /// Without the prefix `productforge_`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    value: AtomicU64,
}

impl Counter {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: AtomicU64::new(0) }
    }

    pub fn add(&self, number: u64) {
        self.value.fetch_add(number, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

pub static REQUESTS: Counter = Counter::new("total_requests", "HTTP requests that were answered");
pub static REDIS_OPERATIONS: Counter =
    Counter::new("redis_operations", "Commands and scripts that were sent to Redis");
pub static HEALTH_HITS: Counter =
    Counter::new("system_health_cache_hits", "Health checks that were answered from memory");
pub static HEALTH_REQUESTS: Counter = Counter::new("system_health_requests_total", "Health checks");
pub static REPORTS: Counter = Counter::new("reports_generated_total", "Reports that were made");
pub static ANALYTICS_SNAPSHOTS: Counter =
    Counter::new("analytics_snapshots_total", "Summaries of analytics that were made");
pub static DASHBOARD_PAGES: Counter =
    Counter::new("dashboard_refresh_total", "Pages of the dashboard that were made");
pub static DASHBOARD_UPDATES: Counter =
    Counter::new("htmx_events_total", "Pages of the dashboard that were made to update an open one");
pub static CACHE_HITS: Counter = Counter::new("cache_hits_total", "Answers from a cache of this process");
pub static CACHE_MISSES: Counter =
    Counter::new("cache_misses_total", "Answers that a cache of this process did not have");
pub static UPLOADS: Counter = Counter::new("upload_requests_total", "Uploads that were begun");
pub static UPLOAD_FAILURES: Counter =
    Counter::new("upload_failures_total", "Uploads that were refused or failed");
/// Divided by the uploads, their average duration.
pub static UPLOAD_MS: Counter = Counter::new("upload_ms_total", "Milliseconds that uploads took");

/// All of them.
pub fn all() -> [&'static Counter; 13] {
    [
        &REQUESTS,
        &REDIS_OPERATIONS,
        &HEALTH_HITS,
        &HEALTH_REQUESTS,
        &REPORTS,
        &ANALYTICS_SNAPSHOTS,
        &DASHBOARD_PAGES,
        &DASHBOARD_UPDATES,
        &CACHE_HITS,
        &CACHE_MISSES,
        &UPLOADS,
        &UPLOAD_FAILURES,
        &UPLOAD_MS,
    ]
}

/// The share of answers that came from a cache, 0 to 1; 0 when nobody asked.
pub fn cache_hit_ratio() -> f64 {
    let (hits, misses) = (CACHE_HITS.get() as f64, CACHE_MISSES.get() as f64);
    if hits + misses > 0.0 { hits / (hits + misses) } else { 0.0 }
}
