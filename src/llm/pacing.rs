//! When a request may be made. A lane is one provider with one key: what it allows and whether it
//! works at all is the same for every process that uses it, so whoever paces is told how requests went.

use std::time::Duration;

use async_trait::async_trait;

use super::{ModelError, ModelErrorKind};

/// One provider with one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The name of the provider.
    pub provider: String,
    /// Tells keys apart without giving one away: the beginning of a hash of address and key.
    pub fingerprint: String,
    /// How many requests a minute the configuration allows; `None`: what the provider lets through.
    pub requests_per_minute: Option<u32>,
}

impl Lane {
    /// `groq-1f2e3d4c`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.provider, self.fingerprint)
    }
}

/// How a request went, as far as the next ones have to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was answered, with whatever.
    Answered {
        /// How many requests the provider still allows before its limit refills, and when it does.
        remaining: Option<(u64, Duration)>,
    },
    /// It was refused or failed.
    Failed { kind: ModelErrorKind, retry_after: Option<Duration>, why: String },
}

/// Says when a request may be made.
#[async_trait]
pub trait Pacer: Send + Sync {
    /// Waits until a request may be made. An error with `requests: 0` and a `retry_after` says that this
    /// is further away than `longest`, and of which kind the reason is.
    async fn admit(&self, lane: &Lane, longest: Duration) -> Result<(), ModelError>;

    /// Tells how a request went that was admitted.
    async fn tell(&self, lane: &Lane, outcome: Outcome);
}

/// Lets every request go at once.
pub struct Unpaced;

#[async_trait]
impl Pacer for Unpaced {
    async fn admit(&self, _: &Lane, _: Duration) -> Result<(), ModelError> {
        Ok(())
    }

    async fn tell(&self, _: &Lane, _: Outcome) {}
}
