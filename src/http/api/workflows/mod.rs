//! Workflows: start, list, show, and the model calls of one. What people do to one is in `control`, to many in `bulk`.

pub mod bulk;
pub mod control;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::api::{Answer, answered};
use crate::{
    http::{
        HttpState,
        caller::Caller,
        error::{FieldError, Problem},
        extract::{Body, Idempotency, Paging, RequestBody, known_form, query_value, seal_cursor},
        fields::{Field, PRIORITIES, Shape},
    },
    model::{Budget, Call, MAX_REVISIONS, Workflow, WorkflowStatus},
    service::{
        idempotency::Answered,
        schedule::{MAX_DELAY_SECONDS, MAX_TIMEOUT_SECONDS},
        workflows::{MAX_SEARCH_CHARS, MAX_TOKENS, MAX_USD, NewWorkflow, WorkflowFilter, WorkflowReceipt},
    },
};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 500;

/// The fields of a budget.
const BUDGET: &[Field] = &[
    Field::optional("tokens", Shape::Range(1, MAX_TOKENS)),
    Field::optional("usd", Shape::Dollars(MAX_USD)),
];

impl RequestBody for Budget {
    const FIELDS: &'static [Field] = BUDGET;
}

impl RequestBody for NewWorkflow {
    const FIELDS: &'static [Field] = &[
        Field::required("job", Shape::Text),
        Field::optional("agent_name", Shape::Text),
        Field::optional("priority", PRIORITIES),
        Field::optional("requires_qa", Shape::Flag),
        Field::optional("template", Shape::Text),
        Field::optional("specialists", Shape::Texts),
        Field::optional("max_revisions", Shape::Whole(MAX_REVISIONS as u64)),
        Field::optional("run_at", Shape::Text),
        Field::optional("delay_seconds", Shape::Seconds(MAX_DELAY_SECONDS)),
        Field::optional("step_timeout_seconds", Shape::Range(1, MAX_TIMEOUT_SECONDS as u64)),
        Field::optional("metadata", Shape::Object),
        Field::optional("budget", Shape::Parts(BUDGET)),
        Field::optional("upload_id", Shape::Text),
        Field::optional("approval", Shape::Flag),
        Field::optional("callback_url", Shape::Text),
    ];
}

/// Start a workflow
///
/// A brief becomes a chain of steps: admin analysis and specialist work, with `requires_qa` also
/// QA, its revisions and a closing report. When this answers, the workflow and its first job are durable.
#[utoipa::path(
    post,
    path = "/orchestrate",
    tag = "workflows",
    operation_id = "start_workflow",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        description = "1 to 255 visible ASCII characters of your choice. A request that is sent again with the \
            same key has no second effect and gets the same answer; another request with a used key gets 422")),
    request_body(content = NewWorkflow, description = "The brief", content_type = "application/json"),
    responses((status = 200, description = "Accepted", body = WorkflowReceipt,
        headers(("Idempotency-Replayed" = bool, description = "true when an earlier request with this key made it")),
        example = json!({
        "status": "orchestrated", "workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "steps": [
            {"step": "admin_analysis", "agent": "general_assistant",
                "job_id": "b6132eff-0a0c-5a0e-9d0e-0b1c7a3b7b1a", "status": "queued"},
            {"step": "specialist_execution", "agent": "debugger_bot",
                "job_id": "0a837ed2-52f5-5d55-b1a7-d0b7ddc3a5f2", "status": "queued",
                "depends_on": "b6132eff-0a0c-5a0e-9d0e-0b1c7a3b7b1a"}],
        "estimated_completion": "1-3 minutes", "qa_chain_enabled": false, "simulated": false})))
)]
pub async fn start(
    state: Data<HttpState>,
    caller: Caller,
    key: Idempotency,
    body: Body<NewWorkflow>,
) -> Result<HttpResponse, Problem> {
    let workflows = &state.services.workflows;
    let Answered { answer, replayed } = workflows.start_once(body.0, key.0.as_ref(), caller.name()).await?;
    Ok(answered(&Answered { answer: workflows.receipt(&answer), replayed }))
}

/// A page of workflows, sorted into what they have come to.
#[derive(Serialize, ToSchema)]
pub struct WorkflowPage {
    /// How many are in this answer.
    total_workflows: usize,
    /// Those that run or are paused.
    active: Vec<Workflow>,
    completed: Vec<Workflow>,
    failed: Vec<Workflow>,
    cancelled: Vec<Workflow>,
    /// How many workflows there are in all, or with `status` in that state; null for a search, which does not count.
    total: Option<u64>,
    /// The `cursor` of the next page; null when this is the last one.
    next_cursor: Option<String>,
}

/// The newest workflows
///
/// The newest `limit` workflows, sorted into `active`, `completed`, `failed` and `cancelled`, newest first in each. A
/// search looks at 1,000 workflows for one page at the most, which may then be short although `next_cursor` leads on.
#[utoipa::path(
    get,
    path = "/workflows",
    tag = "workflows",
    operation_id = "list_workflows",
    params(
        ("limit" = Option<usize>, Query, description = "How many, 1 to 500", minimum = 1, maximum = 500, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("status" = Option<String>, Query,
            description = "`running`, `paused`, `completed`, `failed` or `cancelled`", example = "running"),
        ("q" = Option<String>, Query,
            description = "Words that all stand in the brief, the error or an agent's name", example = "login"),
    ),
    responses((status = 200, description = "The workflows", body = WorkflowPage, example = json!({
        "total_workflows": 1, "active": [{"workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea",
            "original_task": "Fix the login bug", "steps": [], "status": "running", "qa_enabled": true,
            "created_at": "2026-11-22T10:17:24.738861+00:00"}],
        "completed": [], "failed": [], "cancelled": [], "total": 1, "next_cursor": null})))
)]
pub async fn list(state: Data<HttpState>, req: HttpRequest) -> Answer<WorkflowPage> {
    let Paging { limit, cursor } = Paging::of(&req, DEFAULT_LIMIT, MAX_LIMIT)?;
    let failed = Paging::failed(&cursor);
    let filter = filter(&req)?;
    let listing = state.services.workflows.find(&filter, limit, cursor).await.map_err(failed)?;
    let mut page = WorkflowPage {
        total_workflows: listing.items.len(),
        active: Vec::new(),
        completed: Vec::new(),
        failed: Vec::new(),
        cancelled: Vec::new(),
        total: listing.total,
        next_cursor: listing.next.as_ref().map(seal_cursor),
    };
    for workflow in listing.items {
        match workflow.status {
            WorkflowStatus::Running | WorkflowStatus::Paused => page.active.push(workflow),
            WorkflowStatus::Completed => page.completed.push(workflow),
            WorkflowStatus::Failed => page.failed.push(workflow),
            WorkflowStatus::Cancelled => page.cancelled.push(workflow),
        }
    }
    Ok(Json(page))
}

/// The filters of a query; every bad one is named. An empty value is none.
fn filter(req: &HttpRequest) -> Result<WorkflowFilter, Problem> {
    let value = |name: &str| query_value(req, name).filter(|value| !value.is_empty());
    let mut errors = Vec::new();
    let mut complain = |kind, name: &str, msg: String, input: &str| {
        let loc = vec![json!("query"), json!(name)];
        errors.push(FieldError::new(kind, loc, msg).input(json!(input)));
    };
    let status = value("status").and_then(|text| {
        let known = WorkflowStatus::ALL.into_iter().find(|status| status.as_str() == text);
        if known.is_none() {
            let msg = "Input should be 'running', 'paused', 'completed', 'failed' or 'cancelled'";
            complain("literal_error", "status", msg.to_owned(), &text);
        }
        known
    });
    let search = value("q").unwrap_or_default();
    if search.chars().count() > MAX_SEARCH_CHARS {
        let msg = format!("String should have at most {MAX_SEARCH_CHARS} characters");
        complain("string_too_long", "q", msg, &search);
    }
    match errors.is_empty() {
        true => Ok(WorkflowFilter { status, ..WorkflowFilter::default() }.search(&search)),
        false => Err(Problem::fields(errors)),
    }
}

/// One workflow, wrapped as legacy clients know it.
#[derive(Serialize, ToSchema)]
pub struct OneWorkflow {
    workflow: Workflow,
}

fn unknown() -> String {
    "Workflow not found".to_owned()
}

/// One workflow
///
/// With all its steps and what has become of each.
#[utoipa::path(
    get,
    path = "/workflows/{workflow_id}",
    tag = "workflows",
    operation_id = "get_workflow",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    responses((status = 200, description = "The workflow", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "2859d6e4-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [{"step": "admin_analysis", "agent": "general_assistant",
                "job_id": "cf049ed7-0a0c-5a0e-9d0e-0b1c7a3b7b1a", "status": "completed",
                "output": "first 300 characters…", "execution_time": 0.5, "round": 1, "role": "admin", "attempts": 1}],
            "status": "running", "qa_enabled": true, "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn get(state: Data<HttpState>, id: Path<String>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    Ok(Json(OneWorkflow { workflow: state.services.workflows.get(&id).await? }))
}

/// Set the budget of a workflow
///
/// The most tokens or dollars that it may use from its beginning; what is null or left out is not limited. A
/// workflow that is paused because its budget is used up (`status: "paused"`, `pause.reason:
/// "budget_exceeded"`) goes on at once when there is room. Each call is reserved for before it is made, so
/// a budget is passed by one call at the most.
#[utoipa::path(
    post,
    path = "/workflows/{workflow_id}/budget",
    tag = "workflows",
    operation_id = "set_workflow_budget",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    request_body(content = Budget, description = "The budget", content_type = "application/json"),
    responses((status = 200, description = "It is set", body = OneWorkflow, example = json!({
        "workflow": {"workflow_id": "2859d6e4-5a72-41a3-b5ca-ff78d91023ea", "original_task": "Fix the login bug",
            "steps": [], "status": "running", "qa_enabled": true, "budget": {"tokens": 200000, "usd": 0.5},
            "created_at": "2026-11-22T10:18:25.571038+00:00"}})))
)]
pub async fn set_budget(state: Data<HttpState>, id: Path<String>, body: Body<Budget>) -> Answer<OneWorkflow> {
    known_form(&id, unknown)?;
    Ok(Json(OneWorkflow { workflow: state.services.workflows.set_budget(&id, body.0).await? }))
}

/// One model call with the step it was made for.
#[derive(Serialize, ToSchema)]
pub struct StepCall {
    #[schema(example = "qa_validation")]
    step: String,
    /// The review round; the first is 1.
    round: u32,
    agent: String,
    #[serde(flatten)]
    call: Call,
}

/// The model calls of a workflow.
#[derive(Serialize, ToSchema)]
pub struct WorkflowCalls {
    workflow_id: String,
    /// In the order of the steps.
    calls: Vec<StepCall>,
}

/// The model calls of a workflow
///
/// What every step asked and was answered: the exact prompt, the answer, model, tokens and timing.
#[utoipa::path(
    get,
    path = "/workflows/{workflow_id}/calls",
    tag = "workflows",
    operation_id = "list_workflow_calls",
    params(("workflow_id" = String, Path, description = "The workflow's id",
        example = "76660f75-5a72-41a3-b5ca-ff78d91023ea")),
    responses((status = 200, description = "The calls made so far", body = WorkflowCalls, example = json!({
        "workflow_id": "76660f75-5a72-41a3-b5ca-ff78d91023ea", "calls": [{"step": "admin_analysis", "round": 1,
            "agent": "general_assistant", "job_id": "cf049ed7-0a0c-5a0e-9d0e-0b1c7a3b7b1a", "number": 1,
            "attempt": 1, "provider": "openai", "model": "gpt-4o-mini-2024-07-18", "simulated": false,
            "messages": [{"role": "user", "content": "Fix the login bug"}], "answer": "First …",
            "finish_reason": "stop", "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50,
            "estimated": false}, "duration_ms": 812, "requests": 1,
            "started_at": "2026-11-22T10:18:25.571038+00:00", "ended_at": "2026-11-22T10:18:26.383038+00:00"}]})))
)]
pub async fn calls(state: Data<HttpState>, id: Path<String>) -> Answer<WorkflowCalls> {
    known_form(&id, unknown)?;
    let detail = state.services.workflows.detail(&id).await?;
    let with_step = |call: Call| {
        let step = detail.workflow.step(&call.job_id);
        StepCall {
            step: step.map(|s| s.step.clone()).unwrap_or_default(),
            round: step.map_or(1, |s| s.round),
            agent: step.map(|s| s.agent.clone()).unwrap_or_default(),
            call,
        }
    };
    let calls = detail.calls.into_iter().map(with_step).collect();
    Ok(Json(WorkflowCalls { workflow_id: id.into_inner(), calls }))
}
