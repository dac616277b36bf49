//! Tools that need the store: what earlier steps of the same workflow came to.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    model::{Call, Job, StepStatus, ToolSpec, Workflow},
    store::Store,
    tools::{Tool, ToolError},
};

use super::records;

/// What the tool is called in an agent's list.
pub const EARLIER_RESULTS: &str = "earlier_results";

/// Reads what earlier steps of a job's workflow came to.
struct EarlierResults {
    spec: ToolSpec,
    store: Arc<dyn Store>,
    /// The steps that had ended when this job began.
    steps: Vec<EarlierStep>,
}

struct EarlierStep {
    step: String,
    round: u32,
    agent: String,
    job_id: String,
    last_call: u32,
}

/// The tool for a job: of a job outside a workflow it says that there is nothing.
pub(super) fn earlier_results(
    store: Arc<dyn Store>,
    workflow: Option<&Workflow>,
    job: &Job,
) -> Arc<dyn Tool> {
    let ended = workflow.into_iter().flat_map(|w| &w.steps);
    let ended = ended.filter(|s| s.status == StepStatus::Completed && s.job_id != job.job_id);
    let steps = ended.map(|s| EarlierStep {
        step: s.step.clone(),
        round: s.round,
        agent: s.agent.clone(),
        job_id: s.job_id.clone(),
        last_call: s.calls,
    });
    Arc::new(EarlierResults {
        spec: ToolSpec {
            name: EARLIER_RESULTS.to_owned(),
            description:
                "Reads what earlier steps of this workflow came to. Without arguments it lists them; \
                          with a step (and a round) it gives the whole text."
                    .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "step": {"type": "string", "description": "The name of a step, as the list gives it."},
                    "round": {"type": "integer", "description": "The review round; the last one when left out."},
                },
                "additionalProperties": false,
            }),
        },
        store,
        steps: steps.collect(),
    })
}

#[async_trait]
impl Tool for EarlierResults {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        let Some(name) = arguments["step"].as_str() else { return Ok(self.list()) };
        let round = arguments["round"].as_u64();
        let named = self.steps.iter().filter(|s| s.step == name);
        let found: Vec<_> = match round {
            Some(round) => named.filter(|s| u64::from(s.round) == round).collect(),
            None => {
                let last = named.clone().map(|s| s.round).max();
                named.filter(|s| Some(s.round) == last).collect()
            }
        };
        if found.is_empty() {
            let why = format!("there is no such step; {}", self.list());
            return Err(ToolError::BadArguments(why));
        }
        let mut texts = Vec::new();
        for step in found {
            let key = records::call_key(&step.job_id, step.last_call);
            let call = records::load::<Call>(self.store.as_ref(), key).await;
            let text = match call {
                Ok(Some((call, _))) => call.answer,
                Ok(None) => "(this text is not stored any more)".to_owned(),
                Err(e) => return Err(ToolError::Failed(format!("it cannot be read now: {e}"))),
            };
            texts.push(format!("## {} by {} (round {})\n\n{text}", step.step, step.agent, step.round));
        }
        Ok(texts.join("\n\n"))
    }
}

impl EarlierResults {
    fn list(&self) -> String {
        if self.steps.is_empty() {
            return "no step has ended before this one".to_owned();
        }
        let line = |s: &EarlierStep| format!("- {} (round {}) by {}", s.step, s.round, s.agent);
        let lines: Vec<String> = self.steps.iter().map(line).collect();
        format!("steps that have ended:\n{}", lines.join("\n"))
    }
}
