//! A step as the page of its workflow shows it: verdict, output, prompts, attempts, times.

use std::collections::HashMap;

use serde::Serialize;

use super::workflow_view::seconds_between;
use crate::{
    http::markdown,
    model::{
        Call, CallPurpose, ChatMessage, Finding, MessageRole, PartialAnswer, Step, StepStatus, Timestamp,
        ToolCall, Usage, Verdict, VerdictKind, Workflow, iso,
    },
};

/// QA's verdict in words.
#[derive(Debug, Serialize)]
pub struct VerdictView {
    kind: &'static str,
    label: &'static str,
    score: Option<f64>,
    findings: Vec<Finding>,
    must_fix: Vec<String>,
}

impl VerdictView {
    pub fn new(verdict: &Verdict) -> Self {
        Self {
            kind: verdict.verdict.as_str(),
            label: match verdict.verdict {
                VerdictKind::Approve => "QA approves",
                VerdictKind::Revise => "QA asks for a revision",
                VerdictKind::Reject => "QA rejects the work",
                VerdictKind::Unstructured => "QA answered without a verdict",
            },
            score: verdict.score.filter(|s| s.is_finite()),
            findings: verdict
                .findings
                .iter()
                .map(|f| Finding {
                    severity: Some(f.severity.clone().unwrap_or_default()),
                    text: f.text.clone(),
                })
                .collect(),
            must_fix: verdict.must_fix.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct MessageView {
    role: &'static str,
    content: String,
}

/// A tool that the model asked for, and what it gave back.
#[derive(Debug, Serialize)]
struct ToolView {
    name: String,
    arguments: String,
    /// Nothing while it has not run.
    output: Option<String>,
    failed: bool,
    seconds: f64,
}

fn tools(call: &Call) -> Vec<ToolView> {
    let view = |asked: &ToolCall| {
        let output = call.tool_outputs.iter().find(|output| output.tool_call_id == asked.id);
        ToolView {
            name: asked.name.clone(),
            arguments: asked.arguments.clone(),
            output: output.map(|output| markdown::shorten(&output.content).0.to_owned()),
            failed: output.is_some_and(|output| output.failed),
            seconds: output.map_or(0.0, |output| output.duration_ms as f64 / 1_000.0),
        }
    };
    call.tool_calls.iter().map(view).collect()
}

/// One model call with its exact prompt.
#[derive(Debug, Serialize)]
pub struct CallView {
    number: u32,
    attempt: u32,
    provider: String,
    model: String,
    messages: Vec<MessageView>,
    /// Shown with the call when it is not the output of the step.
    other_answer: bool,
    answer: String,
    tools: Vec<ToolView>,
    /// Why it was made, where that is not plain.
    purpose: Option<&'static str>,
    trimmed: bool,
    cost: Option<String>,
    finish_reason: Option<String>,
    usage: Usage,
    seconds: f64,
    first_token_seconds: Option<f64>,
    requests: u32,
    started_at: String,
}

impl CallView {
    fn new(call: &Call, is_last: bool) -> Self {
        Self {
            number: call.number,
            attempt: call.attempt,
            provider: call.provider.clone(),
            model: call.model.clone(),
            messages: call.messages.iter().map(message).collect(),
            other_answer: !is_last,
            answer: markdown::shorten(&call.answer).0.to_owned(),
            tools: tools(call),
            purpose: match call.purpose {
                CallPurpose::Work => None,
                CallPurpose::ToolResults => Some("with what tools gave back"),
                CallPurpose::Repair => Some("to get the answer into its form"),
            },
            trimmed: call.trimmed,
            cost: call.cost_usd.map(|usd| usd.to_string()),
            first_token_seconds: call.first_token_ms.map(|ms| ms as f64 / 1_000.0),
            finish_reason: call.finish_reason.clone(),
            usage: call.usage,
            seconds: call.duration_ms as f64 / 1000.0,
            requests: call.requests,
            started_at: iso::format(&call.started_at),
        }
    }
}

fn message(message: &ChatMessage) -> MessageView {
    MessageView {
        role: match message.role {
            MessageRole::System => "system",
            MessageRole::User => "user",
            MessageRole::Assistant => "assistant",
            MessageRole::Tool => "tool",
        },
        content: markdown::shorten(&message.content).0.to_owned(),
    }
}

/// A link to a step on the same page.
#[derive(Debug, Serialize)]
struct StepLink {
    anchor: String,
    title: String,
}

/// One step.
#[derive(Debug, Serialize)]
pub struct StepView {
    number: usize,
    /// Its id on the page, and the end of its permalink.
    anchor: String,
    title: String,
    round: u32,
    agent: String,
    job_id: String,
    status: &'static str,
    status_label: &'static str,
    /// How it is marked in the chain: its verdict where it has one, else its status.
    mark: &'static str,
    mark_label: &'static str,
    /// Why it waits, failed or was skipped.
    reason: Option<String>,
    verdict: Option<VerdictView>,
    output: Option<String>,
    /// What its model says so far, while it runs.
    partial: Option<String>,
    /// The answer reached its limit of tokens.
    truncated: bool,
    cost: Option<String>,
    /// Only the beginning of the output is known.
    shortened: bool,
    open: bool,
    model: Option<String>,
    simulated: bool,
    usage: Option<Usage>,
    seconds: Option<f64>,
    queue_seconds: Option<f64>,
    attempts: u32,
    queued_at: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    needs: Vec<StepLink>,
    calls: Vec<CallView>,
    has_result: bool,
}

/// All steps in order. `calls` may come in any order.
pub fn steps(
    workflow: &Workflow,
    calls: &[Call],
    partials: &[PartialAnswer],
    now: Timestamp,
) -> Vec<StepView> {
    let mut by_job: HashMap<&str, Vec<&Call>> = HashMap::new();
    for call in calls {
        by_job.entry(call.job_id.as_str()).or_default().push(call);
    }
    for calls in by_job.values_mut() {
        calls.sort_by_key(|c| c.number);
    }
    let newest = workflow.steps.iter().rposition(|s| s.status == StepStatus::Completed);
    let view = |(index, step): (usize, &Step)| {
        let calls = by_job.get(step.job_id.as_str()).map_or(&[][..], Vec::as_slice);
        let open = !workflow.is_over() && newest == Some(index);
        let mut view = one(workflow, step, calls, index + 1, open, now);
        let partial = partials.iter().find(|partial| partial.job_id == step.job_id);
        view.partial = partial.map(|partial| partial.text.clone()).filter(|text| !text.trim().is_empty());
        view
    };
    workflow.steps.iter().enumerate().map(view).collect()
}

fn one(
    workflow: &Workflow,
    step: &Step,
    calls: &[&Call],
    number: usize,
    open: bool,
    now: Timestamp,
) -> StepView {
    let answered = calls.last().copied().filter(|_| step.status == StepStatus::Completed);
    let verdict = step.verdict.as_ref();
    let status_label = status_label(step);
    let text = |time: Option<Timestamp>| time.map(|t| iso::format(&t));
    StepView {
        number,
        anchor: anchor(workflow, number - 1),
        title: title_of(&step.step),
        round: step.round,
        agent: step.agent.clone(),
        job_id: step.job_id.clone(),
        status: step.status.as_str(),
        status_label,
        mark: verdict.map_or(step.status.as_str(), |v| v.verdict.as_str()),
        mark_label: verdict.map_or(status_label, |v| v.verdict.as_str()),
        reason: step.reason.clone().or_else(|| default_reason(workflow, step)),
        verdict: verdict.map(VerdictView::new),
        output: answered.map(|c| c.answer.clone()).or_else(|| step.output.clone()).filter(|o| !o.is_empty()),
        partial: None,
        truncated: step.truncated,
        cost: step.cost_usd.map(|usd| usd.to_string()),
        shortened: answered.is_none() && step.output.as_ref().is_some_and(|o| o.chars().count() >= 300),
        open: open && verdict.is_none(),
        model: step.model.clone().or_else(|| calls.last().map(|c| c.model.clone())),
        simulated: calls.iter().any(|c| c.simulated),
        usage: step.usage,
        seconds: step.execution_time.or_else(|| {
            let running = step.status == StepStatus::Processing;
            step.started_at.filter(|_| running).map(|start| seconds_between(start, now))
        }),
        queue_seconds: step
            .queued_at
            .zip(step.started_at)
            .map(|(queued, start)| seconds_between(queued, start)),
        attempts: step.attempts,
        queued_at: text(step.queued_at),
        started_at: text(step.started_at),
        completed_at: text(step.completed_at),
        needs: needs(workflow, step),
        calls: calls.iter().enumerate().map(|(i, c)| CallView::new(c, i + 1 == calls.len())).collect(),
        has_result: matches!(step.status, StepStatus::Completed | StepStatus::Failed | StepStatus::Cancelled),
    }
}

fn status_label(step: &Step) -> &'static str {
    match step.status {
        StepStatus::Waiting => "waiting",
        StepStatus::Queued if step.attempts > 0 => "waits for its next attempt",
        StepStatus::Queued => "queued",
        StepStatus::Processing => "running",
        StepStatus::Completed => "completed",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
        StepStatus::Cancelled => "cancelled",
    }
}

/// Every waiting step says why, also one whose record does not.
fn default_reason(workflow: &Workflow, step: &Step) -> Option<String> {
    match step.status {
        StepStatus::Waiting => Some(format!("Waits for {}.", names_of(workflow, &step.depends_on))),
        StepStatus::Queued => Some("Waits in the queue for a free slot of a worker.".to_owned()),
        StepStatus::Failed => Some("It failed; no reason was recorded.".to_owned()),
        StepStatus::Skipped => Some("The workflow ended before it.".to_owned()),
        StepStatus::Cancelled => Some("Somebody cancelled it.".to_owned()),
        StepStatus::Processing | StepStatus::Completed => None,
    }
}

fn needs(workflow: &Workflow, step: &Step) -> Vec<StepLink> {
    let link = |id: &String| {
        let index = workflow.steps.iter().position(|s| &s.job_id == id)?;
        let needed = &workflow.steps[index];
        let round = if needed.round > 1 { format!(", round {}", needed.round) } else { String::new() };
        Some(StepLink {
            anchor: anchor(workflow, index),
            title: format!("{}{round}", title_of(&needed.step)),
        })
    };
    step.depends_on.iter().filter_map(link).collect()
}

/// `qa_validation-2`, with a further number where several steps of a round share a name.
fn anchor(workflow: &Workflow, index: usize) -> String {
    let step = &workflow.steps[index];
    let twins =
        workflow.steps[..index].iter().filter(|s| s.step == step.step && s.round == step.round).count();
    let name: String = step.step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match twins {
        0 => format!("{name}-{}", step.round),
        n => format!("{name}-{}-{}", step.round, n + 1),
    }
}

/// The titles of steps, for a sentence.
pub fn names_of(workflow: &Workflow, job_ids: &[String]) -> String {
    let mut names: Vec<String> = job_ids
        .iter()
        .filter_map(|id| workflow.step(id))
        .filter(|s| !s.status.is_terminal())
        .map(|s| format!("{} ({})", title_of(&s.step).to_lowercase(), s.agent))
        .collect();
    names.dedup();
    match names.is_empty() {
        true => "its inputs".to_owned(),
        false => names.join(" and "),
    }
}

/// `qa_validation` as `QA validation`.
pub fn title_of(step: &str) -> String {
    let words = step.replace('_', " ");
    if let Some(rest) = words.strip_prefix("qa ") {
        return format!("QA {rest}");
    }
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
