//! Forks: a workflow that goes on from a step of another one, which runs again or says what a person wrote.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::{
    engine::{advance::StepOutput, fork, verdict},
    model::{
        Call, CallPurpose, JobState, ResultStatus, RunEvent, RunEventKind, Spending, Step, StepStatus,
        TemplateRole, Timestamp, Usage, Workflow, new_id,
    },
    store::Change,
};

use super::{Workflows, control::busy, refuse_deleting};
use crate::service::{ServiceError, dispatch, execution, records};

/// The longest output that a person may write, in characters.
pub const MAX_OUTPUT_CHARS: usize = 400_000;
/// The most workflows that are forked from one.
pub const MAX_FORKS: usize = 50;
/// The most workflows that use outputs of one, those included that were forked from its forks.
const MAX_USERS: usize = 500;
/// What stands in the place of the model where a person wrote.
const PERSON: &str = "a person";
const TRIES: usize = 50;

/// What a fork would be.
#[derive(Debug, Clone)]
pub struct ForkPreview {
    pub workflow: Workflow,
    pub step: Step,
    pub output: String,
    /// The steps that it takes over, and those that run again.
    pub planned: Workflow,
}

impl Workflows {
    /// Makes a workflow that goes on from a step of this one: a job's id, `name`, or `name:round`. Without an output
    /// the step runs again, with one it says that; what depends on it runs again in either case. The original
    /// stays as it is. `by` is the name of the API key that asks: what runs again is its work.
    pub async fn fork(
        &self,
        id: &str,
        from: &str,
        output: Option<&str>,
        by: Option<&str>,
    ) -> Result<Workflow, ServiceError> {
        if output.is_some_and(|output| output.trim().is_empty()) {
            let message = "An empty output is of no use; leave it out to run the step again";
            return Err(ServiceError::field("output", "string_too_short", message));
        }
        if output.is_some_and(|output| output.chars().count() > MAX_OUTPUT_CHARS) {
            let message = format!("String should have at most {MAX_OUTPUT_CHARS} characters");
            return Err(ServiceError::field("output", "string_too_long", message));
        }
        let new_id = new_id();
        for _ in 0..TRIES {
            if let Some(workflow) = self.try_fork(id, from, output, by, &new_id).await? {
                log::info!(workflow_id = id, fork = new_id.as_str(); "a workflow was forked");
                return Ok(workflow);
            }
        }
        Err(busy(id))
    }

    /// What a fork from a step would be: the step, what it says, and the workflow as it would begin if the step ran
    /// again. Nothing is written.
    pub async fn preview_fork(&self, id: &str, from: &str) -> Result<ForkPreview, ServiceError> {
        let workflow = self.get(id).await?;
        let Some(step) = fork::find(&workflow, from).cloned() else {
            return Err(ServiceError::NotFound("The workflow has no such step".to_owned()));
        };
        let output = self.output_of(&step).await?;
        let (planned, _) = fork::create(&workflow, &step, None, "planned", self.base.clock.now());
        Ok(ForkPreview { workflow, step, output, planned })
    }

    /// One try; `None` when a document changed meanwhile.
    async fn try_fork(
        &self,
        id: &str,
        from: &str,
        output: Option<&str>,
        by: Option<&str>,
        new_id: &str,
    ) -> Result<Option<Workflow>, ServiceError> {
        let (original, before) = self.found(id).await?;
        refuse_deleting(&original)?;
        let step = fork::find(&original, from).ok_or_else(|| {
            let known: BTreeSet<&str> = original.steps.iter().map(|s| s.step.as_str()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            let message = format!("The workflow has no step '{from}'; it has {}", known.join(", "));
            ServiceError::field("from", "unknown_step", message)
        })?;
        if step.role == TemplateRole::Approval && output.is_some() {
            let message = "A person's word cannot be edited; leave the output out to be asked again";
            return Err(ServiceError::field("output", "not_editable", message));
        }
        if step.status == StepStatus::Waiting || step.status == StepStatus::Skipped {
            let (name, status) = (&step.step, step.status.as_str());
            let message =
                format!("Step {name} is {status}: it has never run, so there is nothing to go on from");
            return Err(ServiceError::field("from", "has_not_run", message));
        }
        if original.forks.len() >= MAX_FORKS {
            return Err(ServiceError::Conflict(format!(
                "{MAX_FORKS} workflows were forked from {id}, which is the most; fork one of those"
            )));
        }
        let now = self.base.clock.now();
        let edited = output.map(|text| written(text, step, original.simulated));
        let (mut fork, effects) = fork::create(&original, step, edited, new_id, now);
        fork.api_key = by.map(str::to_owned);
        dispatch::note_origin(&mut fork);
        let mut change = Change::new().expect(records::workflow_key(new_id), None);
        change = dispatch::add_effects(change, &fork, &effects, now);
        if let Some(text) = output
            && let Some(step) = fork.steps.iter().find(|s| s.edited && s.from_workflow.is_none())
        {
            change = self.add_written(change, &fork, step, text, now);
        }
        // Whoever deletes one of these is told that its outputs are needed.
        let sources: BTreeSet<&str> = fork.steps.iter().filter_map(|s| s.from_workflow.as_deref()).collect();
        for source in sources.into_iter().filter(|source| *source != id) {
            let key = records::workflow_key(source);
            let found = records::load::<Workflow>(self.base.store.as_ref(), key.clone()).await?;
            let Some((mut source, before)) = found else { continue };
            refuse_deleting(&source)?;
            if source.forks.len() >= MAX_USERS {
                return Err(ServiceError::Conflict(format!(
                    "{MAX_USERS} workflows use outputs of {}, which is the most; begin anew with its brief",
                    source.workflow_id
                )));
            }
            source.forks.push(new_id.to_owned());
            change = change.expect(key, Some(before)).put(records::put_workflow(&source));
        }
        let mut original = original.clone();
        original.forks.push(new_id.to_owned());
        change = change
            .expect(records::workflow_key(id), Some(before))
            .put(records::put_workflow(&original))
            .event(id, told(&original, new_id, now));
        Ok(self.base.store.apply(change).await?.is_ok().then_some(fork))
    }

    /// Adds what belongs to a step whose output a person wrote: a job that has ended, its result, and the text
    /// where the steps after it look for it.
    fn add_written(
        &self,
        change: Change,
        fork: &Workflow,
        step: &Step,
        text: &str,
        now: Timestamp,
    ) -> Change {
        let (mut job, _) = dispatch::step_job(fork, step, now);
        job.end(JobState::Completed, None, now);
        let call = Call {
            job_id: step.job_id.clone(),
            number: 1,
            attempt: 0,
            provider: PERSON.to_owned(),
            model: PERSON.to_owned(),
            simulated: false,
            messages: Vec::new(),
            answer: text.to_owned(),
            tool_calls: Vec::new(),
            tool_outputs: Vec::new(),
            purpose: CallPurpose::Work,
            trimmed: false,
            finish_reason: None,
            usage: Usage::default(),
            cost_usd: None,
            cost_reported: false,
            first_token_ms: None,
            duration_ms: 0,
            requests: 0,
            started_at: now,
            ended_at: now,
        };
        let mut result = execution::result_of(&job, None, ResultStatus::Completed, text.to_owned(), now);
        result.verdict.clone_from(&step.verdict);
        result.confidence_score = step.confidence_score;
        result.model = Some(PERSON.to_owned());
        // No agent did it, so it does not count as anybody's work.
        change
            .expect(records::job_key(&job.job_id), None)
            .put(records::put_job(&job))
            .put(records::put_output(&call))
            .put(records::put_result(&mut result, self.base.result_ttl, now))
    }
}

/// What a step says when a person wrote it.
fn written(text: &str, step: &Step, simulated: bool) -> StepOutput {
    let digest = Sha256::digest(text.trim().as_bytes());
    StepOutput {
        text: text.to_owned(),
        digest: digest.iter().map(|b| format!("{b:02x}")).collect(),
        verdict: (step.role == TemplateRole::Qa).then(|| verdict::parse_verdict(text)),
        truncated: false,
        model: PERSON.to_owned(),
        spending: Spending::default(),
        simulated,
        execution_time: 0.0,
        attempts: 0,
    }
}

fn told(original: &Workflow, fork: &str, now: Timestamp) -> Vec<u8> {
    let event = RunEvent {
        kind: RunEventKind::WorkflowForked,
        workflow_id: original.workflow_id.clone(),
        job_id: None,
        step: None,
        round: None,
        message: format!("Workflow {fork} was forked from it."),
        at: now,
    };
    serde_json::to_vec(&event).expect("an event has only plain fields")
}
