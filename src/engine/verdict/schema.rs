//! The form of a verdict as providers are asked for it, and what is wrong with an answer that has none.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{json, parse_verdict};
use crate::model::VerdictKind;

/// The most complaints that a model is told of at once.
const MAX_PROBLEMS: usize = 3;

/// What the form is called at providers.
pub const NAME: &str = "verdict";

/// The form: strict, as providers demand it (every field required, no others, no limits on numbers).
pub static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let finding = json!({
        "type": "object",
        "properties": {
            "severity": {"type": "string", "enum": ["critical", "major", "minor"]},
            "text": {"type": "string"},
        },
        "required": ["severity", "text"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": ["approve", "revise", "reject"]},
            "score": {"type": "number"},
            "findings": {"type": "array", "items": finding},
            "must_fix": texts,
        },
        "required": ["verdict", "score", "findings", "must_fix"],
        "additionalProperties": false,
    })
});

/// Why an answer holds no verdict; `None`: it does. What is not quite of the form but clear counts: a
/// verdict is worth more than its commas.
pub fn unreadable(text: &str) -> Option<String> {
    if parse_verdict(text).verdict != VerdictKind::Unstructured {
        return None;
    }
    let found = json::objects(text).pop().map(Value::Object);
    Some(match found {
        None => "there is no JSON object in it".to_owned(),
        Some(object) => {
            let problems = problems(&object);
            match problems.is_empty() {
                true => "its verdict is none of approve, revise and reject".to_owned(),
                false => problems.join("; "),
            }
        }
    })
}

/// What is wrong with a value by the schema.
fn problems(value: &Value) -> Vec<String> {
    static VALIDATOR: LazyLock<Option<jsonschema::Validator>> =
        LazyLock::new(|| jsonschema::validator_for(&SCHEMA).ok());
    let Some(validator) = VALIDATOR.as_ref() else { return Vec::new() };
    let tell = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        let text: String = error.to_string().chars().take(200).collect();
        if place.is_empty() { text } else { format!("{place}: {text}") }
    };
    validator.iter_errors(value).take(MAX_PROBLEMS).map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_verdict_fits_and_a_bad_one_is_told_why() {
        let good =
            r#"{"verdict":"revise","score":0.4,"findings":[{"severity":"major","text":"x"}],"must_fix":[]}"#;
        assert_eq!(unreadable(good), None);
        assert!(problems(&serde_json::from_str(good).unwrap()).is_empty());
        // Clear, if not in the form.
        assert_eq!(unreadable("Verdict: approve"), None);
        assert_eq!(unreadable("{'verdict': 'needs work'}"), None);
        let why = unreadable("I like it.").unwrap();
        assert!(why.contains("no JSON object"), "{why}");
        let why = unreadable(r#"{"score": 1}"#).unwrap();
        assert!(why.contains("verdict"), "{why}");
        let why = unreadable(r#"{"verdict": 7, "score": 1, "findings": [], "must_fix": []}"#).unwrap();
        assert!(why.contains("/verdict"), "{why}");
    }

    #[test]
    fn the_schema_is_strict_in_the_sense_of_providers() {
        fn look(schema: &Value) {
            if let Some(properties) = schema["properties"].as_object() {
                assert_eq!(schema["additionalProperties"], false);
                let required = schema["required"].as_array().unwrap();
                assert!(properties.keys().all(|key| required.contains(&json!(key))));
                properties.values().for_each(look);
            }
            if schema["items"].is_object() {
                look(&schema["items"]);
            }
        }
        look(&SCHEMA);
        assert!(jsonschema::meta::is_valid(&SCHEMA));
    }
}
