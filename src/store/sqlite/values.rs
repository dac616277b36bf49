//! How values of the contract are stored in columns.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::store::{Queue, Token};

impl ToSql for Queue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.rank()).into())
    }
}

impl FromSql for Queue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let rank = value.as_i64()?;
        Queue::from_rank(rank).ok_or(FromSqlError::OutOfRange(rank))
    }
}

/// Tokens are given out from 1 upwards, so one beyond `i64` never was, and -1 finds nothing.
impl ToSql for Token {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(-1).into())
    }
}

impl FromSql for Token {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|token| Token(token as u64))
    }
}
