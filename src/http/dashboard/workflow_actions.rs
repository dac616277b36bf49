//! What a visitor can do to a workflow: the buttons, and where they lead.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};

use super::{
    access::{Posted, Visitor},
    form_fields::field,
    notice::see_other_saying,
    page::{PageError, Shell, answer, problems_of, see_other, service_status},
    step_view::title_of,
};
use crate::{
    http::{HttpState, error::Problem, render::segment, sse},
    model::{Budget, DecisionOutcome, PauseReason, Scope, Step, TemplateRole, Usd, Workflow, WorkflowStatus},
    service::{
        ServiceError,
        live::Since,
        workflows::{ForkPreview, MAX_COMMENT_CHARS, MAX_OUTPUT_CHARS, MAX_TOKENS, MAX_USD, WorkflowAction},
    },
};

/// Which buttons a workflow has now.
#[derive(Debug, Serialize)]
pub struct WorkflowActions {
    id: String,
    /// It waits for a person's word.
    decide: bool,
    pause: bool,
    resume: bool,
    cancel: bool,
    retry: bool,
    delete: bool,
    /// It waits for its budget to be raised, or may still be given one.
    budget: bool,
    budget_first: bool,
    tokens: Option<u64>,
    usd: Option<String>,
    most_comment: usize,
}

impl WorkflowActions {
    pub fn of(workflow: &Workflow) -> Self {
        let status = workflow.status;
        Self {
            id: workflow.workflow_id.clone(),
            decide: workflow.waits_for(PauseReason::Approval),
            pause: status == WorkflowStatus::Running,
            resume: workflow.waits_for(PauseReason::Requested),
            cancel: !workflow.is_over(),
            retry: status == WorkflowStatus::Failed,
            delete: workflow.is_over(),
            budget: !workflow.is_over(),
            budget_first: workflow.waits_for(PauseReason::BudgetExceeded),
            tokens: workflow.budget.and_then(|b| b.tokens),
            usd: workflow
                .budget
                .and_then(|b| b.usd)
                .map(|usd| usd.to_string().trim_start_matches('$').to_owned()),
            most_comment: MAX_COMMENT_CHARS,
        }
    }
}

fn page_of(id: &str) -> String {
    format!("/dashboard/workflows/{}", segment(id))
}

/// One button of one workflow.
pub async fn act(
    state: web::Data<HttpState>,
    path: web::Path<(String, String)>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    let (id, action) = path.into_inner();
    if matches!(action.as_str(), "budget" | "delete") {
        posted.visitor.require(Scope::Admin)?;
    }
    let workflows = &state.services.workflows;
    let given = |name: &str| Some(posted.field(name).replace("\r\n", "\n")).filter(|t| !t.trim().is_empty());
    let said = match action.as_str() {
        "pause" => workflows.pause(&id, given("reason").as_deref()).await.map(|_| "workflow-paused"),
        "resume" => workflows.resume(&id).await.map(|_| "workflow-resumed"),
        "cancel" => workflows.cancel(&id, given("reason").as_deref()).await.map(|_| "workflow-cancelled"),
        "retry" => workflows.retry(&id).await.map(|_| "workflow-retried"),
        "decide" => {
            let (outcome, said) = match posted.field("outcome") {
                "approve" => (DecisionOutcome::Approved, "work-approved"),
                "send_back" => (DecisionOutcome::SentBack, "work-sent-back"),
                "reject" => (DecisionOutcome::Rejected, "work-rejected"),
                _ => return Err(unreadable("Say approve, send_back or reject.")),
            };
            workflows.decide(&id, outcome, given("comment").as_deref()).await.map(|_| said)
        }
        "budget" => workflows.set_budget(&id, budget(&posted)?).await.map(|_| "budget-set"),
        "delete" => {
            workflows.delete(&id).await?;
            return Ok(see_other_saying("/dashboard/workflows", "workflow-deleted", None));
        }
        _ => return Err(PageError::NotFound("There is no such action.".to_owned())),
    };
    Ok(see_other_saying(&page_of(&id), said?, None))
}

fn unreadable(why: &str) -> PageError {
    PageError::BadRequest(StatusCode::UNPROCESSABLE_ENTITY, why.to_owned())
}

/// The budget of a form; empty fields set no limit.
fn budget(posted: &Posted) -> Result<Budget, PageError> {
    let (tokens, usd) = (posted.field("tokens").trim(), posted.field("usd").trim());
    let tokens = match tokens {
        "" => None,
        text => Some(text.parse::<u64>().ok().filter(|n| (1..=MAX_TOKENS).contains(n)).ok_or_else(|| {
            unreadable(&format!("Tokens: a whole number from 1 to {MAX_TOKENS}, or nothing."))
        })?),
    };
    let usd = match usd {
        "" => None,
        text => {
            let number = text.parse::<f64>().ok().filter(|n| *n > 0.0 && *n <= MAX_USD as f64);
            let usd = number.and_then(Usd::from_dollars);
            Some(usd.ok_or_else(|| unreadable(&format!("Dollars: a number up to {MAX_USD}, or nothing.")))?)
        }
    };
    Ok(Budget { tokens, usd })
}

/// The ticked rows of a list.
pub async fn bulk(state: web::Data<HttpState>, posted: Posted) -> Result<HttpResponse, PageError> {
    let ids = posted.all("id");
    let (action, said) = match posted.field("action") {
        "pause" => (WorkflowAction::Pause, "workflow-paused"),
        "resume" => (WorkflowAction::Resume, "workflow-resumed"),
        "cancel" => (WorkflowAction::Cancel, "workflow-cancelled"),
        "retry" => (WorkflowAction::Retry, "workflow-retried"),
        "delete" => (WorkflowAction::Delete, "workflow-deleted"),
        _ => return Err(unreadable("Say pause, resume, cancel, retry or delete.")),
    };
    if action == WorkflowAction::Delete {
        posted.visitor.require(Scope::Admin)?;
    }
    let back = super::workflows::list_path(posted.field("status"), posted.field("q"));
    if ids.is_empty() {
        return Ok(see_other_saying(&back, "nothing-chosen", None));
    }
    let report = state.services.workflows.bulk(action, &ids, None).await?;
    Ok(match report.done {
        0 => see_other_saying(&back, "nothing-done", None),
        done => see_other_saying(&back, said, Some(done as u64)),
    })
}

#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    from: String,
}

/// A step that follows, and so runs again.
#[derive(Serialize)]
struct Follower {
    title: String,
    round: u32,
    agent: String,
}

#[derive(Serialize)]
struct ForkPage {
    id: String,
    back: String,
    brief: String,
    from: String,
    title: String,
    round: u32,
    agent: String,
    /// A person's gate has no output that could be edited.
    editable: bool,
    output: String,
    most: usize,
    kept: Vec<Follower>,
    again: Vec<Follower>,
    problems: Vec<String>,
}

/// The page on which an output is edited.
pub async fn show_fork(
    visitor: Visitor,
    state: web::Data<HttpState>,
    id: web::Path<String>,
    query: web::Query<From>,
) -> Result<HttpResponse, PageError> {
    fork_page(&visitor, &state, &id, &query.from, None, StatusCode::OK, Vec::new()).await
}

async fn fork_page(
    visitor: &Visitor,
    state: &HttpState,
    id: &str,
    from: &str,
    typed: Option<String>,
    status: StatusCode,
    problems: Vec<String>,
) -> Result<HttpResponse, PageError> {
    let ForkPreview { workflow, step, output, planned } =
        state.services.workflows.preview_fork(id, from).await?;
    let output = typed.unwrap_or(output);
    let (kept, again): (Vec<_>, Vec<_>) = planned.steps.iter().partition(|s| s.from_workflow.is_some());
    let followers = |steps: Vec<&Step>| {
        let follower =
            |s: &Step| Follower { title: title_of(&s.step), round: s.round, agent: s.agent.clone() };
        steps.into_iter().map(follower).collect::<Vec<_>>()
    };
    let page = ForkPage {
        id: id.to_owned(),
        back: page_of(id),
        brief: crate::http::render::first_line(&workflow.original_task),
        from: step.job_id.clone(),
        title: title_of(&step.step),
        round: step.round,
        agent: step.agent.clone(),
        editable: step.role != TemplateRole::Approval,
        output,
        most: MAX_OUTPUT_CHARS,
        kept: followers(kept),
        again: followers(again),
        problems,
    };
    let shell = Shell::new(state, visitor, "Workflows", "Go on from a step");
    answer(status, "fork.html", &shell, &page)
}

/// The new workflow, and the way to it.
pub async fn fork(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    let from = posted.field("from").to_owned();
    let typed = posted.field("output").replace("\r\n", "\n");
    let edited = (field(&posted.fields, "how") == "edit").then_some(typed.as_str());
    match state.services.workflows.fork(&id, &from, edited, posted.visitor.caller.name()).await {
        Ok(fork) => Ok(see_other(&page_of(&fork.workflow_id))),
        Err(error @ ServiceError::Invalid(_)) => {
            let status = service_status(&error);
            fork_page(&posted.visitor, &state, &id, &from, Some(typed), status, problems_of(&error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The events of one workflow, for its page.
pub async fn events(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let since = sse::since(&request, Since::After(0)).map_err(refused)?;
    sse::answer(&request, state.services.live.workflow(&id, since).await?).map_err(refused)
}

/// The events of all workflows, for the pages that show them.
pub async fn all_events(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let since = sse::since(&request, Since::Now).map_err(refused)?;
    sse::answer(&request, state.services.live.all(since).await?).map_err(refused)
}

fn refused(problem: Problem) -> PageError {
    let status = actix_web::ResponseError::status_code(&problem);
    PageError::BadRequest(status, problem.to_string())
}
