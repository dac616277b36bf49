//! The names of fields in log lines: one name for one thing, units in the name.
//!
//! `log` takes a field's name as written, so these are for the places that read or test lines, and
//! the list to choose from: `info!(job_id = id.as_str(), attempt = n; "job finished")`.
//! Prompts, answers, request bodies and secrets are never fields.

pub const AGENT: &str = "agent";
pub const ATTEMPT: &str = "attempt";
pub const DURATION_MS: &str = "duration_ms";
pub const ERROR: &str = "error";
pub const IP: &str = "ip";
pub const JOB_ID: &str = "job_id";
pub const METHOD: &str = "method";
pub const MODEL: &str = "model";
pub const PATH: &str = "path";
pub const QUEUE: &str = "queue";
pub const REQUEST_ID: &str = "request_id";
pub const STATUS: &str = "status";
pub const STEP: &str = "step";
pub const TOKENS: &str = "tokens";
pub const URL: &str = "url";
pub const WAIT_MS: &str = "wait_ms";
pub const WORKER_ID: &str = "worker_id";
pub const WORKFLOW_ID: &str = "workflow_id";
