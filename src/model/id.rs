//! Names of jobs and workflows.

use uuid::Uuid;

/// The longest id that is accepted from outside.
pub const MAX_ID_CHARS: usize = 200;

/// A fresh random id (UUID version 4, as the legacy system made them).
pub fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// The id of something that follows from something else: always the same for the same input, so
/// that a follow-up that is created twice is created once.
pub fn derived_id(root: &str, what: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{root}/{what}").as_bytes()).to_string()
}

/// Reads an id that a legacy worker may have written as a number (a time with a fraction).
pub fn lenient_id<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match <Id as serde::Deserialize>::deserialize(d)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

/// Foreign programs choose their own job ids; this says which ones can be used as keys.
pub fn is_valid_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= MAX_ID_CHARS && !id.chars().any(|c| c.is_control())
}
