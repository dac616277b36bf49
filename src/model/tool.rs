//! Tools: what a model may ask to be done while it works.

use serde_json::Value;

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// 1 to 64 of `a-z A-Z 0-9 _ -`, as providers demand.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON schema of its arguments: an object.
    pub parameters: Value,
}

/// The arguments of a tool call, which models write with more or less care: an object, or what is wrong.
///
/// Borne is what can be meant in one way only: nothing at all for no arguments, JSON inside a JSON string,
/// a fence of Markdown around it, raw line breaks in strings, commas before a closing bracket, brackets
/// closed once too often.
pub fn parse_arguments(text: &str) -> Result<Value, String> {
    let mut text = without_fence(text.trim()).to_owned();
    // A string in a string in a string has been seen; there has to be an end.
    for _ in 0..3 {
        if text.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        let read = serde_json::from_str(&text)
            .or_else(|error| serde_json::from_str(&mended(&text)).map_err(|_| error));
        match read {
            Ok(Value::Object(arguments)) => return Ok(Value::Object(arguments)),
            Ok(Value::Null) => return Ok(Value::Object(serde_json::Map::new())),
            Ok(Value::String(inner)) => text = without_fence(inner.trim()).to_owned(),
            Ok(_) => break,
            Err(error) => return Err(format!("the arguments are no valid JSON: {error}")),
        }
    }
    Err("the arguments must be a JSON object, such as {\"name\": \"value\"}".to_owned())
}

/// The text inside of a fence of Markdown, if it stands in one.
fn without_fence(text: &str) -> &str {
    text.strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .map_or(text, |rest| rest.strip_prefix("json").unwrap_or(rest).trim())
}

/// The text with the faults put right that cannot be read in two ways.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut depth, mut in_string, mut escaped) = (0_i32, false, false);
    for (at, c) in text.char_indices() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                '\n' => {
                    out.push_str("\\n");
                    continue;
                }
                '\t' => {
                    out.push_str("\\t");
                    continue;
                }
                '\r' => {
                    out.push_str("\\r");
                    continue;
                }
                _ => {}
            }
            out.push(c);
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if text[at + 1..].trim_start().starts_with(['}', ']']) => continue,
            _ => {}
        }
        out.push(c);
        if depth == 0 && matches!(c, '}' | ']') {
            let rest = &text[at + c.len_utf8()..];
            if !rest.chars().all(|c| c.is_whitespace() || matches!(c, '}' | ']' | ';')) {
                out.push_str(rest);
            }
            break;
        }
    }
    out
}

/// JSON with its keys in order and its numbers in one form, so that equal values are equal texts.
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (n, (name, value)) in fields.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        // 1 and 1.0 are the same number.
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 => {
                out.push_str(&format!("{float}"));
            }
            _ => out.push_str(&number.to_string()),
        },
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_read_as_they_are_meant() {
        for text in [
            r#"{"a": "b"}"#,
            r#" {"a": "b"} "#,
            r#""{\"a\": \"b\"}""#,
            r#""\"{\\\"a\\\": \\\"b\\\"}\"""#,
            "```json\n{\"a\": \"b\"}\n```",
            r#"{"a": "b",}"#,
            r#"{"a": "b"}}"#,
            r#"{"a": "b"};"#,
        ] {
            assert_eq!(parse_arguments(text), Ok(json!({"a": "b"})), "{text}");
        }
        for text in ["", "  ", "null", "{}", "\"\"", "```\n```"] {
            assert_eq!(parse_arguments(text), Ok(json!({})), "{text}");
        }
        assert_eq!(parse_arguments("{\"a\": \"x\ny\t\\\"z\"}"), Ok(json!({"a": "x\ny\t\"z"})));
        assert_eq!(parse_arguments(r#"{"a": [1, 2,], "b": "1,}"}"#), Ok(json!({"a": [1, 2], "b": "1,}"})));
    }

    #[test]
    fn what_can_be_meant_in_two_ways_is_refused() {
        for text in [
            r#"{"a": "b"#,
            r#"{"a": "b""#,
            "{'a': 'b'}",
            r#"{"a": 1}{"a": 2}"#,
            "12 * 12",
            r#"{"a": 1} and more"#,
        ] {
            let error = parse_arguments(text).expect_err(text);
            assert!(error.contains("no valid JSON"), "{text}: {error}");
        }
        for text in ["[1]", "12", "true", r#""[1]""#, r#""\"\\\"\\\\\\\"x\\\\\\\"\\\"\"""#] {
            let error = parse_arguments(text).expect_err(text);
            assert!(error.contains("must be a JSON object") || error.contains("no valid"), "{text}: {error}");
        }
        assert!(parse_arguments(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn equal_values_are_equal_texts() {
        let same = canonical_json(&json!({"b": [1, {"d": 2.0, "c": null}], "a": "é\n"}));
        assert_eq!(same, canonical_json(&json!({"a": "é\n", "b": [1.0, {"c": null, "d": 2}]})));
        assert_eq!(same, r#"{"a":"é\n","b":[1,{"c":null,"d":2}]}"#);
        assert_ne!(canonical_json(&json!({"a": "1"})), canonical_json(&json!({"a": 1})));
        assert_ne!(canonical_json(&json!([1.5])), canonical_json(&json!([1])));
    }
}
