//! Our requests and the fake server's answers, held against what OpenAI publishes.
//!
//! `schemas.json` is cut from OpenAI's own OpenAPI document (data of 2026-08-21, MIT, see `LICENSE`):
//! chat completions and responses, without descriptions and examples.

mod answers;
mod requests;

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

const SCHEMAS: &str = include_str!("schemas.json");

/// One of the published schemas.
pub struct Published {
    validator: Validator,
    /// The fields at its root.
    fields: BTreeSet<String>,
}

impl Published {
    pub fn new(name: &str) -> Self {
        let mut document: Value = serde_json::from_str(SCHEMAS).unwrap();
        allow_null(&mut document);
        let fields = fields(&document, &document["components"]["schemas"][name]);
        let reference = format!("#/components/schemas/{name}");
        let schema = json!({"$ref": reference, "components": document["components"]});
        Self { validator: jsonschema::draft202012::new(&schema).unwrap(), fields }
    }

    /// Panics when a value does not fit, or has a field at its root that is not published.
    pub fn check(&self, value: &Value) {
        let errors: Vec<String> =
            self.validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{value:#}\n{errors:#?}");
        for field in value.as_object().unwrap().keys() {
            assert!(self.fields.is_empty() || self.fields.contains(field), "{field} is not published");
        }
    }
}

/// The document says `nullable`, which JSON Schema does not know.
fn allow_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(allow_null);
            if fields.remove("nullable") == Some(true.into()) {
                *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_null),
        _ => {}
    }
}

fn fields(document: &Value, schema: &Value) -> BTreeSet<String> {
    let own = schema["properties"].as_object().into_iter().flat_map(|p| p.keys().cloned());
    let reference = schema["$ref"].as_str().and_then(|r| document.pointer(r.trim_start_matches('#')));
    let parts = schema["allOf"].as_array().into_iter().flatten().chain(reference);
    own.chain(parts.flat_map(|part| fields(document, part))).collect()
}

#[test]
fn the_schemas_tell_good_requests_from_bad_ones() {
    let request = Published::new("CreateChatCompletionRequest");
    let good = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop": null});
    request.check(&good);
    for (field, value) in [
        ("messages", json!([])),
        ("messages", json!([{"role": "user"}])),
        ("messages", json!([{"role": "tool", "content": "x"}])),
        ("max_tokens", json!("many")),
        ("tools", json!([{"type": "function", "name": "x"}])),
        ("response_format", json!({"type": "json_schema", "schema": {}})),
        ("max_token", json!(5)),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| request.check(&bad)));
        assert!(checked.is_err(), "{bad}");
    }
}
