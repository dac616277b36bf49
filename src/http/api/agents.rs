//! Agents: list, register, show, delete.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, Pong};
use crate::{
    http::{
        HttpState,
        extract::{Body, RequestBody, known_form},
        fields::{Field, Shape},
    },
    model::{Agent, MAX_CONCURRENCY, NewAgent},
};

impl RequestBody for NewAgent {
    const FIELDS: &'static [Field] = &[
        Field::required("name", Shape::Text),
        Field::required("role", Shape::Text),
        Field::optional("description", Shape::Text),
        Field::defaulted("skills", Shape::Texts),
        Field::defaulted("model", Shape::Text),
        Field::optional("prompt", Shape::Text),
        Field::optional("max_concurrency", Shape::Range(1, MAX_CONCURRENCY as u64)),
        Field::defaulted("fallback_models", Shape::Texts),
        Field::defaulted("tools", Shape::Texts),
        Field::optional("budget", Shape::Object),
    ];
}

fn unknown(name: &str) -> String {
    format!("Agent '{name}' not found")
}

/// Ping of the agents module
///
/// Tells that this part of the API answers.
#[utoipa::path(
    get,
    path = "/agents/ping",
    tag = "agents",
    operation_id = "ping_agents",
    responses((status = 200, description = "It answers", body = Pong,
        example = json!({"status": "ok", "module": "agents"})))
)]
pub async fn ping() -> Json<Pong> {
    Json(Pong { status: "ok", module: "agents" })
}

/// All agents
///
/// Newest first, at most 200. Where there is none, the four default agents are made first.
#[utoipa::path(
    get,
    path = "/agents/",
    tag = "agents",
    operation_id = "list_agents",
    responses((status = 200, description = "The agents", body = Vec<Agent>, example = json!([{
        "name": "qa_bot", "role": "QA", "description": "Checks work against its brief and says what must be fixed",
        "skills": ["testing", "validation", "quality assurance"], "model": "gpt-4o-mini", "task_count": 3,
        "created_at": "2026-11-22T10:17:24.520252+00:00", "last_assigned": "2026-11-22T10:18:25.571038+00:00"}])))
)]
pub async fn list(state: Data<HttpState>) -> Answer<Vec<Agent>> {
    Ok(Json(state.services.agents.list().await?))
}

/// Register an agent
///
/// An existing agent of the same name is replaced, its counters begin anew.
#[utoipa::path(
    post,
    path = "/agents/",
    tag = "agents",
    operation_id = "register_agent",
    request_body(content = NewAgent, description = "The agent", content_type = "application/json"),
    responses((status = 200, description = "The agent as registered", body = Agent, example = json!({
        "name": "a1", "role": "Research", "description": null, "skills": [], "model": "gpt-4o-mini",
        "task_count": 0, "created_at": "2026-11-22T10:17:24.520252+00:00", "last_assigned": null})))
)]
pub async fn register(state: Data<HttpState>, body: Body<NewAgent>) -> Answer<Agent> {
    Ok(Json(state.services.agents.register(body.0).await?))
}

/// One agent
///
/// By its name.
#[utoipa::path(
    get,
    path = "/agents/{name}",
    tag = "agents",
    operation_id = "get_agent",
    params(("name" = String, Path, description = "The agent's name", example = "qa_bot")),
    responses((status = 200, description = "The agent", body = Agent, example = json!({
        "name": "a1", "role": "Research", "description": null, "skills": [], "model": "gpt-4o-mini",
        "task_count": 0, "created_at": "2026-11-22T10:17:24.520252+00:00", "last_assigned": null})))
)]
pub async fn get(state: Data<HttpState>, name: Path<String>) -> Answer<Agent> {
    known_form(&name, || unknown(&name))?;
    Ok(Json(state.services.agents.get(&name).await?))
}

/// The answer to a deletion.
#[derive(Serialize, ToSchema)]
pub struct Deleted {
    #[schema(example = "deleted")]
    status: &'static str,
    agent: String,
}

/// Delete an agent
///
/// Jobs that were given to it already run to their end.
#[utoipa::path(
    delete,
    path = "/agents/{name}",
    tag = "agents",
    operation_id = "delete_agent",
    params(("name" = String, Path, description = "The agent's name", example = "a1")),
    responses((status = 200, description = "It is gone", body = Deleted,
        example = json!({"status": "deleted", "agent": "a1"})))
)]
pub async fn delete(state: Data<HttpState>, name: Path<String>) -> Answer<Deleted> {
    known_form(&name, || unknown(&name))?;
    state.services.agents.delete(&name).await?;
    Ok(Json(Deleted { status: "deleted", agent: name.into_inner() }))
}
