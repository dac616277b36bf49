//! Workflows: the list, one with its steps, and the start of a new one.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Posted, Visitor, now},
    form::{AgentChoice, BriefForm},
    list_page::ListPage,
    page::{IDLE, LIVE, PageError, Shell, answer, problems_of, see_other, service_status},
    step_view::{StepView, steps},
    workflow_actions::{WorkflowActions, forkable},
    workflow_view::{BudgetView, WorkflowRow},
};
use crate::{
    http::{HttpState, render::segment},
    model::{Call, Fork, RunEvent, Workflow, WorkflowStatus, iso},
    service::{
        Listing,
        workflows::{MAX_SEARCH_CHARS, WorkflowDetail, WorkflowFilter},
    },
    store::Cursor,
};

/// Rows of a page of a list.
pub const PAGE: usize = 25;

#[derive(Deserialize)]
pub struct Listed {
    pub after: Option<String>,
}

/// Which workflows a page lists.
#[derive(Default, Deserialize)]
pub struct ListedWorkflows {
    after: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    q: String,
}

/// The list with these filters.
pub fn list_path(status: &str, q: &str) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("status", status), ("q", q)].into_iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    let pairs = pairs.finish();
    let path = "/dashboard/workflows";
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{pairs}") }
}

/// A link to the workflows in one state.
#[derive(Serialize)]
struct StatusTab {
    label: &'static str,
    href: String,
    current: bool,
}

#[derive(Serialize)]
struct WorkflowsPage {
    tabs: Vec<StatusTab>,
    status: String,
    q: String,
    most_q: usize,
    filtered: bool,
    #[serde(flatten)]
    list: ListPage<WorkflowRow>,
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<ListedWorkflows>,
) -> Result<HttpResponse, PageError> {
    let q: String = query.q.chars().take(MAX_SEARCH_CHARS).collect();
    let status = WorkflowStatus::ALL.into_iter().find(|status| status.as_str() == query.status);
    let filter = WorkflowFilter { status, ..WorkflowFilter::default() }.search(&q);
    let found = state.services.workflows.find(&filter, PAGE, query.after.clone().map(Cursor)).await?;
    let now = now(&state);
    let live = found.items.iter().any(|w| !w.is_over());
    let path = list_path(status.map_or("", WorkflowStatus::as_str), &q);
    let listing = Listing { items: found.items, next: found.next, total: found.total.unwrap_or_default() };
    let list = ListPage::new(&path, query.after.as_deref(), &listing, |w| WorkflowRow::new(w, now));
    let tab = |label, status: Option<WorkflowStatus>| StatusTab {
        label,
        href: list_path(status.map_or("", WorkflowStatus::as_str), &q),
        current: filter.status == status,
    };
    let page = WorkflowsPage {
        tabs: vec![
            tab("All", None),
            tab("Running", Some(WorkflowStatus::Running)),
            tab("Paused", Some(WorkflowStatus::Paused)),
            tab("Completed", Some(WorkflowStatus::Completed)),
            tab("Failed", Some(WorkflowStatus::Failed)),
            tab("Cancelled", Some(WorkflowStatus::Cancelled)),
        ],
        status: status.map_or("", WorkflowStatus::as_str).to_owned(),
        filtered: filter != WorkflowFilter::default(),
        q,
        most_q: MAX_SEARCH_CHARS,
        list,
    };
    let shell = Shell::new(&state, &visitor, "Workflows", "Workflows")
        .live(if live { LIVE } else { IDLE })
        .events("/dashboard/events".to_owned());
    answer(StatusCode::OK, "workflows.html", &shell, &page)
}

#[derive(Serialize)]
struct Report {
    job_id: String,
    agent: String,
    text: String,
    simulated: bool,
}

#[derive(Serialize)]
struct DetailPage {
    row: WorkflowRow,
    brief: String,
    long_brief: bool,
    qa_enabled: bool,
    round: u32,
    most_rounds: u32,
    template: String,
    over: bool,
    completed_at: Option<String>,
    error: Option<String>,
    actions: WorkflowActions,
    /// By the job of each step: whether somebody can go on from it.
    forkable: BTreeMap<String, bool>,
    forked_from: Option<Fork>,
    forks: Vec<String>,
    /// Why it is paused.
    pause: Option<String>,
    budget: Option<BudgetView>,
    /// What a screen reader says when it changes.
    announce: String,
    report: Option<Report>,
    steps: Vec<StepView>,
    events: Vec<RunEvent>,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let WorkflowDetail { workflow, calls, partials, events, last_event } =
        state.services.workflows.detail(&id).await?;
    let now = now(&state);
    let row = WorkflowRow::new(&workflow, now);
    let report = report(&state, &workflow, &calls).await;
    let page = DetailPage {
        brief: workflow.original_task.clone(),
        long_brief: workflow.original_task.len() > 600,
        qa_enabled: workflow.qa_enabled,
        round: workflow.steps.iter().map(|s| s.round).max().unwrap_or(1),
        most_rounds: workflow.max_revisions.saturating_add(1),
        template: workflow.template.clone(),
        over: workflow.is_over(),
        completed_at: workflow.completed_at.map(|t| iso::format(&t)),
        error: workflow.error.clone(),
        actions: WorkflowActions::of(&workflow),
        forkable: forkable(&workflow),
        forked_from: workflow.forked_from.clone(),
        forks: workflow.forks.clone(),
        pause: workflow.pause.as_ref().map(|pause| pause.detail.clone()),
        budget: workflow.budget.as_ref().map(BudgetView::new),
        announce: format!("{}: {} of {} steps. {}", row.status, row.done, row.total, row.now),
        report,
        steps: steps(&workflow, &calls, &partials, now),
        events,
        row,
    };
    let shell = Shell::new(&state, &visitor, "Workflows", page.row.title.clone());
    let stream = format!("/dashboard/workflows/{}/events?after={last_event}", segment(&page.row.id));
    let shell = if page.over { shell } else { shell.live(LIVE).events(stream) };
    answer(StatusCode::OK, "workflow.html", &shell, &page)
}

/// The report is the output of one job: in the journal of its calls, else in its result.
async fn report(state: &HttpState, workflow: &Workflow, calls: &[Call]) -> Option<Report> {
    let job_id = workflow.report_job_id.clone()?;
    let agent = workflow.step(&job_id)?.agent.clone();
    if let Ok(result) = state.services.results.get(&job_id).await {
        return Some(Report { job_id, agent, simulated: result.simulated, text: result.output });
    }
    let call = calls.iter().filter(|c| c.job_id == job_id).max_by_key(|c| c.number);
    let (text, simulated) = match call {
        Some(call) => (call.answer.clone(), call.simulated),
        None => (workflow.step(&job_id)?.output.clone()?, workflow.simulated),
    };
    Some(Report { job_id, agent, text, simulated })
}

#[derive(Serialize)]
struct BriefPage {
    form: BriefForm,
    agents: Vec<AgentChoice>,
}

pub async fn submit(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let Posted { visitor, fields } = posted;
    let mut form = BriefForm::read(&fields);
    form.problems = match form.order() {
        Ok(order) => match state.services.workflows.start(order).await {
            Ok(workflow) => {
                return Ok(see_other(&format!("/dashboard/workflows/{}", segment(&workflow.workflow_id))));
            }
            Err(error) if service_status(&error).is_client_error() => problems_of(&error),
            Err(error) => return Err(error.into()),
        },
        Err(problems) => problems,
    };
    let agents = state.services.agents.list().await?;
    let page = BriefPage { agents: form.choices(&agents), form };
    let shell = Shell::new(&state, &visitor, "Overview", "New brief");
    answer(StatusCode::UNPROCESSABLE_ENTITY, "brief.html", &shell, &page)
}
