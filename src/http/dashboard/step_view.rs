//! A step as the page of its workflow shows it: verdict, output, prompts, attempts, times.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    call_view::{CallView, Texts},
    workflow_view::seconds_between,
};
use crate::model::{
    Attempt, AttemptOutcome, Call, Decision, DecisionOutcome, Finding, Job, JobState, PartialAnswer, Step,
    StepStatus, TemplateRole, Timestamp, Usage, Verdict, VerdictKind, Workflow, iso,
};

/// What the page of a run shows of an output when it cannot show everything.
const OUTPUT_EXCERPT: usize = 1_800;

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
    pub anchor: String,
    pub title: String,
    pub round: u32,
    pub agent: String,
    job_id: String,
    status: &'static str,
    status_label: &'static str,
    /// How it is marked in the chain: its verdict where it has one, else its status.
    pub mark: &'static str,
    pub mark_label: &'static str,
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
    /// Only the beginning of the output is shown here.
    cut: bool,
    /// When the next attempt begins, where it waits for that.
    next_attempt: Option<String>,
    /// What became of its attempts.
    history: Vec<AttemptView>,
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
    /// Somebody can go on from it in a new workflow.
    forkable: bool,
    /// The workflow that it was taken over from.
    from_workflow: Option<String>,
    /// A person wrote its output.
    edited: bool,
    /// What a person decided, at a gate.
    decision: Option<String>,
}

/// One try of a worker.
#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    worker: String,
    started_at: String,
    seconds: Option<f64>,
    kind: &'static str,
    label: &'static str,
    error: Option<String>,
}

impl AttemptView {
    fn new(attempt: &Attempt) -> Self {
        let (kind, label) = match attempt.outcome {
            None => ("running", "runs"),
            Some(AttemptOutcome::Completed) => ("completed", "completed"),
            Some(AttemptOutcome::Failed) => ("failed", "failed"),
            Some(AttemptOutcome::TimedOut) => ("failed", "took too long"),
            Some(AttemptOutcome::Crashed) => ("failed", "its worker died"),
            Some(AttemptOutcome::Released) => ("waiting", "given back"),
            Some(AttemptOutcome::Cancelled) => ("cancelled", "cancelled"),
            Some(AttemptOutcome::Postponed) => ("waiting", "put off"),
        };
        Self {
            number: attempt.number,
            worker: attempt.worker.clone(),
            started_at: iso::format(&attempt.started_at),
            seconds: attempt.ended_at.map(|end| seconds_between(attempt.started_at, end)),
            kind,
            label,
            error: attempt.error.clone(),
        }
    }
}

/// Everything that is known of a run, by the job of its step.
pub struct Known<'a> {
    pub workflow: &'a Workflow,
    /// In the order of their numbers.
    pub calls: HashMap<&'a str, Vec<&'a Call>>,
    pub partials: HashMap<&'a str, &'a PartialAnswer>,
    pub jobs: HashMap<&'a str, &'a Job>,
    pub now: Timestamp,
}

impl<'a> Known<'a> {
    /// All of them may come in any order.
    pub fn new(
        workflow: &'a Workflow,
        calls: &'a [Call],
        partials: &'a [PartialAnswer],
        jobs: &'a [Job],
        now: Timestamp,
    ) -> Self {
        let mut by_job: HashMap<&str, Vec<&Call>> = HashMap::new();
        for call in calls {
            by_job.entry(call.job_id.as_str()).or_default().push(call);
        }
        for calls in by_job.values_mut() {
            calls.sort_by_key(|c| c.number);
        }
        Self {
            workflow,
            calls: by_job,
            partials: partials.iter().map(|p| (p.job_id.as_str(), p)).collect(),
            jobs: jobs.iter().map(|job| (job.job_id.as_str(), job)).collect(),
            now,
        }
    }

    pub fn calls_of(&self, step: &Step) -> &[&'a Call] {
        self.calls.get(step.job_id.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The whole output of a step that has completed, as far as it is kept.
    pub fn output_of(&self, step: &Step) -> Option<&'a str> {
        let completed = step.status == StepStatus::Completed;
        self.calls_of(step).last().filter(|_| completed).map(|call| call.answer.as_str())
    }
}

/// All steps in order.
pub fn steps(known: &Known, texts: Texts) -> Vec<StepView> {
    (0..known.workflow.steps.len()).map(|index| step(known, index, texts)).collect()
}

/// One step, by its place.
pub fn step(known: &Known, index: usize, texts: Texts) -> StepView {
    let workflow = known.workflow;
    let newest = workflow.steps.iter().rposition(|s| s.status == StepStatus::Completed);
    let step = &workflow.steps[index];
    let open = !workflow.is_over() && newest == Some(index);
    let calls = known.calls_of(step);
    let job = known.jobs.get(step.job_id.as_str());
    let partial = known.partials.get(step.job_id.as_str());
    let answered = known.output_of(step);
    let output = answered.or(step.output.as_deref()).filter(|output| !output.is_empty());
    let verdict = step.verdict.as_ref();
    let status_label = status_label(step);
    let text = |time: Option<Timestamp>| time.map(|t| iso::format(&t));
    StepView {
        number: index + 1,
        anchor: anchor(workflow, index),
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
        cut: output.is_some_and(|output| texts.cuts(output, OUTPUT_EXCERPT)),
        output: output.map(|output| texts.shown(output, OUTPUT_EXCERPT).to_owned()),
        partial: partial.map(|partial| partial.text.clone()).filter(|text| !text.trim().is_empty()),
        next_attempt: job
            .filter(|job| job.state == JobState::Scheduled)
            .and_then(|job| job.due_at.map(|due| iso::format(&due))),
        history: job.map_or_else(Vec::new, |job| job.attempts.iter().map(AttemptView::new).collect()),
        truncated: step.truncated,
        cost: step.cost_usd.map(|usd| usd.to_string()),
        shortened: answered.is_none() && step.output.as_ref().is_some_and(|o| o.chars().count() >= 300),
        open: open && verdict.is_none(),
        model: step.model.clone().or_else(|| calls.last().map(|c| c.model.clone())),
        simulated: calls.iter().any(|c| c.simulated),
        usage: step.usage,
        seconds: step.execution_time.or_else(|| {
            let running = step.status == StepStatus::Processing;
            step.started_at.filter(|_| running).map(|start| seconds_between(start, known.now))
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
        calls: calls.iter().enumerate().map(|(i, c)| CallView::new(c, i + 1 == calls.len(), texts)).collect(),
        has_result: step.role != TemplateRole::Approval
            && matches!(step.status, StepStatus::Completed | StepStatus::Failed | StepStatus::Cancelled),
        forkable: !matches!(step.status, StepStatus::Waiting | StepStatus::Skipped),
        from_workflow: step.from_workflow.clone(),
        edited: step.edited,
        decision: step.decision.as_ref().map(said),
    }
}

/// A person's word in a sentence.
fn said(decision: &Decision) -> String {
    let outcome = match decision.outcome {
        DecisionOutcome::Approved => "A person approved the work",
        DecisionOutcome::SentBack => "A person sent the work back",
        DecisionOutcome::Rejected => "A person rejected the work",
    };
    match &decision.comment {
        Some(comment) => format!("{outcome}: {comment}"),
        None => format!("{outcome}."),
    }
}

fn status_label(step: &Step) -> &'static str {
    match step.status {
        StepStatus::Waiting if step.role == TemplateRole::Approval && step.queued_at.is_some() => {
            "waits for a person"
        }
        StepStatus::Completed
            if step.decision.as_ref().is_some_and(|d| d.outcome == DecisionOutcome::SentBack) =>
        {
            "sent back"
        }
        StepStatus::Completed if step.role == TemplateRole::Approval => "approved",
        StepStatus::Failed if step.role == TemplateRole::Approval => "rejected",
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
pub fn anchor(workflow: &Workflow, index: usize) -> String {
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

/// With its round, where that is not the first.
pub fn full_title(step: &Step) -> String {
    match step.round {
        0 | 1 => title_of(&step.step),
        round => format!("{}, round {round}", title_of(&step.step)),
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
