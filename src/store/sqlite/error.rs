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
            Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                StoreError::Unavailable(format!(
                    "{error}: see that the disk of WORKSPACE_DIR is sound and can be written by this process"
                ))
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

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    #[test]
    fn a_database_that_cannot_be_written_says_where_to_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let conn = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let refused = StoreError::from(conn.execute("INSERT INTO t VALUES (1)", []).unwrap_err());
        let said = refused.to_string();
        assert!(matches!(refused, StoreError::Unavailable(_)) && said.contains("can be written"), "{said}");
    }
}
