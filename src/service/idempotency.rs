//! `Idempotency-Key`: the same request made twice makes one job.
//!
//! The id of the job or workflow is derived from the path and the key, so that its creation, which
//! expects that the id is free, can happen once only, whoever tries at the same time. A digest of the
//! request is kept in the document: the same key with another request is a mistake.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::derived_id;

use super::{FieldProblem, ServiceError, keys::DEFAULT_NAME};

/// The longest key.
pub const MAX_KEY_CHARS: usize = 255;

/// A key that a client chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// 1 to 255 visible ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits =
            (1..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| (0x21..0x7f).contains(&b));
        fits.then(|| Self(text.to_owned()))
    }
}

/// An answer, and whether it was given before.
#[derive(Debug, Clone)]
pub struct Answered<T> {
    pub answer: T,
    /// True when an earlier request with the same key made what this one asked for.
    pub replayed: bool,
}

/// A request that is to have its effect once.
pub(super) struct Once {
    /// The id of what it makes.
    pub id: String,
    pub digest: String,
}

impl Once {
    /// `by` is the name of the API key that asks. What one key of its clients made is of no concern to another's: each
    /// has names of its own, those that came before there were named keys as they were.
    pub fn new(path: &str, key: &IdempotencyKey, by: Option<&str>, request: &impl Serialize) -> Self {
        let request = serde_json::to_value(request).expect("a request is plain JSON");
        let root = match by.filter(|by| *by != DEFAULT_NAME) {
            Some(by) => format!("idempotency:{path}:{by}"),
            None => format!("idempotency:{path}"),
        };
        Self {
            id: derived_id(&root, &key.0),
            digest: Sha256::digest(canonical(request).to_string())
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
        }
    }

    /// What was made under this key must have been made by the same request.
    pub fn same(&self, digest: Option<&str>) -> Result<(), ServiceError> {
        if digest == Some(self.digest.as_str()) {
            return Ok(());
        }
        Err(ServiceError::Invalid(vec![FieldProblem {
            loc: vec!["header".to_owned(), "Idempotency-Key".to_owned()],
            kind: "idempotency_mismatch",
            message: "This Idempotency-Key was used for another request; a new request needs a new key"
                .to_owned(),
        }]))
    }
}

/// The same for requests that say the same: objects in the order of their keys, without nulls.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(key, value)| (key, canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_that_say_the_same_have_one_digest() {
        let key = IdempotencyKey::parse("k").unwrap();
        let digest = |request: Value| Once::new("/p", &key, None, &request).digest;
        assert_eq!(digest(json!({"a": 1, "b": null})), digest(json!({"a": 1})));
        assert_eq!(
            digest(json!({"a": {"y": [1, {"d": 1, "c": 2}], "x": 1}})),
            digest(json!({"a": {"x": 1, "y": [1, {"c": 2, "d": 1}]}}))
        );
        assert_ne!(digest(json!({"a": [1, 2]})), digest(json!({"a": [2, 1]})));
    }

    #[test]
    fn a_key_is_its_own_on_every_path_and_for_every_client() {
        let key = IdempotencyKey::parse("k").unwrap();
        let id = |path, by, request: i32| Once::new(path, &key, by, &request).id;
        assert_ne!(id("/a", None, 1), id("/b", None, 1));
        assert_eq!(id("/a", None, 1), id("/a", None, 2));
        assert_eq!(id("/a", None, 1), id("/a", Some("default"), 1));
        assert_ne!(id("/a", None, 1), id("/a", Some("ci"), 1));
        assert_ne!(id("/a", Some("ci"), 1), id("/a", Some("cd"), 1));
    }

    #[test]
    fn keys_are_visible_ascii_of_a_bounded_length() {
        for good in ["k", "a-b_c.d~!", &"x".repeat(255)] {
            assert!(IdempotencyKey::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "ü", "a\tb", &"x".repeat(256)] {
            assert!(IdempotencyKey::parse(bad).is_none(), "{bad}");
        }
    }
}
