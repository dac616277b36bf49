//! Tasks: one job asked of one agent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    engine::specialist::GENERALIST,
    model::{Job, JobMode, JobPayload, Priority, Timestamp, default_agents, iso, iso_option, new_id},
    store::Change,
};

use super::{
    Agents, FieldProblem, Foundation, ServiceError,
    dispatch::{self, Created},
    idempotency::{Answered, IdempotencyKey, Once},
    records, schedule,
};

/// The longest brief or task.
pub const MAX_TASK_CHARS: usize = 100_000;

/// A task to be queued.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"job": "Explain what a fencing token is", "priority": "high"}))]
pub struct NewTask {
    /// What to do. 1 to 100,000 characters.
    #[schema(min_length = 1, max_length = 100_000, pattern = r"\S")]
    pub job: String,
    /// Who is to do it; `general_assistant` when nobody is named.
    #[serde(default)]
    pub agent_name: Option<String>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Accepted for legacy clients; a single task is not reviewed. Use `/orchestrate` for reviewed work.
    #[serde(default)]
    pub requires_qa: Option<bool>,
    /// Not before this time: RFC 3339, or without a zone for UTC; at most 365 days ahead.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<String>,
    /// The same as a number of seconds from now.
    #[serde(default)]
    pub delay_seconds: Option<f64>,
    /// How many seconds one attempt may take, 1 to 86,400; `JOB_TIMEOUT` when not given.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
}

/// The answer to a queued task.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TaskReceipt {
    /// `queued`, or `scheduled` where it waits for its time.
    #[schema(example = "queued")]
    pub status: String,
    pub job_id: String,
    pub agent: String,
    /// The list it waits in.
    #[schema(example = "queue_high")]
    pub queue: String,
    /// When it begins at the earliest, where that was asked for.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<Timestamp>,
}

impl TaskReceipt {
    fn of(job: &Job) -> Self {
        Self {
            status: if job.run_at.is_some() { "scheduled" } else { "queued" }.to_owned(),
            job_id: job.job_id.clone(),
            agent: job.agent.clone(),
            queue: dispatch::queue_of(job.priority).name().to_owned(),
            run_at: job.run_at,
        }
    }
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
        Ok(self.submit_once(new, None, None).await?.answer)
    }

    /// Queues a task, with a key only once. `by` is the name of the API key that asks.
    pub async fn submit_once(
        &self,
        new: NewTask,
        key: Option<&IdempotencyKey>,
        by: Option<&str>,
    ) -> Result<Answered<TaskReceipt>, ServiceError> {
        let once = key.map(|key| Once::new("/results/task", key, by, &new));
        if let Some(once) = &once
            && let Some(job) = earlier(&self.base, once).await?
        {
            return Ok(Answered { answer: TaskReceipt::of(&job), replayed: true });
        }
        let problems = task_problem("job", &new.job).into_iter();
        let problems: Vec<_> =
            problems.chain(schedule::timeout_problem("timeout_seconds", new.timeout_seconds)).collect();
        if !problems.is_empty() {
            return Err(ServiceError::Invalid(problems));
        }
        let store = self.base.store.as_ref();
        let run_at = schedule::begin(store, new.run_at.as_deref(), new.delay_seconds).await?;
        let agent = new.agent_name.filter(|name| !name.is_empty()).unwrap_or_else(|| GENERALIST.to_owned());
        known_agent(&self.agents, "agent_name", &agent).await?;
        let now = self.base.clock.now();
        let priority = new.priority.unwrap_or_default();
        let id = once.as_ref().map_or_else(new_id, |once| once.id.clone());
        let mut job = dispatch::new_job(&id, JobMode::Task, &agent, &new.job, priority, now);
        job.timeout_seconds = new.timeout_seconds;
        job.api_key = by.map(str::to_owned);
        dispatch::plan_for(&mut job, run_at);
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
        let answered = create_once(&self.base, job, &payload, once.as_ref()).await?;
        if !answered.replayed {
            self.agents.assigned(std::slice::from_ref(&agent)).await;
        }
        Ok(Answered { answer: TaskReceipt::of(&answered.answer), replayed: answered.replayed })
    }
}

/// The job that an earlier request with the same key made.
pub(super) async fn earlier(base: &Foundation, once: &Once) -> Result<Option<Job>, ServiceError> {
    let found = records::load::<Job>(base.store.as_ref(), records::job_key(&once.id)).await?;
    let Some((job, _)) = found else { return Ok(None) };
    once.same(job.request_digest.as_deref())?;
    Ok(Some(job))
}

/// Makes a job; with a key, or finds the one that another request with that key has just made.
pub(super) async fn create_once(
    base: &Foundation,
    mut job: Job,
    payload: &JobPayload,
    once: Option<&Once>,
) -> Result<Answered<Job>, ServiceError> {
    let store = base.store.as_ref();
    let Some(once) = once else {
        dispatch::create(store, dispatch::add_job(Change::new(), &job, payload)).await?;
        return Ok(Answered { answer: job, replayed: false });
    };
    job.request_digest = Some(once.digest.clone());
    let change = dispatch::forget_earlier(dispatch::add_job(Change::new(), &job, payload), &job.job_id);
    let created = dispatch::create_or_find(store, change).await?;
    if created == Created::Made {
        return Ok(Answered { answer: job, replayed: false });
    }
    match earlier(base, once).await? {
        Some(job) => Ok(Answered { answer: job, replayed: created == Created::Existed }),
        None => {
            Err(ServiceError::Conflict("what the key had made was removed just now; try again".to_owned()))
        }
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
