//! A job's conversation with its model: asks, journals, runs tools, until there is an answer or a reason
//! why there is none.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{
    engine::conversation::Next,
    llm::{ModelError, ModelErrorKind},
    model::Call,
    service::{
        ServiceError,
        execution::{
            Answer, AnswerError, Conversation, Execution, LONGEST_WAIT, Postponement, Question, Reserved,
            Running,
        },
    },
};

use super::{
    Shared,
    persist::{persist, persist_or},
};

/// How long a paid answer is offered to a store that is away.
const JOURNAL_WITHIN: Duration = Duration::from_secs(600);
/// How often: it has to be there before another worker asks for it.
const JOURNAL_RHYTHM: Duration = Duration::from_millis(100);
/// How soon a provider is asked again that had shut its circuit when it was last asked.
const SHUT_AGAIN: Duration = Duration::from_secs(30);

/// What became of a conversation.
pub(super) enum Outcome {
    Answered(Box<Result<Answer, AnswerError>>),
    /// It cannot go on now.
    PutOff(Postponement),
    /// The worker stops: the job is to be given back.
    GivenBack,
    /// The lease is lost, or the store does not take what has to be written.
    Gone,
}

impl Outcome {
    fn answered(answer: Result<Answer, AnswerError>) -> Self {
        Self::Answered(Box::new(answer))
    }
}

/// What ends a conversation from outside.
pub(super) struct Bounds<'a> {
    pub shared: &'a Shared,
    pub lost: &'a CancellationToken,
    pub deadline: Instant,
    pub timeout: Duration,
}

/// `fresh`: nobody has asked for this job before.
pub(super) async fn converse(
    execution: &Execution,
    running: &Running,
    fresh: bool,
    bounds: &Bounds<'_>,
) -> Outcome {
    let lost = bounds.lost;
    let project = match bounds.within(execution.project(running)).await {
        Ok(Ok(project)) => project,
        Ok(Err(error)) => return Outcome::answered(Err(error.into())),
        Err(outcome) => return outcome,
    };
    let open = || execution.open(running, project.clone(), fresh);
    let Some(mut conversation) = persist(lost, open).await else {
        return Outcome::Gone;
    };
    let mut asked = false;
    loop {
        let next = execution.next(running, &conversation);
        match &next {
            Next::Done => {
                let Some(answer) = execution.answer(running, &conversation).await else {
                    return Outcome::Gone;
                };
                return Outcome::answered(Ok(answer));
            }
            Next::Stop(reason) => return Outcome::answered(Err(AnswerError::Stopped(reason.clone()))),
            Next::RunTools(instead) => {
                let outputs = bounds.within(execution.run_tools(&conversation, instead)).await;
                let outputs = match outputs {
                    Ok(outputs) => outputs,
                    Err(outcome) => return outcome,
                };
                match persist(lost, || execution.note_tools(&conversation, &outputs)).await {
                    Some(call) => conversation.add(call),
                    None => return Outcome::Gone,
                }
            }
            Next::AskFirst | Next::AskAgain { .. } => {
                let question = match prepare(execution, running, &conversation, &next, lost, asked).await {
                    Ok(question) => question,
                    Err(outcome) => return outcome,
                };
                // A process that was frozen since is not told yet that its lease is lost; its own clock knows.
                bounds.shared.held.lose_overdue(Instant::now());
                if lost.is_cancelled() {
                    return Outcome::Gone;
                }
                // An answer that is there is kept, whatever else has happened.
                let reply = match bounds.within(execution.ask(running, question)).await {
                    Ok(reply) => reply,
                    Err(outcome) => return outcome,
                };
                match reply {
                    Ok(call) => match journal(execution, running, &call).await {
                        Ok(call) => {
                            asked = true;
                            conversation.add(call);
                        }
                        Err(e) => return Outcome::answered(Err(e.into())),
                    },
                    Err((question, error)) => {
                        asked |= error.requests > 0;
                        if execution.shorten(running, &mut conversation, &question, &error) {
                            log::info!(job_id = running.job.job_id.as_str();
                                "the prompt is longer than the model can read and is cut");
                            continue;
                        }
                        return failed(execution, running, error, asked);
                    }
                }
            }
        }
    }
}

/// The question, with what it can use reserved.
async fn prepare(
    execution: &Execution,
    running: &Running,
    conversation: &Conversation,
    next: &Next,
    lost: &CancellationToken,
    asked: bool,
) -> Result<Question, Outcome> {
    let question = persist_or(lost, Duration::MAX, || execution.question(running, conversation, next)).await;
    // What it needs may be gone for good: then the job has to end, which a lost lease would not do.
    let question = question.ok_or(Outcome::Gone)?;
    let mut question = question.map_err(|error| Outcome::answered(Err(error.into())))?;
    let reserved = persist(lost, || execution.reserve(running, &question)).await;
    let now = execution.foundation().clock.now();
    match reserved.ok_or(Outcome::Gone)? {
        Reserved::Yes(longest_answer) => {
            question.limit(longest_answer);
            Ok(question)
        }
        Reserved::Exceeded(budget) => Err(Outcome::PutOff(Postponement::used_up(&budget, now, asked))),
        Reserved::Busy(budget) => Err(Outcome::PutOff(Postponement::busy(&budget, asked))),
        Reserved::NoPrice(model) => Err(Outcome::answered(Err(AnswerError::NoPrice(model)))),
        Reserved::LeaseLost => Err(Outcome::Gone),
    }
}

/// What a model's error means for the attempt: most fail it, a provider that asks to wait puts it off.
fn failed(execution: &Execution, running: &Running, error: ModelError, asked: bool) -> Outcome {
    // A job that waited for a shut circuit and tried it has done nothing wrong: it waits on.
    let waited = running.job.postponed_since.is_some();
    let shut = waited && matches!(error.kind, ModelErrorKind::Auth | ModelErrorKind::Billing);
    let Some(wait) = error.asks_to_wait().or(shut.then_some(SHUT_AGAIN)) else {
        return Outcome::answered(Err(error.into()));
    };
    if execution.waits_since(running) > LONGEST_WAIT {
        let hours = LONGEST_WAIT.num_hours().unsigned_abs();
        return Outcome::answered(Err(AnswerError::WaitedTooLong { hours, why: error.message }));
    }
    // Not all at the same moment.
    let wait = wait + wait.min(Duration::from_secs(10)).mul_f64(rand::random::<f64>() / 10.0);
    let provider = execution.provider_of(running);
    Outcome::PutOff(Postponement::provider(&provider, &error.message, wait, asked))
}

/// Writes a paid answer down, also when the lease is lost meanwhile: the journal is what keeps it
/// from being paid twice. Gives up after [`JOURNAL_WITHIN`].
async fn journal(execution: &Execution, running: &Running, call: &Call) -> Result<Call, ServiceError> {
    let give_up = CancellationToken::new();
    let write = persist_or(&give_up, JOURNAL_RHYTHM, || execution.journal(running, call));
    match tokio::time::timeout(JOURNAL_WITHIN, write).await {
        Ok(Some(Ok(call))) => Ok(call),
        Ok(Some(Err(e))) => Err(e),
        _ => Err(ServiceError::Conflict("the store did not take the answer in time".to_owned())),
    }
}

impl Bounds<'_> {
    /// Does something unless the attempt ends first; dropping it ends it.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            // A worker that lost its job spends nothing more on it.
            () = self.lost.cancelled() => Err(Outcome::Gone),
            () = tokio::time::sleep_until(self.deadline.into()) => {
                Err(Outcome::answered(Err(AnswerError::TimedOut(self.timeout))))
            }
            () = self.shared.giving_back.cancelled() => Err(Outcome::GivenBack),
        }
    }
}
