//! Tasks: one job asked of one agent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    engine::specialist::GENERALIST,
    model::{JobMode, JobPayload, Priority, Timestamp, default_agents, iso, new_id},
    store::Change,
};

use super::{Agents, FieldProblem, Foundation, ServiceError, dispatch};

/// The longest brief or task.
pub const MAX_TASK_CHARS: usize = 100_000;

/// A task to be queued.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(example = json!({"job": "Explain what a fencing token is", "priority": "high"}))]
pub struct NewTask {
    /// What to do. 1 to 100,000 characters.
    pub job: String,
    /// Who is to do it; `general_assistant` when nobody is named.
    #[serde(default)]
    pub agent_name: Option<String>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Accepted for legacy clients; a single task is not reviewed. Use `/orchestrate` for reviewed work.
    #[serde(default)]
    pub requires_qa: Option<bool>,
}

/// The answer to a queued task.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskReceipt {
    #[schema(example = "queued")]
    pub status: String,
    pub job_id: String,
    pub agent: String,
    /// The list it waits in.
    #[schema(example = "queue_high")]
    pub queue: String,
}

#[derive(Clone)]
pub struct Tasks {
    base: Arc<Foundation>,
    agents: Agents,
}

impl Tasks {
    pub(super) fn new(base: Arc<Foundation>, agents: Agents) -> Self {
        Self { base, agents }
    }

    /// Queues a task.
    pub async fn submit(&self, new: NewTask) -> Result<TaskReceipt, ServiceError> {
        check_task("job", &new.job)?;
        let agent = new.agent_name.filter(|name| !name.is_empty()).unwrap_or_else(|| GENERALIST.to_owned());
        known_agent(&self.agents, "agent_name", &agent).await?;
        let now = self.base.clock.now();
        let priority = new.priority.unwrap_or_default();
        let queue = dispatch::queue_of(priority);
        let job = dispatch::new_job(&new_id(), JobMode::Task, &agent, &new.job, priority, now);
        let payload = JobPayload {
            job_id: Some(job.job_id.clone()),
            job: Some(new.job.clone()),
            task: Some(new.job),
            agent_name: Some(agent.clone()),
            priority: Some(format!("{priority:?}").to_lowercase()),
            requires_qa: Some(new.requires_qa.unwrap_or(false)),
            created_at: Some(iso::format(&now)),
            mode: Some("agent_dispatch".to_owned()),
            ..JobPayload::default()
        };
        dispatch::create(self.base.store.as_ref(), dispatch::add_job(Change::new(), &job, &payload)).await?;
        self.agents.assigned(std::slice::from_ref(&agent)).await;
        Ok(TaskReceipt {
            status: "queued".to_owned(),
            job_id: job.job_id,
            agent,
            queue: queue.name().to_owned(),
        })
    }
}

/// A text that agents are to work on.
pub(super) fn check_task(field: &str, text: &str) -> Result<(), ServiceError> {
    match task_problem(field, text) {
        None => Ok(()),
        Some(problem) => Err(ServiceError::Invalid(vec![problem])),
    }
}

/// What is wrong with such a text, for callers that gather problems.
pub(super) fn task_problem(field: &str, text: &str) -> Option<FieldProblem> {
    if text.trim().is_empty() {
        let message = "Say what is to be done: the text is empty";
        return Some(FieldProblem::body(field, "string_too_short", message));
    }
    (text.chars().count() > MAX_TASK_CHARS).then(|| {
        let message = format!("String should have at most {MAX_TASK_CHARS} characters");
        FieldProblem::body(field, "string_too_long", message)
    })
}

/// An agent that somebody named must be registered, or be one of the four that are built in: those
/// have a persona even where only other agents are registered.
pub(super) async fn known_agent(agents: &Agents, field: &str, name: &str) -> Result<(), ServiceError> {
    if is_built_in(name) {
        return Ok(());
    }
    match agents.find(name).await? {
        Some(_) => Ok(()),
        None => Err(ServiceError::field(
            field,
            "unknown_agent",
            format!("No agent '{name}' is registered; GET /agents/ lists them, POST /agents/ registers one"),
        )),
    }
}

fn is_built_in(name: &str) -> bool {
    default_agents(Timestamp::default()).iter().any(|agent| agent.name == name)
}
