//! What comes of a job's conversation with its model: an answer, or why there is none.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    engine::{advance::StepOutput, retry::Failure},
    llm::{ChatAnswer, ModelError, ModelErrorKind},
    model::{AttemptOutcome, Call, FailureClass, JobResult, Spending},
    service::{ServiceError, uploads::UploadAnalysis},
};

use super::fail::Fault;

/// An answer that is in the journal.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The call that gave it.
    pub call: Call,
    /// What all calls of the job have used.
    pub spending: Spending,
    /// SHA-256 of the text without its outer white space.
    pub digest: String,
    /// What came of an upload's analysis, and the report on it.
    pub analysed: Option<Box<(UploadAnalysis, String)>>,
}

impl Answer {
    /// The last of a job's calls, which has the answer.
    pub(super) fn of(calls: &[Call]) -> Option<Self> {
        let call = calls.last()?.clone();
        let mut spending = Spending::default();
        calls.iter().for_each(|call| spending += call.spending());
        Some(Self { digest: digest(&call.answer), call, spending, analysed: None })
    }

    /// What the result says: the answer, or the report that was made of it.
    pub fn text(&self) -> &str {
        self.analysed.as_ref().map_or(&self.call.answer, |analysed| &analysed.1)
    }

    /// Whether it ends early.
    pub fn is_truncated(&self) -> bool {
        ChatAnswer::is_cut_by(self.call.finish_reason.as_deref())
    }
}

/// Why the model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The conversation leads nowhere.
    #[error("stopped: {0}")]
    Stopped(String),
    /// A budget in dollars cannot be kept with a model of unknown price.
    #[error(
        "the price of {0} is unknown, so a budget in dollars cannot be kept; set its price (PRICES_FILE or \
         `prices` of its provider), or use a budget in tokens"
    )]
    NoPrice(String),
    /// What it waited for did not come.
    #[error("it has waited for {} h: {why}", .hours)]
    WaitedTooLong { hours: u64, why: String },
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
            Self::Stopped(_) | Self::NoPrice(_) | Self::WaitedTooLong { .. } => {
                let class = FailureClass::Other;
                (AttemptOutcome::Failed, Failure { class, retryable: false, retry_after: None })
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

/// The output of a step as its result tells it: the step was run by a legacy worker.
pub(in crate::service) fn output_of(result: &JobResult) -> StepOutput {
    StepOutput {
        text: result.output.clone(),
        digest: digest(&result.output),
        verdict: result.verdict.clone(),
        model: result.model.clone().unwrap_or_else(|| "unknown".to_owned()),
        truncated: result.truncated,
        spending: spending_of(result),
        simulated: result.simulated,
        execution_time: result.execution_time,
        attempts: result.attempts.max(1),
    }
}

/// What a job has used as far as its result tells it.
pub(in crate::service) fn spending_of(result: &JobResult) -> Spending {
    result.usage.map_or_else(Spending::default, |usage| Spending::of(usage, result.cost_usd))
}

/// SHA-256 of a text without its outer white space.
fn digest(text: &str) -> String {
    Sha256::digest(text.trim().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
