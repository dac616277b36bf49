//! The work itself: prompt, model call, journal.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::{
    engine::{advance::StepOutput, prompt, retry::Failure, templates},
    llm::{ChatRequest, Deaf, ModelError, ModelErrorKind, Scene},
    model::{
        AttemptOutcome, Call, CallPurpose, ChatMessage, DEFAULT_MODEL, FailureClass, JobMode, JobResult,
    },
    store::{Change, MAX_BATCH},
};

use super::{Execution, Running, fail::Fault};
use crate::service::{ServiceError, records};

/// An answer that is in the journal.
#[derive(Debug, Clone)]
pub struct Answer {
    pub call: Call,
    /// SHA-256 of the text without its outer white space.
    pub digest: String,
}

/// Why the model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The attempt took too long; the call was dropped.
    #[error("the attempt took longer than {} s (its time-out)", .0.as_secs_f64())]
    TimedOut(Duration),
}

impl AnswerError {
    /// What is to be done about it.
    pub fn fault(&self) -> Fault {
        let (outcome, failure) = match self {
            Self::Model(e) => {
                let class = class_of(e.kind);
                let failure = Failure { class, retryable: e.kind.is_retryable(), retry_after: e.retry_after };
                (AttemptOutcome::Failed, failure)
            }
            Self::Service(e) => {
                let class = if e.may_pass() { FailureClass::Store } else { FailureClass::Other };
                (AttemptOutcome::Failed, Failure { class, retryable: e.may_pass(), retry_after: None })
            }
            Self::TimedOut(_) => {
                let class = FailureClass::Timeout;
                (AttemptOutcome::TimedOut, Failure { class, retryable: true, retry_after: None })
            }
        };
        Fault { error: self.to_string(), failure, outcome }
    }
}

fn class_of(kind: ModelErrorKind) -> FailureClass {
    match kind {
        ModelErrorKind::Connection => FailureClass::Connection,
        ModelErrorKind::Timeout => FailureClass::Timeout,
        ModelErrorKind::RateLimited => FailureClass::RateLimited,
        ModelErrorKind::Unavailable => FailureClass::ServerError,
        ModelErrorKind::Auth
        | ModelErrorKind::Billing
        | ModelErrorKind::UnknownModel
        | ModelErrorKind::ContextTooLong
        | ModelErrorKind::BadRequest
        | ModelErrorKind::BadAnswer
        | ModelErrorKind::Refused => FailureClass::Other,
    }
}

/// The number of a job's first call.
pub(super) const FIRST: u32 = 1;

impl Execution {
    /// The answer an earlier attempt paid for, if it is in the journal.
    pub async fn recall(&self, running: &Running) -> Result<Option<Answer>, ServiceError> {
        let key = records::call_key(&running.job.job_id, FIRST);
        let found = records::load::<Call>(self.base.store.as_ref(), key).await?;
        Ok(found.map(|(call, _)| journaled(call)))
    }

    /// What the model is to be asked.
    pub async fn prepare(&self, running: &Running) -> Result<ChatRequest, ServiceError> {
        Ok(ChatRequest {
            models: Some(running.agent.model.clone())
                .filter(|m| m != DEFAULT_MODEL && !m.is_empty())
                .into_iter()
                .collect(),
            messages: self.messages(running).await?,
            max_tokens: self.base.max_tokens,
            scene: scene(running),
            ..ChatRequest::default()
        })
    }

    /// Asks the model. What comes back must go through [`Execution::journal`] before it is used.
    pub async fn ask(&self, running: &Running, request: ChatRequest) -> Result<Call, ModelError> {
        let started_at = self.base.clock.now();
        let begun = Instant::now();
        let answer = self.base.provider.complete(&request, &Deaf).await?;
        Ok(Call {
            job_id: running.job.job_id.clone(),
            number: FIRST,
            attempt: running.job.attempts.len() as u32,
            provider: answer.provider,
            model: answer.model,
            simulated: answer.simulated,
            messages: request.messages,
            answer: answer.text,
            tool_calls: answer.tool_calls,
            tool_outputs: Vec::new(),
            purpose: CallPurpose::Work,
            trimmed: false,
            cost_usd: answer.cost_usd,
            cost_reported: answer.cost_usd.is_some(),
            first_token_ms: answer.first_token_ms,
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            duration_ms: answer.duration_ms.max(begun.elapsed().as_millis() as u64),
            requests: answer.requests,
            started_at,
            ended_at: self.base.clock.now(),
        })
    }

    /// Writes a paid answer down. Not under the lease: it is kept even if this worker was too slow,
    /// and whoever has the job now uses it if it comes in time. The first answer of a job stays.
    pub async fn journal(&self, call: &Call) -> Result<Answer, ServiceError> {
        let key = records::call_key(&call.job_id, call.number);
        let change = Change::new().expect(key.clone(), None).put(records::put_call(call));
        if self.base.store.apply(change).await?.is_err()
            && let Some((first, _)) = records::load::<Call>(self.base.store.as_ref(), key).await?
        {
            return Ok(journaled(first));
        }
        Ok(journaled(call.clone()))
    }

    /// The output of a step that has no call in the journal: its result's, if a legacy worker wrote one.
    async fn output_without_call(&self, job_id: &str) -> Result<String, ServiceError> {
        let found = records::load::<JobResult>(self.base.store.as_ref(), records::result_key(job_id)).await?;
        Ok(match found {
            Some((result, _)) => result.output,
            None => "[This output is not stored any more.]".to_owned(),
        })
    }

    async fn messages(&self, running: &Running) -> Result<Vec<ChatMessage>, ServiceError> {
        let (job, agent) = (&running.job, &running.agent);
        match (job.mode, &running.workflow) {
            (JobMode::Step, Some(workflow)) => {
                let Some(step) = workflow.step(&job.job_id) else {
                    return Ok(prompt::task(&job.task, agent));
                };
                let inputs = prompt::inputs(workflow, step);
                let mut materials = Vec::with_capacity(inputs.len());
                for chunk in inputs.chunks(MAX_BATCH) {
                    let keys: Vec<_> = chunk.iter().map(|i| records::call_key(&i.job_id, FIRST)).collect();
                    let docs = self.base.store.get(&keys).await?;
                    for (input, doc) in chunk.iter().zip(docs) {
                        let text = match doc {
                            Some(doc) => doc.parse::<Call>()?.answer,
                            None => self.output_without_call(&input.job_id).await?,
                        };
                        materials.push((input.clone(), text));
                    }
                }
                let instructions = templates::find(&workflow.template)
                    .and_then(|t| t.step(&step.step))
                    .map_or("Do what the brief asks for.", |s| s.instructions.as_str());
                Ok(prompt::step(workflow, step, agent, instructions, &materials))
            }
            (JobMode::Review, _) => {
                let original = match &job.parent_job_id {
                    Some(id) => {
                        records::load::<JobResult>(self.base.store.as_ref(), records::result_key(id)).await?
                    }
                    None => None,
                };
                let work = original
                    .as_ref()
                    .map(|(r, _)| (r.task.as_deref().unwrap_or("(not stored)"), r.output.as_str()));
                Ok(prompt::review(&job.task, work, agent))
            }
            _ => Ok(prompt::task(&job.task, agent)),
        }
    }
}

/// The output of a step as its result tells it: the step was run by a legacy worker.
pub(super) fn output_of(result: &JobResult) -> StepOutput {
    StepOutput {
        text: result.output.clone(),
        digest: digest(&result.output),
        verdict: result.verdict.clone(),
        model: result.model.clone().unwrap_or_else(|| "unknown".to_owned()),
        usage: result.usage.unwrap_or_default(),
        simulated: result.simulated,
        execution_time: result.execution_time,
        attempts: result.attempts.max(1),
    }
}

/// What the call is for; the simulated model plays by it.
fn scene(running: &Running) -> Scene {
    let step = running.workflow.as_ref().and_then(|w| w.step(&running.job.job_id));
    Scene {
        role: step.map(|s| s.role),
        round: step.map_or(1, |s| s.round),
        agent: running.agent.name.clone(),
        brief: running.job.task.clone(),
    }
}

fn journaled(call: Call) -> Answer {
    Answer { digest: digest(&call.answer), call }
}

/// SHA-256 of a text without its outer white space.
fn digest(text: &str) -> String {
    Sha256::digest(text.trim().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
