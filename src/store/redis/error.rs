//! From Redis' errors to the contract's. No text of ours ever holds the password of the URL.

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Where the store is, as it may be shown: host and port, or the path of the socket.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub shown: String,
    /// What must not be shown, should an error repeat it.
    pub password: Option<String>,
}

impl Place {
    pub fn unavailable(&self, why: impl std::fmt::Display) -> StoreError {
        StoreError::Unavailable(self.clean(format!("Redis at {}: {why}", self.shown)))
    }

    /// What an error of Redis means to the caller.
    pub fn explain(&self, error: &RedisError) -> StoreError {
        let text = error.to_string();
        // Old servers wrap the error of a script's command into one of the script: the code is inside.
        let is = |code: &str| error.code() == Some(code) || text.contains(&format!("{code} "));
        if is("OOM") || is("MISCONF") {
            StoreError::Full(self.clean(text))
        } else if is("WRONGTYPE") {
            StoreError::Corrupt { what: "a key".to_owned(), why: self.clean(text) }
        } else {
            self.unavailable(text)
        }
    }

    fn clean(&self, text: String) -> String {
        match &self.password {
            Some(password) if !password.is_empty() => text.replace(password.as_str(), "***"),
            _ => text,
        }
    }
}

/// A reply that the caller's script or command never gives.
pub(super) fn unexpected(what: &str) -> StoreError {
    StoreError::Corrupt { what: format!("Redis' reply to {what}"), why: "it has another form".to_owned() }
}

/// Whether the connection that gave this error is of no more use: it is gone, hangs, has lost its way in
/// the protocol, or leads to a server that takes no writes any more (a demoted primary).
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
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
