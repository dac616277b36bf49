//! The page of one run, and that of one of its steps.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Visitor, now},
    call_view::{Texts, beginning},
    drafts::{self, Draft},
    page::{LIVE, PageError, Shell, answer},
    run_pictures::{GanttView, GraphView},
    step_view::{Known, StepView, step as step_view, steps},
    workflow_actions::WorkflowActions,
    workflow_view::{CallbackView, Gauge, WorkflowRow},
};
use crate::{
    http::{HttpState, render::segment},
    model::{Call, Fork, RunEvent, Workflow, iso},
    service::{exports::Format, workflows::WorkflowDetail},
};

/// A run whose texts are longer than this in all shows their beginnings; each step has a page with the whole.
/// In bytes; packed it is about a quarter.
const MOST_TEXT: usize = 96 * 1024;
/// The same for its report.
const MOST_REPORT: usize = 32 * 1024;

#[derive(Serialize)]
struct Report {
    job_id: String,
    agent: String,
    text: String,
    /// Only its beginning is shown.
    cut: bool,
    simulated: bool,
}

#[derive(Serialize)]
struct ExportLink {
    format: &'static str,
    label: &'static str,
}

#[derive(Serialize)]
struct RunPage {
    row: WorkflowRow,
    brief: String,
    long_brief: bool,
    qa_enabled: bool,
    round: u32,
    most_rounds: u32,
    template: String,
    over: bool,
    completed_at: Option<String>,
    /// When it begins, where that is still to come.
    begins_at: Option<String>,
    error: Option<String>,
    actions: WorkflowActions,
    forked_from: Option<Fork>,
    forks: Vec<String>,
    /// Why it is paused.
    pause: Option<String>,
    gauges: Vec<Gauge>,
    upload_id: Option<String>,
    callback: Option<CallbackView>,
    /// What a screen reader says when it changes.
    announce: String,
    gantt: Option<GanttView>,
    graph: Option<GraphView>,
    drafts: Vec<Draft>,
    report: Option<Report>,
    steps: Vec<StepView>,
    exports: Vec<ExportLink>,
    events: Vec<RunEvent>,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let WorkflowDetail { workflow, calls, partials, events, last_event } =
        state.services.workflows.detail(&id).await?;
    let jobs = state.services.workflows.jobs(&workflow).await?;
    let now = now(&state);
    let known = Known::new(&workflow, &calls, &partials, &jobs, now);
    let texts = if text_bytes(&calls) <= MOST_TEXT { Texts::Whole } else { Texts::Beginnings };
    let row = WorkflowRow::new(&workflow, now);
    let steps = steps(&known, texts);
    let page = RunPage {
        brief: workflow.original_task.clone(),
        long_brief: workflow.original_task.len() > 600,
        qa_enabled: workflow.qa_enabled,
        round: workflow.steps.iter().map(|s| s.round).max().unwrap_or(1),
        most_rounds: workflow.max_revisions.saturating_add(1),
        template: workflow.template.clone(),
        over: workflow.is_over(),
        completed_at: workflow.completed_at.map(|t| iso::format(&t)),
        begins_at: workflow.run_at.filter(|at| *at > now).map(|at| iso::format(&at)),
        error: workflow.error.clone(),
        actions: WorkflowActions::of(&workflow),
        forked_from: workflow.forked_from.clone(),
        forks: workflow.forks.clone(),
        pause: workflow.pause.as_ref().map(|pause| pause.detail.clone()),
        gauges: Gauge::of(&workflow),
        upload_id: workflow.upload_id.clone(),
        callback: workflow.callback.as_ref().map(CallbackView::new),
        announce: format!("{}: {} of {} steps. {}", row.status, row.done, row.total, row.now),
        report: report(&state, &workflow, &calls).await,
        gantt: GanttView::new(&known, &steps),
        graph: GraphView::new(&workflow, &steps),
        drafts: drafts::of_run(&known),
        exports: exports(),
        steps,
        events,
        row,
    };
    let shell = Shell::new(&state, &visitor, "Workflows", page.row.title.clone());
    let shell = match page.over {
        true => shell,
        false => shell.live(LIVE).events(stream(&page.row.id, last_event)),
    };
    answer(StatusCode::OK, "workflow.html", &shell, &page)
}

#[derive(Serialize)]
struct StepPage {
    workflow_id: String,
    workflow_title: String,
    step: StepView,
    draft: Option<Draft>,
    previous: Option<Neighbour>,
    next: Option<Neighbour>,
}

/// The step before or after.
#[derive(Serialize)]
struct Neighbour {
    anchor: String,
    title: String,
}

pub async fn step(
    visitor: Visitor,
    state: web::Data<HttpState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (id, anchor) = path.into_inner();
    let WorkflowDetail { workflow, calls, partials, last_event, .. } =
        state.services.workflows.detail(&id).await?;
    let jobs = state.services.workflows.jobs(&workflow).await?;
    let known = Known::new(&workflow, &calls, &partials, &jobs, now(&state));
    let anchors: Vec<String> =
        (0..workflow.steps.len()).map(|n| super::step_view::anchor(&workflow, n)).collect();
    let Some(index) = anchors.iter().position(|known| *known == anchor) else {
        return Err(PageError::NotFound("This workflow has no such step.".to_owned()));
    };
    let neighbour = |n: Option<usize>| {
        let n = n.filter(|n| *n < anchors.len())?;
        let title = super::step_view::full_title(&workflow.steps[n]);
        Some(Neighbour { anchor: anchors[n].clone(), title })
    };
    let page = StepPage {
        workflow_id: workflow.workflow_id.clone(),
        workflow_title: crate::http::render::first_line(&workflow.original_task),
        step: step_view(&known, index, Texts::Whole),
        draft: drafts::of_step(&known, index),
        previous: neighbour(index.checked_sub(1)),
        next: neighbour(Some(index + 1)),
    };
    let title = super::step_view::full_title(&workflow.steps[index]);
    let shell = Shell::new(&state, &visitor, "Workflows", title);
    let shell = match workflow.steps[index].status.is_terminal() {
        true => shell,
        false => shell.live(LIVE).events(stream(&workflow.workflow_id, last_event)),
    };
    answer(StatusCode::OK, "step.html", &shell, &page)
}

/// Where the events of a run come from that its page does not show yet.
fn stream(id: &str, last_event: u64) -> String {
    format!("/dashboard/workflows/{}/events?after={last_event}", segment(id))
}

/// How long the texts of all calls are.
fn text_bytes(calls: &[Call]) -> usize {
    let prompt = |call: &Call| call.messages.iter().map(|m| m.content.len()).sum::<usize>();
    let tools = |call: &Call| call.tool_outputs.iter().map(|output| output.content.len()).sum::<usize>();
    calls.iter().map(|call| call.answer.len() + prompt(call) + tools(call)).sum()
}

fn exports() -> Vec<ExportLink> {
    let label = |format| match format {
        Format::Md => "Markdown",
        Format::Txt => "Text",
        Format::Json => "JSON",
        Format::Ndjson => "NDJSON",
        Format::Csv => "CSV",
        Format::Zip => "ZIP",
    };
    Format::ALL.map(|format| ExportLink { format: format.extension(), label: label(format) }).into()
}

/// The report is the output of one job: in the journal of its calls, else in its result.
async fn report(state: &HttpState, workflow: &Workflow, calls: &[Call]) -> Option<Report> {
    let job_id = workflow.report_job_id.clone()?;
    let agent = workflow.step(&job_id)?.agent.clone();
    let (text, simulated) = match state.services.results.get(&job_id).await {
        Ok(result) => (result.output, result.simulated),
        Err(_) => match calls.iter().filter(|c| c.job_id == job_id).max_by_key(|c| c.number) {
            Some(call) => (call.answer.clone(), call.simulated),
            None => (workflow.step(&job_id)?.output.clone()?, workflow.simulated),
        },
    };
    let shown = beginning(&text, MOST_REPORT);
    Some(Report { job_id, agent, cut: shown.len() < text.len(), text: shown.to_owned(), simulated })
}
