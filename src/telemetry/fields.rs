//! The names of the access line's fields, which its readers parse.
//!
//! Other records name their fields where they are written: `job_id`, `workflow_id`, `worker_id`,
//! `request_id`, `attempt`, `agent`, `error`, `queue`, `wait_ms`; one name for one thing, units in the
//! name. Prompts, answers, request bodies and secrets are never fields.

pub const DURATION_MS: &str = "duration_ms";
pub const IP: &str = "ip";
pub const METHOD: &str = "method";
pub const PATH: &str = "path";
pub const STATUS: &str = "status";
