//! A workflow as pages show it: one sentence on what it does now, and numbers that are ready to print.

use serde::Serialize;

use super::step_view::{names_of, title_of};
use crate::{
    http::render::{first_line, grouped},
    model::{
        Callback, DeliveryState, Priority, ReviewOutcome, Step, StepStatus, Timestamp, Usage, Workflow, iso,
    },
    service::webhooks::host_of,
};

/// How the review ended, as a badge.
#[derive(Debug, Serialize)]
pub struct ReviewView {
    pub kind: &'static str,
    pub label: &'static str,
}

/// What is used of a budget.
#[derive(Debug, Serialize)]
pub struct Gauge {
    pub label: &'static str,
    pub used: String,
    pub limit: String,
    /// 0 to 1.
    pub share: f64,
    pub percent: f64,
}

impl Gauge {
    fn new(label: &'static str, used: String, limit: String, share: f64) -> Self {
        let share = if share.is_finite() { share.max(0.0) } else { 0.0 };
        Self { label, used, limit, share: share.min(1.0), percent: share }
    }

    /// The gauges of a workflow with a budget.
    pub fn of(workflow: &Workflow) -> Vec<Self> {
        let Some(budget) = workflow.budget else { return Vec::new() };
        let tokens = budget.tokens.map(|limit| {
            let used = workflow.usage.total_tokens;
            Self::new("Budget, tokens", grouped(used), grouped(limit), used as f64 / limit as f64)
        });
        let usd = budget.usd.map(|limit| {
            let used = workflow.cost_usd.unwrap_or_default();
            let share = used.dollars() / limit.dollars();
            Self::new("Budget, dollars", used.to_string(), limit.to_string(), share)
        });
        tokens.into_iter().chain(usd).collect()
    }
}

/// Where a workflow reports to, and how its last report fared.
#[derive(Debug, Serialize)]
pub struct CallbackView {
    /// The host alone: the rest of an address may hold a secret.
    pub host: String,
    pub says: String,
    /// Whether nobody will hear of it.
    pub lost: bool,
}

impl CallbackView {
    pub fn new(callback: &Callback) -> Self {
        Self {
            host: host_of(&callback.url),
            says: report_says(callback),
            lost: callback.state == DeliveryState::GivenUp,
        }
    }
}

/// `"completed" was not accepted at try 3: the receiver answered 503`.
fn report_says(callback: &Callback) -> String {
    let nothing = || "nothing to report yet".to_owned();
    let Some(event) = callback.event else { return nothing() };
    let (event, attempts) = (event.as_str(), callback.attempts);
    let why = callback.last_error.as_deref().map(|why| format!(": {}", first_line(why))).unwrap_or_default();
    match callback.state {
        DeliveryState::Idle => nothing(),
        DeliveryState::Delivered => format!("\u{201c}{event}\u{201d} was delivered at try {attempts}"),
        DeliveryState::Waiting if attempts == 0 => format!("\u{201c}{event}\u{201d} is on its way"),
        DeliveryState::Waiting => {
            format!("\u{201c}{event}\u{201d} was not accepted at try {attempts}, and is tried again{why}")
        }
        DeliveryState::GivenUp => format!("\u{201c}{event}\u{201d} was given up after try {attempts}{why}"),
    }
}

/// More marks than this fit into no row.
const MOST_MARKS: usize = 48;

/// A step's verdict where it has one, else its status: a class of the style sheet.
fn mark_of(step: &Step) -> &'static str {
    step.verdict.as_ref().map_or(step.status.as_str(), |v| v.verdict.as_str())
}

/// `6 steps: 3 completed, 1 running, 2 waiting`.
fn strip_says(workflow: &Workflow) -> String {
    use StepStatus::{Cancelled, Completed, Failed, Processing, Queued, Skipped, Waiting};
    let number = |status| workflow.steps.iter().filter(|s| s.status == status).count();
    let parts: Vec<String> = [
        (Completed, "completed"),
        (Processing, "running"),
        (Queued, "queued"),
        (Waiting, "waiting"),
        (Failed, "failed"),
        (Cancelled, "cancelled"),
        (Skipped, "skipped"),
    ]
    .into_iter()
    .map(|(status, word)| (number(status), word))
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{n} {word}"))
    .collect();
    format!("{} steps: {}", workflow.steps.len(), parts.join(", "))
}

/// A row of a list, and the head of a workflow's own page.
#[derive(Debug, Serialize)]
pub struct WorkflowRow {
    pub id: String,
    pub title: String,
    pub status: &'static str,
    pub review: Option<ReviewView>,
    pub simulated: bool,
    /// What happens now, or how it ended.
    pub now: String,
    /// Completed steps, of all that are known so far.
    pub done: usize,
    pub total: usize,
    /// A mark for each step, at most [`MOST_MARKS`].
    pub strip: Vec<&'static str>,
    /// The same in words.
    pub strip_says: String,
    pub usage: Usage,
    /// What it cost so far, as far as prices are known.
    pub cost: Option<String>,
    pub unpriced_calls: u32,
    pub seconds: f64,
    pub created_at: String,
    pub priority: &'static str,
}

impl WorkflowRow {
    pub fn new(workflow: &Workflow, now: Timestamp) -> Self {
        Self {
            id: workflow.workflow_id.clone(),
            title: first_line(&workflow.original_task),
            status: workflow.status.as_str(),
            review: workflow.review.map(review),
            simulated: workflow.simulated,
            now: what_now(workflow),
            done: workflow.steps.iter().filter(|s| s.status == StepStatus::Completed).count(),
            total: workflow.steps.len(),
            strip: workflow.steps.iter().take(MOST_MARKS).map(mark_of).collect(),
            strip_says: strip_says(workflow),
            usage: workflow.usage,
            cost: workflow.cost_usd.map(|usd| usd.to_string()),
            unpriced_calls: workflow.unpriced_calls,
            seconds: seconds_between(workflow.created_at, workflow.completed_at.unwrap_or(now)),
            created_at: iso::format(&workflow.created_at),
            priority: match workflow.priority {
                Priority::High => "high",
                Priority::Normal => "normal",
                Priority::Low => "low",
            },
        }
    }
}

/// Never negative: clocks of two machines differ.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    ((to - from).num_milliseconds().max(0) as f64) / 1000.0
}

fn review(outcome: ReviewOutcome) -> ReviewView {
    let (kind, label) = match outcome {
        ReviewOutcome::Approved => ("approve", "approved by QA"),
        ReviewOutcome::Rejected => ("reject", "rejected by QA"),
        ReviewOutcome::RoundsUsedUp => ("revise", "not approved: rounds used up"),
        ReviewOutcome::NoProgress => ("revise", "not approved: no progress"),
        ReviewOutcome::Unstructured => ("unstructured", "not judged: QA gave no verdict"),
    };
    ReviewView { kind, label }
}

/// One sentence: what runs, else what waits and why, else how it ended.
fn what_now(workflow: &Workflow) -> String {
    let with =
        |status: StepStatus| workflow.steps.iter().filter(move |s| s.status == status).collect::<Vec<_>>();
    if workflow.is_over() {
        return ended(workflow);
    }
    if let Some(pause) = &workflow.pause {
        return first_line(&pause.detail);
    }
    let running = with(StepStatus::Processing);
    if let [step, ..] = running[..] {
        let more =
            if running.len() > 1 { format!(", and {} more", running.len() - 1) } else { String::new() };
        return format!("{} works on {}{more}", step.agent, name(step));
    }
    if let [step, ..] = with(StepStatus::Queued)[..] {
        return match &step.reason {
            Some(reason) => format!("{}: {reason}", name(step)),
            None => format!("{} waits in the queue for a free slot", name(step)),
        };
    }
    if let [step, ..] = with(StepStatus::Waiting)[..] {
        return match &step.reason {
            Some(reason) => format!("{}: {reason}", name(step)),
            None => format!("{} waits for {}", name(step), names_of(workflow, &step.depends_on)),
        };
    }
    "Between two steps".to_owned()
}

fn ended(workflow: &Workflow) -> String {
    if let Some(error) = &workflow.error {
        return first_line(error);
    }
    match workflow.review.map(review) {
        Some(review) => review.label.to_owned(),
        None if workflow.qa_enabled => "done".to_owned(),
        None => "done, without review".to_owned(),
    }
}

fn name(step: &Step) -> String {
    let title = title_of(&step.step).to_lowercase();
    if step.round > 1 { format!("{title}, round {}", step.round) } else { title }
}
