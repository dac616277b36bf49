//! Classes of failures: what an attempt failed of, as far as the next one has to know.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an attempt failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The provider was not reached, or the connection broke.
    Connection,
    /// Something took too long: the provider, or the whole attempt.
    Timeout,
    /// A fault on the provider's side.
    ServerError,
    /// Too many requests.
    RateLimited,
    /// Others changed the same thing at the same time, or the store was away.
    Store,
    /// Anything else.
    Other,
}

impl FailureClass {
    pub const ALL: [Self; 6] =
        [Self::Connection, Self::Timeout, Self::ServerError, Self::RateLimited, Self::Store, Self::Other];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::ServerError => "server_error",
            Self::RateLimited => "rate_limited",
            Self::Store => "store",
            Self::Other => "other",
        }
    }
}
