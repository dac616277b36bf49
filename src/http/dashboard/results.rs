//! Results: found by filters, kept, let go, and each with all that is known of it.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::{Posted, Visitor},
    notice::see_other_saying,
    page::{IDLE, PageError, Shell, answer, builder},
    step_view::{VerdictView, title_of},
    workflows::PAGE,
};
use crate::{
    http::{
        HttpState,
        api::results::filter,
        extract::query_value,
        markdown,
        render::{first_line, segment},
        session,
    },
    model::{Attempt, JobResult, Scope, Usage, iso},
    service::{ResultFilter, ServiceError, exports::Format},
    store::Cursor,
};

const LIST: &str = "/dashboard/results";

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
    pinned: bool,
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
            pinned: result.pinned,
        }
    }
}

/// The filters as they were asked for.
#[derive(Serialize)]
struct Filters {
    agent: String,
    status: String,
    workflow_id: String,
    q: String,
    since: String,
    until: String,
    /// Whether there is any.
    any: bool,
    /// What is wrong with them.
    problems: Vec<String>,
}

impl Filters {
    fn read(request: &HttpRequest) -> Self {
        let value = |name| query_value(request, name).unwrap_or_default();
        // The form that a field for times takes; what is no time stays as it is.
        let time = |name| {
            let text = value(name);
            iso::parse(&text).map_or(text, |at| at.format("%Y-%m-%dT%H:%M").to_string())
        };
        Self {
            agent: value("agent"),
            status: value("status"),
            workflow_id: value("workflow_id"),
            q: value("q"),
            since: time("since"),
            until: time("until"),
            any: !filter::again(request).is_empty(),
            problems: Vec::new(),
        }
    }
}

/// A link to a file.
#[derive(Serialize)]
struct ExportLink {
    href: String,
    label: &'static str,
}

fn exports(path: &str, query: &str) -> Vec<ExportLink> {
    let mark = if query.is_empty() { "" } else { "?" };
    let link = |format: Format| ExportLink {
        href: format!("{path}/export/{}{mark}{query}", format.extension()),
        label: format.extension(),
    };
    Format::ALL.map(link).into()
}

#[derive(Serialize)]
struct ResultsPage {
    rows: Vec<ResultRow>,
    shown: usize,
    total: Option<u64>,
    newest: Option<String>,
    older: Option<String>,
    filters: Filters,
    agents: Vec<String>,
    exports: Vec<ExportLink>,
    /// The address of this page, for its forms to come back to.
    here: String,
}

/// How many results a page looks at in a search, so that it comes at once; the next page goes on.
const LOOK_AT: usize = 300;

pub async fn list(
    visitor: Visitor,
    request: HttpRequest,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, PageError> {
    let mut filters = Filters::read(&request);
    let mut wanted = filter::read(&request).unwrap_or_else(|errors| {
        filters.problems = errors.into_iter().map(|error| error.msg).collect();
        ResultFilter::default()
    });
    wanted.look_at = Some(LOOK_AT);
    let good = filters.problems.is_empty();
    let query = filter::again(&request);
    let after = query_value(&request, "after").filter(|after| !after.is_empty());
    let found = match good {
        true => Some(state.services.results.list(&wanted, PAGE, after.clone().map(Cursor)).await?),
        false => None,
    };
    let with = |more: Option<&str>| {
        let more = more.map(|cursor| format!("after={}", segment(cursor)));
        let parts = [Some(query.clone()).filter(|query| !query.is_empty()), more];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { LIST.to_owned() } else { format!("{LIST}?{}", parts.join("&")) }
    };
    let rows: Vec<ResultRow> =
        found.as_ref().map(|found| found.items.iter().map(ResultRow::new).collect()).unwrap_or_default();
    let page = ResultsPage {
        shown: rows.len(),
        rows,
        total: found.as_ref().and_then(|found| found.total),
        newest: after.as_ref().map(|_| with(None)),
        older: found.as_ref().and_then(|found| found.next.as_ref()).map(|next| with(Some(&next.0))),
        here: with(after.as_deref()),
        agents: state.services.agents.list().await?.into_iter().map(|agent| agent.name).collect(),
        exports: if good { exports(LIST, &query) } else { Vec::new() },
        filters,
    };
    let status = if good { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let shell = Shell::new(&state, &visitor, "Results", "Results").live(IDLE);
    answer(status, "results.html", &shell, &page)
}

#[derive(Serialize)]
struct AttemptView {
    number: u32,
    worker: String,
    started_at: String,
    seconds: Option<f64>,
    outcome: String,
    error: Option<String>,
}

impl AttemptView {
    fn new(attempt: &Attempt) -> Self {
        let seconds =
            |end: crate::model::Timestamp| (end - attempt.started_at).num_milliseconds() as f64 / 1_000.0;
        Self {
            number: attempt.number,
            worker: attempt.worker.clone(),
            started_at: iso::format(&attempt.started_at),
            seconds: attempt.ended_at.map(seconds),
            outcome: attempt.outcome.map_or_else(
                || "running".to_owned(),
                |outcome| {
                    serde_json::to_value(outcome)
                        .ok()
                        .and_then(|v| v.as_str().map(str::to_owned))
                        .unwrap_or_default()
                },
            ),
            error: attempt.error.clone(),
        }
    }
}

#[derive(Serialize)]
struct ResultPage {
    row: ResultRow,
    workflow_id: Option<String>,
    role: Option<String>,
    reviewed_by: Option<String>,
    task: Option<String>,
    output: String,
    /// Whether the rendered text ends before the output does.
    long: bool,
    error: Option<String>,
    verdict: Option<VerdictView>,
    model: Option<String>,
    usage: Option<Usage>,
    cost: Option<String>,
    attempts: u32,
    tries: Vec<AttemptView>,
    truncated: bool,
    expires_at: Option<String>,
    /// The upload that was analysed, or whose files its agent could read.
    upload: Option<String>,
    findings: Option<super::upload_view::FindingsView>,
    source: String,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    job_id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let services = &state.services;
    let result = services.results.get(&job_id).await?;
    // A foreign result has no job, and an old job is gone before its pinned result.
    let job = match services.jobs.get(&job_id).await {
        Ok(story) => Some(story.job),
        Err(ServiceError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let upload = match job.as_ref().and_then(|job| job.upload_id.as_deref()) {
        Some(id) => match services.uploads.detail(id).await {
            Ok(detail) => Some(detail),
            Err(ServiceError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let analysed =
        upload.as_ref().filter(|detail| detail.upload.job_id.as_deref() == Some(result.job_id.as_str()));
    let (source, long) = markdown::shorten(&result.output);
    let page = ResultPage {
        row: ResultRow::new(&result),
        verdict: result.verdict.as_ref().map(VerdictView::new),
        expires_at: result.expires_at.filter(|_| !result.pinned).map(|t| iso::format(&t)),
        findings: analysed
            .and_then(|detail| detail.analysis.as_ref())
            .map(super::upload_view::FindingsView::new),
        upload: upload.as_ref().map(|detail| detail.upload.upload_id.clone()),
        source: source.to_owned(),
        long,
        workflow_id: result.workflow_id,
        role: result.role,
        reviewed_by: result.reviewed_by,
        task: result.task,
        output: result.output,
        error: result.error,
        model: result.model,
        usage: result.usage,
        cost: result.cost_usd.map(|usd| usd.to_string()),
        attempts: result.attempts,
        tries: job.map(|job| job.attempts.iter().map(AttemptView::new).collect()).unwrap_or_default(),
        truncated: result.truncated,
    };
    let shell = Shell::new(&state, &visitor, "Results", page.row.title.clone());
    answer(StatusCode::OK, "result.html", &shell, &page)
}

/// The document as it is stored.
pub async fn raw(
    _visitor: Visitor,
    state: web::Data<HttpState>,
    job_id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let result = state.services.results.get(&job_id).await?;
    let text = serde_json::to_string_pretty(&result).map_err(|e| ServiceError::Damaged(e.to_string()))?;
    Ok(builder(StatusCode::OK).content_type("application/json").body(text))
}

/// Pins, unpins or deletes a result.
pub async fn change(
    state: web::Data<HttpState>,
    path: web::Path<(String, String)>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    let (job_id, verb) = path.into_inner();
    if verb == "delete" {
        posted.visitor.require(Scope::Admin)?;
    }
    let results = &state.services.results;
    let own = format!("{LIST}/{}", segment(&job_id));
    // Back to the list that the form was in, with its filters.
    let back = posted.field("back");
    let back = if session::safe_next(back) == back && back.starts_with(LIST) { back } else { LIST };
    let from_list = !posted.field("back").is_empty();
    let to = if from_list { back } else { &own };
    match verb.as_str() {
        "pin" => {
            results.pin(&job_id, true).await?;
            Ok(see_other_saying(to, "result-pinned", None))
        }
        "unpin" => {
            results.pin(&job_id, false).await?;
            Ok(see_other_saying(to, "result-unpinned", None))
        }
        "delete" => match results.delete(&job_id).await {
            // Twice is once.
            Ok(()) | Err(ServiceError::NotFound(_)) => Ok(see_other_saying(back, "result-deleted", None)),
            Err(error) => Err(error.into()),
        },
        _ => Err(PageError::NotFound("There is no such page.".to_owned())),
    }
}
