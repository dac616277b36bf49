//! The journal of model calls: an answer that was paid for is written down before it is used, and what it
//! used is counted in the same write, so that both happen once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    llm::{ChatAnswer, ModelError},
    model::{Call, JobMode, Spending, ToolOutput, Usd},
    store::{Change, Refusal},
};

use super::{Answer, Conversation, Execution, Question, Running, partial::Partial, watched::WatchedCall};
use crate::service::{ServiceError, records, uploads::Project, usage};

/// The number of a job's first call.
pub(super) const FIRST: u32 = 1;

/// Calls are read so many at once; most jobs have one.
const PAGE: u32 = 4;
/// No job makes more, whoever retries it how often.
const MOST_CALLS: u32 = 1_000;

impl Execution {
    /// Takes up a job's conversation where it was left. `fresh`: nobody has begun it before, so that there
    /// is nothing to read.
    pub async fn open(
        &self,
        running: &Running,
        project: Option<Arc<Project>>,
        fresh: bool,
    ) -> Result<Conversation, ServiceError> {
        let calls = if fresh { Vec::new() } else { self.calls_of(&running.job.job_id).await? };
        let forgiven = running.job.replays.last().map_or(0, |replay| replay.after_attempts);
        let toolbox = self.toolbox(running, project.as_ref()).await;
        Ok(Conversation::new(calls, forgiven, toolbox, project))
    }

    /// The upload whose files a job's agent may read, fetched and looked through; `None`: there is none.
    pub async fn project(&self, running: &Running) -> Result<Option<Arc<Project>>, ServiceError> {
        let of_workflow = running.workflow.as_ref().and_then(|workflow| workflow.upload_id.as_ref());
        match running.job.upload_id.as_ref().or(of_workflow) {
            Some(id) => self.uploads.project(id).await.map(Some),
            None => Ok(None),
        }
    }

    /// All journaled calls of a job, in order.
    pub async fn calls_of(&self, job_id: &str) -> Result<Vec<Call>, ServiceError> {
        Ok(records::calls_of(self.base.store.as_ref(), job_id, PAGE, MOST_CALLS).await?)
    }

    /// What the journaled calls of a job have used.
    pub(super) async fn spending_of(&self, job_id: &str) -> Result<Spending, ServiceError> {
        let mut spending = Spending::default();
        self.calls_of(job_id).await?.iter().for_each(|call| spending += call.spending());
        Ok(spending)
    }

    /// Asks the model. What comes back must go through [`Execution::journal`] before it is used.
    pub async fn ask(&self, running: &Running, question: Question) -> Result<Call, (Question, ModelError)> {
        let started_at = self.base.clock.now();
        let begun = Instant::now();
        let partial = Partial::new(&self.base, &self.streams, running, question.number);
        let watched = WatchedCall::begin(self, &question);
        let ear = partial.ear();
        let asked = watched.context().scope(self.base.provider.complete(&question.request, &ear));
        let answer = match partial.hear(asked).await {
            Ok(answer) => answer,
            Err(error) => {
                watched.failed(&error);
                return Err((question, error));
            }
        };
        let duration = Duration::from_millis(answer.duration_ms).max(begun.elapsed());
        let (cost_usd, cost_reported) = match answer.cost_usd {
            Some(reported) => (Some(reported), true),
            None => (self.price(&answer), false),
        };
        watched.answered(&answer, duration, cost_usd);
        Ok(Call {
            job_id: running.job.job_id.clone(),
            number: question.number,
            attempt: running.job.attempts.len() as u32,
            provider: answer.provider,
            model: answer.model,
            simulated: answer.simulated,
            messages: question.request.messages,
            answer: answer.text,
            tool_calls: answer.tool_calls,
            tool_outputs: Vec::new(),
            purpose: question.purpose,
            trimmed: question.trimmed,
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            cost_usd,
            cost_reported,
            first_token_ms: answer.first_token_ms,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            requests: answer.requests,
            started_at,
            ended_at: self.base.clock.now(),
        })
    }

    fn price(&self, answer: &ChatAnswer) -> Option<Usd> {
        let price = self.base.prices.of(&answer.provider, &answer.model)?;
        Some(price.cost(&answer.usage))
    }

    /// Writes a paid answer down, counts what it used and settles what was reserved for it. Not under the
    /// lease: it is kept even if this worker was too slow, and whoever has the job now uses it if it comes
    /// in time. The first answer of a number stays.
    pub async fn journal(&self, running: &Running, call: &Call) -> Result<Call, ServiceError> {
        let key = records::call_key(&call.job_id, call.number);
        loop {
            let mut change = Change::new()
                .expect(key.clone(), None)
                .put(records::put_call(call))
                // What an earlier job of this id may have left behind is not this one's.
                .delete(records::call_key(&call.job_id, call.number + 1))
                .delete(records::partial_key(&call.job_id));
            change.add = usage::adds(call, &running.agent.name);
            let change = self.settle_budgets(change, running, call).await?;
            match self.base.store.apply(change).await? {
                Ok(_) => return Ok(call.clone()),
                Err(Refusal::Changed(changed)) if changed == key => {
                    match records::load::<Call>(self.base.store.as_ref(), key.clone()).await? {
                        Some((first, _)) => return Ok(first),
                        // It has expired in this moment.
                        None => continue,
                    }
                }
                // What was reserved was given back meanwhile, or taken up again.
                Err(_) => continue,
            }
        }
    }

    /// Runs the tools that the last answer asks for; where a text stands in `instead`, it is taken for what
    /// the tool gave back.
    pub async fn run_tools(
        &self,
        conversation: &Conversation,
        instead: &[Option<String>],
    ) -> Vec<ToolOutput> {
        let Some(call) = conversation.calls.last() else { return Vec::new() };
        let wanted = call.tool_calls.iter().enumerate().map(|(n, tool_call)| async move {
            match instead.get(n).cloned().flatten() {
                Some(content) => ToolOutput {
                    tool_call_id: tool_call.id.clone(),
                    name: tool_call.name.clone(),
                    content,
                    failed: true,
                    duration_ms: 0,
                },
                None => conversation.toolbox.run(tool_call).await,
            }
        });
        futures_util::future::join_all(wanted).await
    }

    /// Writes down what the tools gave back, so that they are not run again.
    pub async fn note_tools(
        &self,
        conversation: &Conversation,
        outputs: &[ToolOutput],
    ) -> Result<Call, ServiceError> {
        let Some(last) = conversation.calls.last() else {
            return Err(ServiceError::Conflict("there is no call to run tools for".to_owned()));
        };
        let store = self.base.store.as_ref();
        let key = records::call_key(&last.job_id, last.number);
        loop {
            let found = records::load::<Call>(store, key.clone()).await?;
            let (mut call, before) = match found {
                // Another worker has run them already: what it wrote down stays.
                Some((call, _)) if !call.tool_outputs.is_empty() => return Ok(call),
                Some((call, before)) => (call, Some(before)),
                None => (last.clone(), None),
            };
            call.tool_outputs = outputs.to_vec();
            let change = Change::new().expect(key.clone(), before).put(records::put_call(&call));
            if store.apply(change).await?.is_ok() {
                return Ok(call);
            }
        }
    }

    /// The answer of a conversation that is done.
    pub async fn answer(&self, running: &Running, conversation: &Conversation) -> Option<Answer> {
        let calls: Vec<Call> = conversation.all().cloned().collect();
        let mut answer = Answer::of(&calls)?;
        if let Some(project) = conversation.project.clone().filter(|_| running.job.mode == JobMode::Analyze) {
            let (call, now) = (answer.call.clone(), self.base.clock.now());
            let conclude = move || Box::new(project.concluded(&call, now));
            answer.analysed = Some(tokio::task::spawn_blocking(conclude).await.ok()?);
        }
        Some(answer)
    }
}
