//! What can go wrong with a model call, by what has to be done about it.

use std::time::Duration;

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelErrorKind {
    /// No connection, or it broke.
    Connection,
    /// The provider took too long.
    Timeout,
    /// Too many requests; waiting helps.
    RateLimited,
    /// 408, 409, 5xx: a fault on the provider's side; waiting may help.
    Unavailable,
    /// The key is wrong or has no right (401, 403).
    Auth,
    /// The account has no money or its limit is reached.
    Billing,
    /// The model does not exist (404).
    UnknownModel,
    /// The prompt is longer than the model can read.
    ContextTooLong,
    /// The request was refused for another reason (4xx).
    BadRequest,
    /// The provider answered something that is no completion.
    BadAnswer,
    /// The model or a filter refused to answer.
    Refused,
}

impl ModelErrorKind {
    /// Whether the same request may succeed later without anybody doing anything.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Connection | Self::Timeout | Self::RateLimited | Self::Unavailable | Self::BadAnswer
        )
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::UnknownModel => "unknown_model",
            Self::ContextTooLong => "context_too_long",
            Self::BadRequest => "bad_request",
            Self::BadAnswer => "bad_answer",
            Self::Refused => "refused",
        }
    }
}

impl ModelError {
    /// An error that no answer of a provider stands behind.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, status: None, code: None, retry_after: None, requests: 1, context_limit: None }
    }

    /// How long the request has to wait, where that is all that is wrong: the provider said so, or
    /// whoever paces did not let it begin.
    pub fn asks_to_wait(&self) -> Option<Duration> {
        self.retry_after.filter(|_| self.requests == 0 || self.kind == ModelErrorKind::RateLimited)
    }
}

/// A model call that did not end in an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    pub kind: ModelErrorKind,
    /// For a person, without keys: what the provider said and what to do.
    pub message: String,
    pub status: Option<u16>,
    /// The provider's own error code.
    pub code: Option<String>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// How many requests were made.
    pub requests: u32,
    /// How many tokens the model can read, where the provider says so.
    pub context_limit: Option<u64>,
}
