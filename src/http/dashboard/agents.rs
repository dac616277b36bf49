//! The registered agents.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{
    access::Visitor,
    page::{PageError, Shell, answer},
};
use crate::{
    http::HttpState,
    model::{Agent, iso},
};

#[derive(Serialize)]
struct AgentRow {
    name: String,
    role: String,
    description: Option<String>,
    skills: Vec<String>,
    model: String,
    prompt: Option<String>,
    task_count: u64,
    max_concurrency: Option<u32>,
    last_assigned: Option<String>,
}

impl From<Agent> for AgentRow {
    fn from(agent: Agent) -> Self {
        Self {
            last_assigned: agent.last_assigned.map(|t| iso::format(&t)),
            name: agent.name,
            role: agent.role,
            description: agent.description,
            skills: agent.skills,
            model: agent.model,
            prompt: agent.prompt,
            task_count: agent.task_count,
            max_concurrency: agent.max_concurrency,
        }
    }
}

#[derive(Serialize)]
struct AgentsPage {
    agents: Vec<AgentRow>,
}

pub async fn list(visitor: Visitor, state: web::Data<HttpState>) -> Result<HttpResponse, PageError> {
    let agents = state.services.agents.list().await?.into_iter().map(AgentRow::from).collect();
    let shell = Shell::new(&state, &visitor, "Agents", "Agents");
    answer(StatusCode::OK, "agents.html", &shell, &AgentsPage { agents })
}
