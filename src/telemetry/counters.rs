//! What this process counts. `/metrics` shows all of it; [`all`] is the list.
//!
//! Label values are few and known (outcomes, queues, verbs), configured (providers), a table of this program
//! (routes), or go through [`MODELS`] first.

use super::metrics::{
    Counter, Family, Fixed, Gauge, Histogram, Long, Metric, Names, Open, Short, Single, Waits,
};

/// The queues by their rank.
const QUEUES: [&str; 3] = ["queue_high", "queue", "queue_low"];
/// What a job is asked for.
const MODES: [&str; 4] = ["task", "step", "review", "analyze"];
/// The steps of a store, in the order of `store::Measured`.
pub const STORE_OPERATIONS: [&str; 12] = [
    "now", "check", "get", "list", "count", "tallies", "apply", "finish", "reserve", "renew", "events",
    "upkeep",
];
/// Classes of failures, as jobs record them; poison and what has no class are `other`.
const FAILURES: [&str; 6] = ["connection", "timeout", "server_error", "rate_limited", "store", "other"];

/// How many models have a name of their own in metrics.
pub const MOST_MODELS: usize = 50;
/// The models that have: the others are `other`, whoever names them.
pub static MODELS: Names = Names::new(MOST_MODELS);

type Count = Single<Counter>;

// --- HTTP ----------------------------------------------------------------------------------------

pub static REQUESTS: Count = Count::new("total_requests", "HTTP requests that were answered");
/// `status` is a class: `2xx`. `route` is a template: `/jobs/{job_id}`.
pub static HTTP_REQUESTS: Open<Counter, 3> = Open::new(
    "http_requests_total",
    "HTTP requests by route and class of status",
    ["method", "route", "status"],
);
pub static HTTP_SECONDS: Open<Histogram<Short>, 2> = Open::new(
    "http_request_seconds",
    "Seconds from the head of a request to the head of its answer",
    ["method", "route"],
);
pub static VIEWERS: Single<Gauge> = Single::new("sse_viewers", "Streams of events that are open");
pub static DASHBOARD_PAGES: Count =
    Count::new("dashboard_refresh_total", "Pages of the dashboard that were made");
pub static DASHBOARD_UPDATES: Count =
    Count::new("htmx_events_total", "Pages of the dashboard that were made to update an open one");
pub static HEALTH_HITS: Count =
    Count::new("system_health_cache_hits", "Health checks that were answered from memory");
pub static HEALTH_REQUESTS: Count = Count::new("system_health_requests_total", "Health checks");
pub static REPORTS: Count = Count::new("reports_generated_total", "Reports that were made");
pub static ANALYTICS_SNAPSHOTS: Count =
    Count::new("analytics_snapshots_total", "Summaries of analytics that were made");
pub static CACHE_HITS: Count = Count::new("cache_hits_total", "Answers from a cache of this process");
pub static CACHE_MISSES: Count =
    Count::new("cache_misses_total", "Answers that a cache of this process did not have");
pub static UPLOADS: Count = Count::new("upload_requests_total", "Uploads that were begun");
pub static UPLOAD_FAILURES: Count =
    Count::new("upload_failures_total", "Uploads that were refused or failed");
/// Divided by the uploads, their average duration.
pub static UPLOAD_MS: Count = Count::new("upload_ms_total", "Milliseconds that uploads took");

// --- jobs ----------------------------------------------------------------------------------------

pub static ENQUEUED: Fixed<Counter, 3> = Fixed::new(
    "jobs_enqueued_total",
    "Payloads that were put into a queue to be run at once, by queue",
    "queue",
    QUEUES,
);
pub static SCHEDULED: Fixed<Counter, 3> = Fixed::new(
    "jobs_scheduled_total",
    "Payloads that wait for a time before they are queued (retries, delays), by queue",
    "queue",
    QUEUES,
);
pub static STARTED: Fixed<Counter, 4> =
    Fixed::new("job_attempts_started_total", "Attempts at jobs that have begun, by mode", "mode", MODES);
pub static ATTEMPTS: Fixed<Counter, 6> = Fixed::new(
    "job_attempts_ended_total",
    "Attempts at jobs that have ended, by what became of them",
    "outcome",
    ["completed", "failed", "retried", "postponed", "released", "lost"],
);
pub static ATTEMPT_FAILURES: Fixed<Counter, 6> =
    Fixed::new("job_attempt_failures_total", "Attempts that failed, by class of failure", "class", FAILURES);
pub static FINISHED: Fixed<Counter, 3> = Fixed::new(
    "jobs_finished_total",
    "Jobs that have their result, by its status",
    "status",
    ["completed", "failed", "cancelled"],
);
pub static QUEUE_WAIT: Fixed<Histogram<Waits>, 3> = Fixed::new(
    "job_queue_wait_seconds",
    "Seconds that jobs were ready before an attempt began, by queue",
    "queue",
    QUEUES,
);
pub static ATTEMPT_SECONDS: Fixed<Histogram<Long>, 4> =
    Fixed::new("job_attempt_seconds", "Seconds that attempts at jobs took, by mode", "mode", MODES);
pub static CRASHES: Count = Count::new(
    "job_crashes_total",
    "Leases of workers not heard of that ran out and were swept by this process",
);
pub static LEASES_LOST: Count = Count::new(
    "leases_lost_total",
    "Leases that this process held and found lost or could not renew in time",
);
pub static SLOTS: Single<Gauge> = Single::new("worker_slots", "Jobs that this process can run at once");
pub static SLOTS_BUSY: Single<Gauge> = Single::new("worker_slots_busy", "Jobs that this process runs");

// --- model calls ---------------------------------------------------------------------------------

/// `outcome` is `ok` or the kind of the error.
pub static MODEL_CALLS: Open<Counter, 3> =
    Open::new("model_calls_total", "Model calls by outcome", ["provider", "model", "outcome"]);
pub static MODEL_REQUESTS: Open<Counter, 2> = Open::new(
    "model_requests_total",
    "Requests that model calls took, tries that failed included",
    ["provider", "model"],
);
pub static MODEL_SECONDS: Open<Histogram<Long>, 2> =
    Open::new("model_call_seconds", "Seconds of answered model calls", ["provider", "model"]);
pub static FIRST_TOKEN_SECONDS: Open<Histogram<Long>, 2> = Open::new(
    "model_first_token_seconds",
    "Seconds from the beginning of a streamed request to its first token",
    ["provider", "model"],
);
/// `kind`: `input` (of which `cached`), `output` (of which `reasoning`).
pub static TOKENS: Open<Counter, 3> = Open::new(
    "model_tokens_total",
    "Tokens of model calls; cached ones are among those of the input, reasoning ones among those of the output",
    ["provider", "model", "kind"],
);
/// Counted in billionths of a dollar.
pub static COST: Open<Counter, 2> = Open::scaled(
    "model_cost_usd_total",
    "US dollars that model calls of known price cost",
    ["provider", "model"],
    1e-9,
);
pub static UNPRICED_CALLS: Open<Counter, 2> =
    Open::new("model_unpriced_calls_total", "Model calls of unknown price", ["provider", "model"]);
pub static PACING_SECONDS: Open<Histogram<Long>, 1> = Open::new(
    "provider_wait_seconds",
    "Seconds that requests waited until their provider's limits let them begin",
    ["provider"],
);
pub static PACING_REFUSALS: Open<Counter, 2> = Open::new(
    "provider_refusals_total",
    "Requests that were not begun: the wait is too long, or the circuit is open",
    ["provider", "reason"],
);

// --- store, log, traces --------------------------------------------------------------------------

pub static REDIS_OPERATIONS: Count =
    Count::new("redis_operations", "Commands and scripts that were sent to Redis");
/// `finish` is an `apply` that ends a job's lease; waits for work or events are not timed.
pub static STORE_SECONDS: Fixed<Histogram<Short>, 12> = Fixed::new(
    "store_operation_seconds",
    "Seconds that steps of the store took",
    "operation",
    STORE_OPERATIONS,
);
pub static STORE_ERRORS: Open<Counter, 2> =
    Open::new("store_errors_total", "Steps of the store that failed", ["operation", "kind"]);
pub static LOG_LINES: Fixed<Counter, 4> =
    Fixed::new("log_lines_total", "Lines of the log", "level", ["error", "warn", "info", "debug"]);
pub static LOG_LINES_LOST: Count =
    Count::new("log_lines_lost_total", "Lines that the log file could not take (stderr has them)");
pub static SPANS_SENT: Count = Count::new("trace_spans_sent_total", "Spans that the collector has taken");
pub static SPANS_LOST: Count =
    Count::new("trace_spans_lost_total", "Spans that were dropped: the collector is slow or away");

/// All of them, as they are now.
pub fn all() -> Vec<Metric> {
    let families: [&dyn Family; 44] = [
        &REQUESTS,
        &HTTP_REQUESTS,
        &HTTP_SECONDS,
        &VIEWERS,
        &DASHBOARD_PAGES,
        &DASHBOARD_UPDATES,
        &HEALTH_HITS,
        &HEALTH_REQUESTS,
        &REPORTS,
        &ANALYTICS_SNAPSHOTS,
        &CACHE_HITS,
        &CACHE_MISSES,
        &UPLOADS,
        &UPLOAD_FAILURES,
        &UPLOAD_MS,
        &ENQUEUED,
        &SCHEDULED,
        &STARTED,
        &ATTEMPTS,
        &ATTEMPT_FAILURES,
        &FINISHED,
        &QUEUE_WAIT,
        &ATTEMPT_SECONDS,
        &CRASHES,
        &LEASES_LOST,
        &SLOTS,
        &SLOTS_BUSY,
        &MODEL_CALLS,
        &MODEL_REQUESTS,
        &MODEL_SECONDS,
        &FIRST_TOKEN_SECONDS,
        &TOKENS,
        &COST,
        &UNPRICED_CALLS,
        &PACING_SECONDS,
        &PACING_REFUSALS,
        &REDIS_OPERATIONS,
        &STORE_SECONDS,
        &STORE_ERRORS,
        &LOG_LINES,
        &LOG_LINES_LOST,
        &SPANS_SENT,
        &SPANS_LOST,
        &BUILD,
    ];
    families.map(Family::read).into()
}

/// The version as a label of a constant 1, as is the custom.
struct BuildInfo;

static BUILD: BuildInfo = BuildInfo;

impl Family for BuildInfo {
    fn read(&self) -> Metric {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Metric::gauge("build_info", "The version of this program", [(Some(("version", version)), 1.0)])
    }
}

/// The share of answers that came from a cache, 0 to 1; 0 when nobody asked.
pub fn cache_hit_ratio() -> f64 {
    let (hits, misses) = (CACHE_HITS.get() as f64, CACHE_MISSES.get() as f64);
    if hits + misses > 0.0 { hits / (hits + misses) } else { 0.0 }
}
