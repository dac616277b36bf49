//! From Redis' errors to the contract's. No text of ours ever holds a password of the configuration.

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::trouble::{Trouble, Troubles};
use crate::store::StoreError;

/// Where the store is, and what is wrong there.
#[derive(Default)]
pub(super) struct Place {
    /// As it may be shown: host and port, or the path of the socket.
    pub shown: String,
    /// What must not be shown, should an error repeat it.
    pub secrets: Vec<String>,
    pub troubles: Troubles,
}

impl Place {
    pub fn unavailable(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::Unavailable(self.clean(format!("Redis at {}: {why}", self.shown)))
    }

    /// What an error of Redis means to the caller. The first of its kind is logged.
    pub fn explain(&self, error: &RedisError) -> StoreError {
        let text = error.to_string();
        if error.code() == Some("WRONGTYPE") || text.contains("WRONGTYPE ") {
            return StoreError::Corrupt { what: "a key".to_owned(), why: self.clean(text) };
        }
        let trouble = Trouble::of(error);
        let told = self.clean(match trouble {
            Trouble::Other => format!("Redis at {}: {text}", self.shown),
            _ => format!("Redis at {}: {} ({text})", self.shown, trouble.sentence()),
        });
        self.troubles.met(trouble, &told);
        match trouble {
            Trouble::OutOfMemory | Trouble::CannotSave => StoreError::Full(told),
            Trouble::NoHashTag => StoreError::Unusable(told),
            _ => StoreError::Unavailable(told),
        }
    }

    fn clean(&self, text: String) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// A reply that the caller's script or command never gives.
pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Corrupt { what: format!("Redis' reply to {what}"), why: "it has another form".to_owned() }
}

/// Whether the connection that gave this error is of no more use: it is gone, hangs, has lost its way in
/// the protocol, is not let in any more, or leads to a server that takes no writes (a demoted primary).
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.code() == Some("NOAUTH")
        || matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::Server(
                    ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::Moved
                )
        )
}

/// Whether the server said that it does not know the script.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
