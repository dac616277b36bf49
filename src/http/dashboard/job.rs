//! One job: its story, and what can be done to it.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    access::{Posted, Visitor, now},
    attempts::{Timeline, class_word},
    job_line::{dead_word, kind_of, priority_word},
    jobs::is_correctable,
    notice::see_other_saying,
    page::{LIVE, PageError, Shell, answer, problems_of},
    workflow_view::seconds_between,
};
use crate::{
    http::{
        HttpState,
        render::{first_line, segment},
    },
    model::{DeadReason, JobMode, JobState, Workflow, WorkflowStatus, is_valid_id, iso},
    service::{ServiceError, jobs::JobStory},
};

/// The most characters of a payload that are shown.
const MAX_PAYLOAD_CHARS: usize = 20_000;

/// Why the payload of a dead job is what it is.
#[derive(Serialize)]
struct DeadView {
    reason: &'static str,
    error: String,
    died_at: String,
}

#[derive(Serialize)]
struct JobPage {
    id: String,
    title: String,
    task: String,
    state: &'static str,
    kind: String,
    agent: String,
    priority: &'static str,
    queue: &'static str,
    why: Option<String>,
    error: Option<String>,
    /// What the last failed attempt failed of.
    class: Option<&'static str>,
    foreign: bool,
    created_at: String,
    due_at: Option<String>,
    ended_at: Option<String>,
    /// From its making to its end, or until now.
    seconds: f64,
    replays: usize,
    workflow_id: Option<String>,
    parent_job_id: Option<String>,
    upload_id: Option<String>,
    has_result: bool,
    dead: Option<DeadView>,
    timeline: Option<Timeline>,
    payload: String,
    payload_is_cut: bool,
    /// Its bytes are no text, so they are shown in base64.
    payload_base64: bool,
    can_cancel: bool,
    cancels_workflow: bool,
    can_retry: bool,
    can_delete: bool,
    /// Why it can be neither retried nor deleted now, where that is not plain.
    bound: Option<String>,
    /// Its payload cannot be run: the form for another one.
    mend: Option<MendForm>,
}

#[derive(Serialize)]
struct MendForm {
    payload: String,
    problems: Vec<String>,
}

pub async fn show(
    visitor: Visitor,
    state: web::Data<HttpState>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    page(&state, &visitor, &id, None).await
}

/// The page, with what was typed into its form and what is wrong with that.
async fn page(
    state: &HttpState,
    visitor: &Visitor,
    id: &str,
    typed: Option<MendForm>,
) -> Result<HttpResponse, PageError> {
    known(id)?;
    let story = state.services.jobs.get(id).await?;
    let workflow = match (&story.job.mode, &story.job.workflow_id) {
        (JobMode::Step, Some(workflow)) => state.services.workflows.get(workflow).await.ok(),
        _ => None,
    };
    let status = if typed.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let live = !story.job.state.is_terminal();
    let page = view(state, story, workflow.as_ref(), typed);
    let shell = Shell::new(state, visitor, "Jobs", page.title.clone());
    let shell = if live && status == StatusCode::OK { shell.live(LIVE) } else { shell };
    answer(status, "job.html", &shell, &page)
}

fn view(state: &HttpState, story: JobStory, workflow: Option<&Workflow>, typed: Option<MendForm>) -> JobPage {
    let now = now(state);
    let JobStory { job, waits_because, queue, payload, result, dead } = story;
    let failed = job.state == JobState::Failed;
    let unreadable = dead.as_ref().is_some_and(|dead| dead.reason == DeadReason::Unreadable);
    let ended = job.state.is_terminal();
    let base64 = dead.as_ref().and_then(|dead| dead.payload_base64.clone());
    let raw = dead.as_ref().and_then(|dead| dead.payload_text.clone()).or_else(|| base64.clone());
    let payload = raw.unwrap_or_else(|| match payload {
        Value::String(text) => text,
        json => serde_json::to_string_pretty(&json).unwrap_or_default(),
    });
    // A step belongs to its workflow: it is retried when that has failed, and deleted when that is over.
    let over = workflow.is_none_or(Workflow::is_over);
    let workflow = workflow.map(|workflow| workflow.status);
    let can_retry = failed && !unreadable && workflow.is_none_or(|s| s == WorkflowStatus::Failed);
    let bound = match workflow {
        Some(status) if ended && !over => {
            Some(format!("It is a step of a workflow that is {}: it is kept for it.", status.as_str()))
        }
        Some(status) if failed && !can_retry => {
            Some(format!("Its workflow is {}: this step cannot be tried again.", status.as_str()))
        }
        _ => None,
    };
    let mend = (failed && unreadable).then(|| {
        let payload =
            if base64.is_some() { String::new() } else { payload.chars().take(MAX_PAYLOAD_CHARS).collect() };
        typed.unwrap_or(MendForm { payload, problems: Vec::new() })
    });
    let title =
        if job.task.trim().is_empty() { format!("Job {}", job.job_id) } else { first_line(&job.task) };
    JobPage {
        title,
        state: job.state.as_str(),
        kind: kind_of(job.mode, job.step.as_deref(), job.round),
        priority: priority_word(job.priority),
        queue,
        why: waits_because,
        class: job
            .attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.class)
            .map(class_word)
            .filter(|_| !ended || failed),
        foreign: job.foreign,
        created_at: iso::format(&job.created_at),
        due_at: job.due_at.map(|at| iso::format(&at)),
        ended_at: job.ended_at.map(|at| iso::format(&at)),
        seconds: seconds_between(job.created_at, job.ended_at.unwrap_or(now)),
        replays: job.replays.len(),
        has_result: result.is_some(),
        dead: dead.map(|dead| DeadView {
            reason: dead_word(dead.reason),
            error: dead.error,
            died_at: iso::format(&dead.died_at),
        }),
        timeline: Timeline::new(&job, now),
        payload_is_cut: payload.chars().count() > MAX_PAYLOAD_CHARS,
        payload: payload.chars().take(MAX_PAYLOAD_CHARS).collect(),
        payload_base64: base64.is_some(),
        can_cancel: !ended,
        cancels_workflow: workflow.is_some(),
        can_retry,
        can_delete: ended && over,
        bound,
        mend,
        workflow_id: job.workflow_id,
        parent_job_id: job.parent_job_id,
        upload_id: job.upload_id,
        id: job.job_id,
        task: job.task,
        agent: job.agent,
        error: job.error,
    }
}

fn known(id: &str) -> Result<(), PageError> {
    if is_valid_id(id) { Ok(()) } else { Err(PageError::NotFound("There is no such job.".to_owned())) }
}

fn path_of(id: &str) -> String {
    format!("/dashboard/jobs/{}", segment(id))
}

pub async fn cancel(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    known(&id)?;
    let reason = Some(posted.field("reason")).filter(|reason| !reason.trim().is_empty());
    state.services.jobs.cancel(&id, reason).await?;
    Ok(see_other_saying(&path_of(&id), "job-cancelled", None))
}

pub async fn retry(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    known(&id)?;
    let is_typed = posted.fields.iter().any(|(name, _)| name == "payload");
    let typed = posted.field("payload").replace("\r\n", "\n");
    let payload = if is_typed { parse(&typed).map(Some) } else { Ok(None) };
    let problems = match payload {
        Ok(payload) => match state.services.jobs.retry(&id, payload).await {
            Ok(_) => return Ok(see_other_saying(&path_of(&id), "job-retried", None)),
            Err(error) if is_typed && is_correctable(&error) => problems_of(&error),
            Err(error) => return Err(error.into()),
        },
        Err(problem) => vec![problem],
    };
    page(&state, &posted.visitor, &id, Some(MendForm { payload: typed, problems })).await
}

/// A payload as it was typed.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("It has to be a JSON object: {\"job\": \"…\"}.".to_owned()),
        Err(e) => Err(format!("It is not JSON: {e}.")),
    }
}

pub async fn delete(
    state: web::Data<HttpState>,
    id: web::Path<String>,
    posted: Posted,
) -> Result<HttpResponse, PageError> {
    known(&id)?;
    match state.services.jobs.delete(&id, posted.field("result") == "true").await {
        // Deleted twice is deleted.
        Ok(()) | Err(ServiceError::NotFound(_)) => {
            Ok(see_other_saying("/dashboard/jobs", "job-deleted", None))
        }
        Err(error) => Err(error.into()),
    }
}
