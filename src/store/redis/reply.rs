//! Taking replies apart. A reply of another form than the script gives is an error, never a panic.

use deadpool_redis::redis::Value;

use super::error::unexpected;
use crate::store::StoreError;

/// A reply that is being read, with the name of what was asked.
pub struct Reply {
    what: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Reply {
    pub fn of(what: &'static str, value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(values) => Ok(Self { what, values: values.into_iter() }),
            _ => Err(unexpected(what)),
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.len() == 0
    }

    pub(super) fn next(&mut self) -> Result<Value, StoreError> {
        self.values.next().ok_or_else(|| unexpected(self.what))
    }

    pub fn array(&mut self) -> Result<Reply, StoreError> {
        Reply::of(self.what, self.next()?)
    }

    /// A number, also one that was sent as text.
    pub fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        let value = self.next()?;
        number(self.what, &value)
    }

    /// The same, or `None` for nothing.
    pub fn optional_number<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, StoreError> {
        match self.next()? {
            Value::Nil => Ok(None),
            value => number(self.what, &value).map(Some),
        }
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional_bytes()?.ok_or_else(|| unexpected(self.what))
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes).map_err(|_| unexpected(self.what))
    }

    pub fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.next()?;
        bytes(self.what, value)
    }
}

/// A number, also one that was sent as text.
pub(super) fn number<T: TryFrom<i64>>(what: &'static str, value: &Value) -> Result<T, StoreError> {
    let number = match value {
        Value::Int(number) => Some(*number),
        // A score: whole, but perhaps in the form 2.3e+18.
        Value::BulkString(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok().or_else(|| text.parse().ok().map(|score: f64| score as i64))),
        _ => None,
    };
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| unexpected(what))
}

/// Bytes, or `None` for nothing.
pub(super) fn bytes(what: &'static str, value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        _ => Err(unexpected(what)),
    }
}
