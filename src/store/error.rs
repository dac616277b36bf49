//! Errors of the storage layer. No SQL and no Redis types leak through.

/// Why the store could not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is not ready. Worth trying again; whether a write that ended
    /// this way was made is unknown, so writes must be conditional to be repeated.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store is full (disk, `maxmemory`). Nothing was written.
    #[error("the store is full: {0}")]
    Full(String),
    /// A stored value is not what it should be.
    #[error("{what} in the store cannot be read: {why}")]
    Corrupt { what: String, why: String },
    /// The store is there and is not one to work on, as it is set up. Trying again does not help.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
    /// The caller broke a limit of the contract.
    #[error("the request breaks a limit of the store: {0}")]
    Invalid(String),
}
