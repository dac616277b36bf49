//! The acceptance of a brief: what it may say, who works on it, and the one write that makes a workflow of it.

use serde_json::Value;

use crate::{
    engine::{
        plan::{self, Plan},
        specialist, templates,
    },
    model::{
        Callback, DEFAULT_MAX_REVISIONS, MAX_REVISIONS, MAX_SPECIALISTS, Step, TemplateRole, Workflow, new_id,
    },
    store::Change,
};

use super::{NewWorkflow, PlannedStep, WorkflowReceipt, Workflows, budget};
use crate::service::{
    FieldProblem, ServiceError,
    dispatch::{self, Created},
    idempotency::{Answered, IdempotencyKey, Once},
    records, schedule,
    tasks::{known_agent, task_problem},
    webhooks,
};

/// The largest `metadata`, as JSON.
const MAX_METADATA_BYTES: usize = 16_384;

impl Workflows {
    /// Accepts a brief: when this answers, the workflow and its first jobs are durable.
    pub async fn start(&self, new: NewWorkflow) -> Result<Workflow, ServiceError> {
        Ok(self.start_once(new, None, None).await?.answer)
    }

    /// The same, with a key only once. What comes back for a repeated request is the workflow as it was
    /// accepted, whatever has become of it since. `by` is the name of the API key that asks.
    pub async fn start_once(
        &self,
        new: NewWorkflow,
        key: Option<&IdempotencyKey>,
        by: Option<&str>,
    ) -> Result<Answered<Workflow>, ServiceError> {
        let once = key.map(|key| Once::new("/orchestrate", key, by, &new));
        if let Some(once) = &once
            && let Some(workflow) = self.earlier(once).await?
        {
            return Ok(Answered { answer: workflow, replayed: true });
        }
        check(&new)?;
        if let Some(url) = &new.callback_url {
            webhooks::check(&self.base.webhooks, url)?;
        }
        let callback = new.callback_url.clone().map(Callback::new);
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
                approval: new.approval.unwrap_or(false),
                api_key: by.map(str::to_owned),
                upload_id: new.upload_id,
            },
            now,
        );
        workflow.callback = callback;
        workflow.request_digest = once.as_ref().map(|once| once.digest.clone());
        dispatch::note_origin(&mut workflow);
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
        let by_agents = workflow.steps.iter().filter(|s| s.role != TemplateRole::Approval);
        let agents: Vec<String> = by_agents.map(|s| s.agent.clone()).collect();
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
            approval: found.approval,
            api_key: found.api_key.clone(),
            upload_id: found.upload_id.clone(),
        };
        let (mut workflow, _) = plan::create(plan, found.created_at);
        (workflow.request_id, workflow.traceparent) = (found.request_id, found.traceparent);
        Ok(Some(workflow))
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
