//! Workflows: start, show, list. Budgets of one are in `budget`.

mod budget;

pub use budget::{MAX_TOKENS, MAX_USD};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    engine::{
        plan::{self, Plan},
        specialist, templates,
    },
    model::{
        Budget, Call, DEFAULT_MAX_REVISIONS, MAX_REVISIONS, MAX_SPECIALISTS, PartialAnswer, Priority,
        RunEvent, Step, StepStatus, TemplateRole, Timestamp, Workflow, WorkflowStatus, iso_option, new_id,
    },
    store::{Change, Cursor, IndexName, MAX_BATCH},
};

use crate::service::{
    Agents, FieldProblem, Foundation, Listing, ServiceError, Uploads,
    dispatch::{self, Created},
    idempotency::{Answered, IdempotencyKey, Once},
    listing, records, schedule,
    tasks::{known_agent, task_problem},
};

/// The largest `metadata`, as JSON.
const MAX_METADATA_BYTES: usize = 16_384;

/// The most calls of one step that are shown.
const MOST_CALLS: u32 = 100;

/// The most events of one workflow that are shown at once.
const MAX_EVENTS: usize = 2_000;

/// A brief to be worked on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"job": "Fix the login bug", "requires_qa": true}))]
pub struct NewWorkflow {
    /// The brief. 1 to 100,000 characters.
    pub job: String,
    /// The specialist, when a registered one is named; otherwise the brief decides.
    #[serde(default)]
    pub agent_name: Option<String>,
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Whether the work is reviewed and revised and ends in a report.
    #[serde(default)]
    pub requires_qa: Option<bool>,
    /// The shape of the workflow.
    #[serde(default)]
    #[schema(example = "review-chain")]
    pub template: Option<String>,
    /// Several specialists that work side by side, at most 8.
    #[serde(default)]
    pub specialists: Option<Vec<String>>,
    /// How often QA may send the work back, 0 to 10; 2 when not given.
    #[serde(default)]
    pub max_revisions: Option<u32>,
    /// Not before this time: RFC 3339, or without a zone for UTC; at most 365 days ahead.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<String>,
    /// The same as a number of seconds from now.
    #[serde(default)]
    pub delay_seconds: Option<f64>,
    /// How many seconds one attempt at a step may take, 1 to 86,400; when not given, what the template
    /// says, or `JOB_TIMEOUT`.
    #[serde(default)]
    pub step_timeout_seconds: Option<u32>,
    /// The most tokens or dollars it may use; reaching it pauses the workflow until somebody raises it.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// An upload whose files all agents may list, read and search; its analysis stands in their prompts.
    #[serde(default)]
    pub upload_id: Option<String>,
    /// Anything you want to find again; at most 16 kB.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// One planned step, as the answer to `/orchestrate` tells it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlannedStep {
    pub step: String,
    pub agent: String,
    pub job_id: String,
    #[schema(example = "queued")]
    pub status: String,
    /// The job it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Value>,
}

/// The answer to an accepted brief.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkflowReceipt {
    #[schema(example = "orchestrated")]
    pub status: String,
    pub workflow_id: String,
    pub steps: Vec<PlannedStep>,
    #[schema(example = "3-8 minutes")]
    pub estimated_completion: String,
    pub qa_chain_enabled: bool,
    /// True when no model is configured and the answers will be simulated.
    pub simulated: bool,
    /// When it begins at the earliest, where that was asked for.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<Timestamp>,
}

/// A workflow with everything that is known of it.
#[derive(Debug, Clone)]
pub struct WorkflowDetail {
    pub workflow: Workflow,
    /// The model calls of its steps, in the order of the steps.
    pub calls: Vec<Call>,
    /// What its running steps have said so far.
    pub partials: Vec<PartialAnswer>,
    /// Its history, oldest first.
    pub events: Vec<RunEvent>,
}

#[derive(Clone)]
pub struct Workflows {
    base: Arc<Foundation>,
    agents: Agents,
    uploads: Uploads,
}

impl Workflows {
    pub(in crate::service) fn new(base: Arc<Foundation>, agents: Agents, uploads: Uploads) -> Self {
        Self { base, agents, uploads }
    }

    /// Accepts a brief: when this answers, the workflow and its first jobs are durable.
    pub async fn start(&self, new: NewWorkflow) -> Result<Workflow, ServiceError> {
        Ok(self.start_once(new, None).await?.answer)
    }

    /// The same, with a key only once. What comes back for a repeated request is the workflow as it was
    /// accepted, whatever has become of it since.
    pub async fn start_once(
        &self,
        new: NewWorkflow,
        key: Option<&IdempotencyKey>,
    ) -> Result<Answered<Workflow>, ServiceError> {
        let once = key.map(|key| Once::new("/orchestrate", key, &new));
        if let Some(once) = &once
            && let Some(workflow) = self.earlier(once).await?
        {
            return Ok(Answered { answer: workflow, replayed: true });
        }
        check(&new)?;
        let store = self.base.store.as_ref();
        let run_at = schedule::begin(store, new.run_at.as_deref(), new.delay_seconds).await?;
        let template_name = new.template.as_deref().unwrap_or(templates::REVIEW_CHAIN);
        let template = templates::find(template_name).ok_or_else(|| {
            let known: Vec<_> = templates::all().iter().map(|t| t.name.as_str()).collect();
            ServiceError::field(
                "template",
                "unknown_template",
                format!("No template '{template_name}'; there is {}", known.join(", ")),
            )
        })?;
        let specialists = self.specialists(&new).await?;
        if let Some(id) = &new.upload_id {
            self.known_upload(id).await?;
        }
        let now = self.base.clock.now();
        let (mut workflow, effects) = plan::create(
            Plan {
                workflow_id: once.as_ref().map_or_else(new_id, |once| once.id.clone()),
                template,
                brief: new.job,
                specialists,
                with_qa: new.requires_qa.unwrap_or(false),
                max_revisions: new.max_revisions.unwrap_or(DEFAULT_MAX_REVISIONS),
                priority: new.priority.unwrap_or_default(),
                metadata: new.metadata,
                run_at,
                step_timeout_seconds: new.step_timeout_seconds,
                budget: new.budget,
                api_key: self.base.api_key.clone(),
                upload_id: new.upload_id,
            },
            now,
        );
        workflow.request_digest = once.as_ref().map(|once| once.digest.clone());
        let change = Change::new().expect(records::workflow_key(&workflow.workflow_id), None);
        let change = dispatch::add_workflow(change, &workflow, &effects, now);
        if let Some(once) = &once {
            let created = dispatch::create_or_find(store, change).await?;
            if created != Created::Made {
                let found = self.earlier(once).await?.ok_or_else(|| {
                    ServiceError::Conflict("a step of the new workflow exists already; try again".to_owned())
                })?;
                return Ok(Answered { answer: found, replayed: created == Created::Existed });
            }
        } else {
            dispatch::create(store, change).await?;
        }
        let agents: Vec<String> = workflow.steps.iter().map(|s| s.agent.clone()).collect();
        self.agents.assigned(&agents).await;
        log::info!(workflow_id = workflow.workflow_id.as_str(), steps = workflow.steps.len(), qa = workflow.qa_enabled;
            "a brief was accepted");
        Ok(Answered { answer: workflow, replayed: false })
    }

    /// The workflow that an earlier request with the same key made, as it was then: planned again from
    /// what does not change.
    async fn earlier(&self, once: &Once) -> Result<Option<Workflow>, ServiceError> {
        let found =
            records::load::<Workflow>(self.base.store.as_ref(), records::workflow_key(&once.id)).await?;
        let Some((found, _)) = found else { return Ok(None) };
        once.same(found.request_digest.as_deref())?;
        let Some(template) = templates::find(&found.template) else { return Ok(Some(found)) };
        let first = |s: &&Step| s.role == TemplateRole::Specialist && s.round == 1;
        let plan = Plan {
            workflow_id: found.workflow_id.clone(),
            template,
            brief: found.original_task.clone(),
            specialists: found.steps.iter().filter(first).map(|s| s.agent.clone()).collect(),
            with_qa: found.qa_enabled,
            max_revisions: found.max_revisions,
            priority: found.priority,
            metadata: found.metadata.clone(),
            run_at: found.run_at,
            step_timeout_seconds: found.step_timeout_seconds,
            budget: found.budget,
            api_key: found.api_key.clone(),
            upload_id: found.upload_id.clone(),
        };
        Ok(Some(plan::create(plan, found.created_at).0))
    }

    /// An upload that a brief names has to be there.
    async fn known_upload(&self, id: &str) -> Result<(), ServiceError> {
        match self.uploads.get(id).await {
            Err(ServiceError::NotFound(_)) => {
                let message = format!("There is no upload '{id}'; GET /upload/list lists them");
                Err(ServiceError::field("upload_id", "unknown_upload", message))
            }
            other => other.map(|_| ()),
        }
    }

    /// Who works: those named, else the one that fits the brief.
    async fn specialists(&self, new: &NewWorkflow) -> Result<Vec<String>, ServiceError> {
        let named: Vec<(&str, String)> = match (&new.specialists, &new.agent_name) {
            (Some(many), _) if !many.is_empty() => many.iter().map(|n| ("specialists", n.clone())).collect(),
            (_, Some(one)) if known_agent(&self.agents, "agent_name", one).await.is_ok() => {
                return Ok(vec![one.clone()]);
            }
            // The legacy system passed over `agent_name`, so its clients may send any; the answer
            // tells who was chosen.
            _ => return Ok(vec![specialist::choose(&new.job, &self.agents.list().await?)]),
        };
        let mut problems = Vec::new();
        for (field, name) in &named {
            match known_agent(&self.agents, field, name).await {
                Err(ServiceError::Invalid(unknown)) => problems.extend(unknown),
                other => other?,
            }
        }
        if !problems.is_empty() {
            return Err(ServiceError::Invalid(problems));
        }
        Ok(named.into_iter().map(|(_, name)| name).collect())
    }

    /// The legacy answer to an accepted brief.
    pub fn receipt(&self, workflow: &Workflow) -> WorkflowReceipt {
        let planned = |s: &Step| PlannedStep {
            step: s.step.clone(),
            agent: s.agent.clone(),
            job_id: s.job_id.clone(),
            // The legacy word for "accepted"; the workflow document tells waiting from queued.
            status: "queued".to_owned(),
            depends_on: match s.depends_on.as_slice() {
                [] => None,
                [one] => Some(Value::from(one.as_str())),
                many => Some(Value::from(many.to_vec())),
            },
        };
        WorkflowReceipt {
            status: "orchestrated".to_owned(),
            workflow_id: workflow.workflow_id.clone(),
            steps: workflow.steps.iter().map(planned).collect(),
            estimated_completion: if workflow.qa_enabled { "3-8 minutes" } else { "1-3 minutes" }.to_owned(),
            qa_chain_enabled: workflow.qa_enabled,
            simulated: self.base.provider.is_simulated(),
            run_at: workflow.run_at,
        }
    }

    /// One workflow.
    pub async fn get(&self, id: &str) -> Result<Workflow, ServiceError> {
        records::load::<Workflow>(self.base.store.as_ref(), records::workflow_key(id))
            .await?
            .map(|(workflow, _)| workflow)
            .ok_or_else(|| ServiceError::NotFound("Workflow not found".to_owned()))
    }

    /// One workflow with its calls and its history.
    pub async fn detail(&self, id: &str) -> Result<WorkflowDetail, ServiceError> {
        let workflow = self.get(id).await?;
        let mut calls = Vec::new();
        let mut partials = Vec::new();
        // The first call of every step in a few round trips; only steps with several need more.
        for steps in workflow.steps.chunks(MAX_BATCH / 2) {
            let keys: Vec<_> = steps
                .iter()
                .flat_map(|s| [records::call_key(&s.job_id, 1), records::partial_key(&s.job_id)])
                .collect();
            let mut docs = self.base.store.get(&keys).await?.into_iter();
            for step in steps {
                let (first, partial) = (docs.next().flatten(), docs.next().flatten());
                if let Some(partial) = partial.filter(|_| step.status == StepStatus::Processing) {
                    partials.push(partial.parse::<PartialAnswer>()?);
                }
                let Some(first) = first else { continue };
                let first = first.parse::<Call>()?;
                // One that asks for tools, or cannot be read, is followed by others.
                let alone = step.status == StepStatus::Completed && step.calls == 1;
                match alone {
                    true => calls.push(first),
                    false => calls.extend(
                        records::calls_of(
                            self.base.store.as_ref(),
                            &step.job_id,
                            MAX_BATCH as u32,
                            MOST_CALLS,
                        )
                        .await?,
                    ),
                }
            }
        }
        let events = self.events(id).await?;
        Ok(WorkflowDetail { workflow, calls, partials, events })
    }

    /// The history of a workflow, oldest first, at most [`MAX_EVENTS`].
    async fn events(&self, id: &str) -> Result<Vec<RunEvent>, ServiceError> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let page = self.base.store.events(id, after, MAX_BATCH).await?;
            for event in &page {
                after = event.id;
                match serde_json::from_slice::<RunEvent>(&event.body) {
                    Ok(event) => events.push(event),
                    Err(e) => log::warn!("event {} of workflow {id} is passed over: {e}", event.id),
                }
            }
            if page.len() < MAX_BATCH || events.len() >= MAX_EVENTS {
                return Ok(events);
            }
        }
    }

    /// Newest first.
    pub async fn list(&self, limit: usize, after: Option<Cursor>) -> Result<Listing<Workflow>, ServiceError> {
        listing::page(
            self.base.store.as_ref(),
            records::WORKFLOW,
            IndexName::all(records::WORKFLOW),
            limit,
            after,
        )
        .await
    }

    /// How many workflows are in a state.
    pub async fn count(&self, status: WorkflowStatus) -> Result<u64, ServiceError> {
        Ok(self.base.store.count(&records::workflows_by_status(status)).await?)
    }
}

fn check(new: &NewWorkflow) -> Result<(), ServiceError> {
    let mut problems: Vec<FieldProblem> = task_problem("job", &new.job).into_iter().collect();
    if new.max_revisions.is_some_and(|n| n > MAX_REVISIONS) {
        problems.push(FieldProblem::body(
            "max_revisions",
            "less_than_equal",
            format!("Input should be less than or equal to {MAX_REVISIONS}"),
        ));
    }
    problems.extend(budget::problem(new.budget.as_ref()));
    problems.extend(schedule::timeout_problem("step_timeout_seconds", new.step_timeout_seconds));
    let specialists = new.specialists.as_deref().unwrap_or_default();
    if specialists.len() > MAX_SPECIALISTS {
        problems.push(FieldProblem::body(
            "specialists",
            "too_long",
            format!("List should have at most {MAX_SPECIALISTS} items"),
        ));
    }
    let mut distinct: Vec<&String> = specialists.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < specialists.len() {
        problems.push(FieldProblem::body("specialists", "duplicate", "Name every specialist once"));
    }
    if let Some(metadata) = &new.metadata
        && serde_json::to_vec(metadata).map_or(0, |v| v.len()) > MAX_METADATA_BYTES
    {
        problems.push(FieldProblem::body(
            "metadata",
            "too_long",
            format!("Metadata should have at most {MAX_METADATA_BYTES} bytes as JSON"),
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
}
