//! SQLite's errors in the words of the contract.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) = error {
            return StoreError::Corrupt { what: "a column".into(), why: error.to_string() };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::TooBig) => StoreError::Full(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { what: "the database".into(), why: error.to_string() }
            }
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// What every verb answers after [`Store::close`](crate::store::Store::close).
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

/// A step that panicked is a fault of this program; the store goes on without it.
pub(super) fn panicked() -> StoreError {
    StoreError::Unavailable("a step failed by a fault in the program; it was undone".into())
}
