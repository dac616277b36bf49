//! Workflows: start, show, list.

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
        Call, DEFAULT_MAX_REVISIONS, MAX_REVISIONS, MAX_SPECIALISTS, Priority, RunEvent, Step, Workflow,
        WorkflowStatus, new_id,
    },
    store::{Change, Cursor, IndexName, MAX_BATCH},
};

use super::{
    Agents, FieldProblem, Foundation, Listing, ServiceError, dispatch, listing, records,
    tasks::{known_agent, task_problem},
};

/// The largest `metadata`, as JSON.
const MAX_METADATA_BYTES: usize = 16_384;

/// The most events of one workflow that are shown at once.
const MAX_EVENTS: usize = 2_000;

/// A brief to be worked on.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
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
}

/// A workflow with everything that is known of it.
#[derive(Debug, Clone)]
pub struct WorkflowDetail {
    pub workflow: Workflow,
    /// The model calls of its steps, in the order of the steps.
    pub calls: Vec<Call>,
    /// Its history, oldest first.
    pub events: Vec<RunEvent>,
}

#[derive(Clone)]
pub struct Workflows {
    base: Arc<Foundation>,
    agents: Agents,
}

impl Workflows {
    pub(super) fn new(base: Arc<Foundation>, agents: Agents) -> Self {
        Self { base, agents }
    }

    /// Accepts a brief: when this answers, the workflow and its first jobs are durable.
    pub async fn start(&self, new: NewWorkflow) -> Result<Workflow, ServiceError> {
        check(&new)?;
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
        let now = self.base.clock.now();
        let (workflow, effects) = plan::create(
            Plan {
                workflow_id: new_id(),
                template,
                brief: new.job,
                specialists,
                with_qa: new.requires_qa.unwrap_or(false),
                max_revisions: new.max_revisions.unwrap_or(DEFAULT_MAX_REVISIONS),
                priority: new.priority.unwrap_or_default(),
                metadata: new.metadata,
            },
            now,
        );
        let change = Change::new().expect(records::workflow_key(&workflow.workflow_id), None);
        let change = dispatch::add_effects(change, &workflow, &effects, now);
        dispatch::create(self.base.store.as_ref(), change).await?;
        let agents: Vec<String> = workflow.steps.iter().map(|s| s.agent.clone()).collect();
        self.agents.assigned(&agents).await;
        log::info!(workflow_id = workflow.workflow_id.as_str(), steps = workflow.steps.len(), qa = workflow.qa_enabled;
            "a brief was accepted");
        Ok(workflow)
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
        let keys: Vec<_> = workflow.steps.iter().map(|s| records::call_key(&s.job_id, 1)).collect();
        for chunk in keys.chunks(MAX_BATCH) {
            for doc in self.base.store.get(chunk).await?.into_iter().flatten() {
                calls.push(doc.parse::<Call>()?);
            }
        }
        let events = self.events(id).await?;
        Ok(WorkflowDetail { workflow, calls, events })
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
