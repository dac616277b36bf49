//! What a verb can fail of. HTTP makes status codes of it in one place.

use crate::{blobs::BlobError, store::StoreError};

/// One bad field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Where it is: `["body", "job"]`.
    pub loc: Vec<String>,
    /// A stable name: `missing`, `too_long`, …
    pub kind: &'static str,
    /// What is wrong, the limit, and what to do.
    pub message: String,
}

impl FieldProblem {
    /// A problem of a field of the body.
    pub fn body(field: &str, kind: &'static str, message: impl Into<String>) -> Self {
        Self { loc: vec!["body".to_owned(), field.to_owned()], kind, message: message.into() }
    }
}

/// Why a verb was not carried out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The request is not acceptable.
    #[error("the request has {} bad field(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// Somebody else changed the same thing at the same time, again and again.
    #[error("{0}")]
    Conflict(String),
    /// There is not room enough for it on the disk.
    #[error("{0}")]
    NoRoom(String),
    /// What was sent is larger than allowed.
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// A stored file is not what it was.
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ServiceError {
    /// Whether the same may succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Store(StoreError::Unavailable(_) | StoreError::Full(_)) => true,
            Self::Blob(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether everything else would fail of it now as well: what was asked is away, full or not to be used.
    pub fn is_general(&self) -> bool {
        match self {
            Self::Store(error) => {
                matches!(error, StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Unusable(_))
            }
            Self::Blob(error) => matches!(
                error,
                BlobError::Unreachable { .. } | BlobError::NoBucket { .. } | BlobError::Refused { .. }
            ),
            _ => false,
        }
    }

    /// One bad field of the body.
    pub fn field(field: &str, kind: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::body(field, kind, message)])
    }
}
