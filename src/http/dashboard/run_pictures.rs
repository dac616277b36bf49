//! The pictures of a run: what the Gantt chart and the graph are drawn from, and their twins in figures.

use serde::Serialize;

use super::step_view::{Known, StepView};
use crate::{
    http::draw::{
        gantt::{self, Doing, Gantt, Mark, Ms, Row, Span},
        graph::{self, Edge, Graph},
    },
    model::{Attempt, AttemptOutcome, Step, StepStatus, TemplateRole, Timestamp, Workflow, iso},
};

/// The letters of an agent's name that fit into a node.
const NODE_CHARS: usize = 20;

/// A step beside its lane.
#[derive(Debug, Serialize)]
struct Label {
    anchor: String,
    title: String,
    agent: String,
    round: u32,
    mark: &'static str,
    mark_label: &'static str,
    /// The first of a round after the first.
    begins_round: bool,
    /// The figures of its row in the table.
    figures: Figures,
}

/// Seconds; nothing where it has not come to that.
#[derive(Debug, Default, Serialize)]
struct Figures {
    queued: Option<f64>,
    put_off: Option<f64>,
    working: Option<f64>,
    model: Option<f64>,
    first_word: Option<f64>,
    attempts: u32,
    started_at: Option<String>,
    ended_at: Option<String>,
}

/// The chart with the names of its rows.
#[derive(Debug, Serialize)]
pub struct GanttView {
    chart: Gantt,
    rows: Vec<Label>,
    /// The chart in a sentence.
    says: String,
}

impl GanttView {
    pub fn new(known: &Known, steps: &[StepView]) -> Option<Self> {
        let workflow = known.workflow;
        let now = (!workflow.is_over()).then(|| known.now.timestamp_millis());
        let rows: Vec<Row> = workflow.steps.iter().map(|step| row(known, step)).collect();
        let end = now.or(workflow.completed_at.map(ms));
        let chart = gantt::draw(&rows, now)?;
        let mut round = 1;
        let labels: Vec<Label> = workflow
            .steps
            .iter()
            .zip(steps)
            .zip(&rows)
            .map(|((step, view), row)| {
                let begins_round = step.round > round;
                round = round.max(step.round);
                Label {
                    anchor: view.anchor.clone(),
                    title: view.title.clone(),
                    agent: view.agent.clone(),
                    round: step.round,
                    mark: view.mark,
                    mark_label: view.mark_label,
                    begins_round,
                    figures: figures(step, row, known, end),
                }
            })
            .collect();
        let ended = workflow.steps.iter().filter(|s| s.status == StepStatus::Completed).count();
        let says = format!("When each of {} steps waited and ran; {ended} are completed", labels.len());
        Some(Self { chart, rows: labels, says })
    }
}

fn ms(time: Timestamp) -> Ms {
    time.timestamp_millis()
}

/// What a step did when, from its job's attempts and the calls they made.
fn row(known: &Known, step: &Step) -> Row {
    let mut row = Row::default();
    let alone = whole(step);
    let attempts: Vec<&Attempt> = match known.jobs.get(step.job_id.as_str()) {
        Some(job) if !job.attempts.is_empty() => job.attempts.iter().collect(),
        _ => alone.iter().collect(),
    };
    let mut since = step.queued_at.map(ms);
    let mut why = Doing::Queued;
    let mut failed = false;
    for attempt in attempts {
        let start = ms(attempt.started_at);
        if let Some(since) = since.filter(|since| *since < start) {
            row.spans.push(Span { doing: why, from: since, to: Some(start) });
        }
        if failed {
            row.marks.push((Mark::Retry, start));
        }
        let over = step.status.is_terminal().then(|| step.completed_at.map(ms)).flatten();
        let end = attempt.ended_at.map(ms).or(over);
        row.spans.push(Span { doing: Doing::Working, from: start, to: end });
        add_calls(&mut row, known, step, attempt, end);
        failed = matches!(
            attempt.outcome,
            Some(AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Crashed)
        );
        if let Some(end) = end.filter(|_| failed) {
            row.marks.push((Mark::Failed, end));
        }
        let put_off = attempt.outcome == Some(AttemptOutcome::Postponed);
        why = if put_off { Doing::PutOff } else { Doing::Queued };
        since = end;
    }
    if let Some(from) = since.filter(|_| step.status == StepStatus::Queued) {
        row.spans.push(Span { doing: why, from, to: None });
    }
    row
}

/// The attempt of a step whose job is kept no longer, as its own record tells it.
fn whole(step: &Step) -> Option<Attempt> {
    Some(Attempt {
        number: step.attempts.max(1),
        worker: String::new(),
        token: None,
        started_at: step.started_at?,
        ended_at: step.completed_at,
        outcome: None,
        class: None,
        error: None,
    })
}

fn add_calls(row: &mut Row, known: &Known, step: &Step, attempt: &Attempt, end: Option<Ms>) {
    let mut last = ms(attempt.started_at);
    for call in known.calls_of(step).iter().filter(|call| call.attempt == attempt.number) {
        let from = ms(call.started_at);
        let to = from.saturating_add(i64::try_from(call.duration_ms).unwrap_or(0));
        let first = call.first_token_ms.and_then(|wait| i64::try_from(wait).ok());
        let first = first.map_or(from, |wait| from.saturating_add(wait).min(to));
        if first > from {
            row.spans.push(Span { doing: Doing::FirstWord, from, to: Some(first) });
        }
        row.spans.push(Span { doing: Doing::Model, from: first, to: Some(to) });
        last = to;
    }
    // A call is journaled when it ends; while it streams its text so far tells of it.
    if end.is_none() && known.partials.contains_key(step.job_id.as_str()) {
        row.spans.push(Span { doing: Doing::Model, from: last, to: None });
    }
}

fn figures(step: &Step, row: &Row, known: &Known, end: Option<Ms>) -> Figures {
    let sum = |wanted: &[Doing]| {
        let spans: Vec<&Span> = row.spans.iter().filter(|span| wanted.contains(&span.doing)).collect();
        let length = |span: &&Span| (span.to.or(end).unwrap_or(span.from) - span.from).max(0) as f64;
        (!spans.is_empty()).then(|| spans.iter().map(length).sum::<f64>() / 1000.0)
    };
    Figures {
        queued: sum(&[Doing::Queued]),
        put_off: sum(&[Doing::PutOff]),
        working: sum(&[Doing::Working]),
        model: sum(&[Doing::FirstWord, Doing::Model]),
        first_word: known
            .calls_of(step)
            .iter()
            .find_map(|call| call.first_token_ms)
            .map(|wait| wait as f64 / 1000.0),
        attempts: step.attempts,
        started_at: step.started_at.map(|at| iso::format(&at)),
        ended_at: step.completed_at.map(|at| iso::format(&at)),
    }
}

/// A node with what is written into it.
#[derive(Debug, Serialize)]
struct NodeView {
    x: u32,
    y: u32,
    anchor: String,
    title: String,
    agent: String,
    round: u32,
    mark: &'static str,
    mark_label: &'static str,
    sign: &'static str,
}

#[derive(Debug, Serialize)]
pub struct GraphView {
    width: u32,
    height: u32,
    node_width: u32,
    node_height: u32,
    nodes: Vec<NodeView>,
    edges: Vec<Edge>,
}

impl GraphView {
    pub fn new(workflow: &Workflow, steps: &[StepView]) -> Option<Self> {
        let drawn: Vec<graph::Step> = workflow
            .steps
            .iter()
            .map(|step| graph::Step {
                id: step.job_id.clone(),
                needs: step.depends_on.clone(),
                revises: step.role == TemplateRole::Specialist && step.round > 1,
            })
            .collect();
        let Graph { width, height, node_width, node_height, nodes, edges } = graph::draw(&drawn)?;
        let view = |node: &graph::Node| {
            let step = steps.get(node.step)?;
            Some(NodeView {
                x: node.x,
                y: node.y,
                anchor: step.anchor.clone(),
                title: step.title.clone(),
                agent: shortened(&step.agent),
                round: step.round,
                mark: step.mark,
                mark_label: step.mark_label,
                sign: sign(step.mark),
            })
        };
        let nodes = nodes.iter().filter_map(view).collect();
        Some(Self { width, height, node_width, node_height, nodes, edges })
    }
}

/// As the style sheet marks it.
fn sign(mark: &str) -> &'static str {
    match mark {
        "processing" | "running" => "▶",
        "completed" | "approve" => "✓",
        "failed" | "reject" => "✗",
        "revise" => "↻",
        "unstructured" => "?",
        "skipped" | "cancelled" => "–",
        _ => "○",
    }
}

fn shortened(name: &str) -> String {
    let mut out: String = name.chars().take(NODE_CHARS).collect();
    if name.chars().count() > NODE_CHARS {
        out.pop();
        out.push('…');
    }
    out
}
