//! Results: the list and one.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::Visitor,
    list_page::ListPage,
    page::{IDLE, PageError, Shell, answer},
    step_view::{VerdictView, title_of},
    workflows::{Listed, PAGE},
};
use crate::{
    http::{HttpState, render::first_line},
    model::{JobResult, Usage, iso},
    service::{Listing, ResultFilter},
    store::Cursor,
};

#[derive(Serialize)]
struct ResultRow {
    job_id: String,
    title: String,
    status: &'static str,
    step: String,
    round: u32,
    agent: String,
    score: Option<f64>,
    seconds: f64,
    at: String,
    simulated: bool,
}

impl ResultRow {
    fn new(result: &JobResult) -> Self {
        Self {
            job_id: result.job_id.clone(),
            title: first_line(result.task.as_deref().unwrap_or(&result.job_id)),
            status: result.status.as_str(),
            step: result.step.as_deref().map_or_else(|| "Task".to_owned(), title_of),
            round: result.round.unwrap_or(1),
            agent: result.agent.clone(),
            score: result.confidence_score,
            seconds: result.execution_time,
            at: iso::format(&result.completed_at.unwrap_or(result.timestamp)),
            simulated: result.simulated,
        }
    }
}

pub async fn list(
    visitor: Visitor,
    state: web::Data<HttpState>,
    query: web::Query<Listed>,
) -> Result<HttpResponse, PageError> {
    let after = query.after.clone().map(Cursor);
    let found = state.services.results.list(&ResultFilter::default(), PAGE, after).await?;
    let listing = Listing { items: found.items, next: found.next, total: found.total.unwrap_or_default() };
    let page = ListPage::new("/dashboard/results", query.after.as_deref(), &listing, ResultRow::new);
    let shell = Shell::new(&state, &visitor, "Results", "Results").live(IDLE);
    answer(StatusCode::OK, "results.html", &shell, &page)
}

#[derive(Serialize)]
struct ResultPage {
    row: ResultRow,
    workflow_id: Option<String>,
    role: Option<String>,
    reviewed_by: Option<String>,
    task: Option<String>,
    output: String,
    error: Option<String>,
    verdict: Option<VerdictView>,
    model: Option<String>,
    usage: Option<Usage>,
    attempts: u32,
    expires_at: Option<String>,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    job_id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let result = state.services.results.get(&job_id).await?;
    let page = ResultPage {
        row: ResultRow::new(&result),
        verdict: result.verdict.as_ref().map(VerdictView::new),
        expires_at: result.expires_at.map(|t| iso::format(&t)),
        workflow_id: result.workflow_id,
        role: result.role,
        reviewed_by: result.reviewed_by,
        task: result.task,
        output: result.output,
        error: result.error,
        model: result.model,
        usage: result.usage,
        attempts: result.attempts,
    };
    let shell = Shell::new(&state, &visitor, "Results", page.row.title.clone());
    answer(StatusCode::OK, "result.html", &shell, &page)
}
