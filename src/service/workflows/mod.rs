//! Workflows: show, list. How one is accepted is in `start`, its budget in `budget`, what people do to it in
//! `control`, `fork` and `delete`, the jobs of its steps in `attempts`.

mod attempts;
mod budget;
mod control;
mod delete;
mod fork;
mod list;
mod start;

pub use budget::{MAX_TOKENS, MAX_USD};
pub use control::MAX_COMMENT_CHARS;
pub(in crate::service) use delete::{refuse_deleting, unfinished_fork};
pub use fork::{ForkPreview, MAX_FORKS, MAX_OUTPUT_CHARS};
pub use list::{
    MAX_BULK, MAX_SEARCH_CHARS, WorkflowAction, WorkflowBulkReport, WorkflowFilter, WorkflowList,
};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    model::{
        Budget, Call, JobResult, PartialAnswer, Priority, RunEvent, Step, StepStatus, Timestamp, Workflow,
        WorkflowStatus, iso_option,
    },
    store::{Cursor, IndexName, MAX_BATCH, Revision},
};

use crate::service::{
    Agents, Foundation, Jobs, Listing, ServiceError, Uploads, listing, records, told::Told,
};

/// The most calls of one step that are shown.
const MOST_CALLS: u32 = 100;

/// The most events of one workflow that are shown at once.
const MAX_EVENTS: usize = 2_000;

/// A brief to be worked on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"job": "Fix the login bug", "requires_qa": true}))]
pub struct NewWorkflow {
    /// The brief. 1 to 100,000 characters.
    #[schema(min_length = 1, max_length = 100_000, pattern = r"\S")]
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
    #[schema(max_items = 8)]
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
    /// Whether a person has to approve the work before the closing report, or before the end where there is none:
    /// the workflow then waits for `POST /workflows/{id}/approve` or `reject`.
    #[serde(default)]
    pub approval: Option<bool>,
    /// Where it is reported that the workflow has ended, or waits for a person: an address on the internet, which gets a
    /// small signed POST. The server must have a `WEBHOOK_SECRET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://example.com/hooks/productforge")]
    pub callback_url: Option<String>,
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
    /// The id of the last of them; 0 where there is none.
    pub last_event: u64,
}

#[derive(Clone)]
pub struct Workflows {
    base: Arc<Foundation>,
    agents: Agents,
    uploads: Uploads,
    jobs: Jobs,
    told: Arc<Told>,
}

impl Workflows {
    pub(in crate::service) fn new(
        base: Arc<Foundation>,
        agents: Agents,
        uploads: Uploads,
        jobs: Jobs,
    ) -> Self {
        Self { base, agents, uploads, jobs, told: Arc::default() }
    }

    /// One workflow.
    pub async fn get(&self, id: &str) -> Result<Workflow, ServiceError> {
        Ok(self.found(id).await?.0)
    }

    /// One workflow and the revision it was read at.
    async fn found(&self, id: &str) -> Result<(Workflow, Revision), ServiceError> {
        records::load::<Workflow>(self.base.store.as_ref(), records::workflow_key(id))
            .await?
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
                let Some(first) = first else {
                    // What came before its output is kept for less long than that.
                    let output = records::load::<Call>(self.base.store.as_ref(), records::output_key(step));
                    calls.extend(if step.calls > 1 { output.await?.map(|(call, _)| call) } else { None });
                    continue;
                };
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
        let (events, last_event) = self.events(id).await?;
        Ok(WorkflowDetail { workflow, calls, partials, events, last_event })
    }

    /// What a step said, as a whole where it is kept, else its beginning.
    async fn output_of(&self, step: &Step) -> Result<String, ServiceError> {
        let keys = [records::output_key(step), records::result_key(&step.job_id)];
        let mut docs = self.base.store.get(&keys).await?.into_iter();
        let (call, result) = (docs.next().flatten(), docs.next().flatten());
        if let Some(call) = call {
            return Ok(call.parse::<Call>()?.answer);
        }
        match result {
            Some(result) => Ok(result.parse::<JobResult>()?.output),
            None => Ok(step.output.clone().unwrap_or_default()),
        }
    }

    /// The history of a workflow, oldest first, at most [`MAX_EVENTS`].
    async fn events(&self, id: &str) -> Result<(Vec<RunEvent>, u64), ServiceError> {
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
                return Ok((events, after));
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
