//! What the work at hand is done for: the request that asked for it, the job, the place in a trace.
//!
//! It goes with a task and not with arguments: what has to tell it (a line of the log, a request to a model
//! provider, a span) is far below those who know it, and nothing in between has any use for it. Between
//! processes it goes with the documents: a workflow and a job remember `request_id` and `traceparent`, and a
//! worker takes them up again. A task that is spawned begins without one.

use std::sync::Arc;

use super::trace::TraceParent;

tokio::task_local! {
    static CURRENT: Context;
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The id of the request that asked for the work: 1 to 128 visible characters of ASCII.
    pub request_id: Option<Arc<str>>,
    /// The attempt at a job that is under way.
    pub attempt: Option<Arc<AttemptOf>>,
    /// The span that is open.
    pub trace: Option<TraceParent>,
}

/// An attempt at a job, as log lines tell it.
#[derive(Debug)]
pub struct AttemptOf {
    pub job_id: String,
    pub workflow_id: Option<String>,
    pub attempt: usize,
}

impl Context {
    /// Whether nothing is known.
    fn is_empty(&self) -> bool {
        self.request_id.is_none() && self.attempt.is_none() && self.trace.is_none()
    }

    /// Does something for this context: all that it awaits, and none of what it spawns.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }
}

/// The context of this task; an empty one where there is none.
pub fn current() -> Context {
    CURRENT.try_with(Context::clone).unwrap_or_default()
}

/// The id of the request that this task works for.
pub fn request_id() -> Option<String> {
    CURRENT.try_with(|context| context.request_id.as_deref().map(str::to_owned)).ok().flatten()
}

/// The place in a trace that this task is at, as documents and headers carry it.
pub fn traceparent() -> Option<String> {
    CURRENT.try_with(|context| context.trace.map(|trace| trace.to_string())).ok().flatten()
}

/// Tells the fields that a line of the log gets from its context.
pub(super) fn fields(mut tell: impl FnMut(&'static str, Field<'_>)) {
    let _ = CURRENT.try_with(|context| {
        if context.is_empty() {
            return;
        }
        if let Some(attempt) = &context.attempt {
            tell("job_id", Field::Text(&attempt.job_id));
            if let Some(id) = &attempt.workflow_id {
                tell("workflow_id", Field::Text(id));
            }
            tell("attempt", Field::Number(attempt.attempt));
        }
        if let Some(id) = &context.request_id {
            tell("request_id", Field::Text(id));
        }
        if let Some(trace) = context.trace.filter(|trace| trace.sampled) {
            tell("trace_id", Field::Text(&trace.trace_id()));
        }
    });
}

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Text(&'a str),
    Number(usize),
}
