//! What a provider says in an error body. Every server has its own shape; this reads them all into one.

use serde_json::Value;

use super::{
    limits,
    text::beginning,
    wire::sse::{Frame, Parser},
};

/// The longest part of a body that is looked at as plain text.
const MAX_PLAIN: usize = 4_096;

/// An error body, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// What it says to a person; may be empty, long and untidy.
    pub message: String,
    /// Its names for the error, most specific first: code, type, status.
    pub names: Vec<String>,
    /// A code that is a number: an HTTP status in most servers that do so.
    pub number: Option<u16>,
    /// The field of the request that it is about.
    pub param: Option<String>,
    /// How many tokens the model can read.
    pub context_limit: Option<u64>,
}

impl Said {
    /// Reads any body of a failed request.
    pub(super) fn read(body: &str) -> Self {
        let body = body.trim_start_matches('\u{feff}').trim();
        if let Ok(value) = serde_json::from_str::<Value>(body) {
            return Self::from_value(&value);
        }
        match first_frame(body) {
            Some(value) => Self::from_value(&value),
            None => Self::from_plain(body),
        }
    }

    /// The error inside a body that came with a success status, if there is one.
    pub(super) fn in_success(value: &Value) -> Option<Self> {
        // OpenRouter puts the failure of the server behind it into the choice.
        let inner = &value["choices"][0];
        [value, inner].into_iter().find(|v| claims_error(v)).map(Self::from_value)
    }

    pub(super) fn from_value(value: &Value) -> Self {
        // Google answers a list of one.
        let outer = value.get(0).unwrap_or(value);
        let error = &outer["error"];
        let first = &outer["errors"][0];
        let inner = [error, first].into_iter().find(|v| v.is_object()).unwrap_or(outer);
        let mut said = Self {
            param: inner["param"].as_str().map(|p| beginning(p, 200).to_owned()),
            context_limit: inner["n_ctx"].as_u64(),
            ..Self::default()
        };
        for name in [&inner["code"], &inner["innererror"]["code"], &inner["type"], &inner["status"]] {
            said.add_name(name);
        }
        // The gateway's own words and, in OpenRouter's case, those of the server behind it.
        let places = [
            &inner["message"],
            &inner["metadata"]["raw"],
            &inner["metadata"]["reasons"],
            error,
            first,
            &outer["message"],
            &outer["detail"],
            &outer["error_description"],
            &outer["msg"],
            &outer["title"],
        ];
        for text in places.into_iter().filter_map(words) {
            if said.message.is_empty() {
                said.message = text;
            } else if !said.message.contains(&text) {
                said.message = format!("{}: {text}", said.message);
            }
        }
        if said.message.is_empty() {
            said.message = value.to_string();
        }
        said.context_limit = said.context_limit.or_else(|| limits::context_limit(&said.message));
        said
    }

    fn add_name(&mut self, name: &Value) {
        match name {
            Value::Number(number) => {
                self.number = self.number.or(number.as_u64().and_then(|n| u16::try_from(n).ok()));
            }
            Value::String(text) if !text.is_empty() => match text.parse() {
                Ok(number) => self.number = self.number.or(Some(number)),
                Err(_) => self.names.push(text.clone()),
            },
            _ => {}
        }
    }

    fn from_plain(body: &str) -> Self {
        let message = if body.starts_with('<') {
            html_title(body).map_or_else(|| "an HTML page".to_owned(), |t| format!("an HTML page: {t}"))
        } else {
            beginning(body, MAX_PLAIN).to_owned()
        };
        Self { context_limit: limits::context_limit(&message), message, ..Self::default() }
    }
}

/// The JSON of an error that comes as an event of a stream.
fn first_frame(body: &str) -> Option<Value> {
    if !["data:", "event:"].iter().any(|field| body.starts_with(field)) {
        return None;
    }
    let (mut parser, mut frames) = (Parser::default(), Vec::new());
    parser.push(body.as_bytes(), &mut frames).ok()?;
    frames.extend(parser.finish());
    frames.iter().find_map(|Frame { data, .. }| serde_json::from_slice(data).ok())
}

/// Some servers send `"error": null`, `""`, `{}` or `false` along with a good answer.
fn claims_error(value: &Value) -> bool {
    match &value["error"] {
        Value::Null => value["object"] == "error" || value["type"] == "error",
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(failed) => *failed,
        _ => true,
    }
}

/// The words in a value: a text, or the texts of a list of complaints as FastAPI writes it.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().take(10).filter_map(words).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        Value::Object(fields) => {
            let text = ["msg", "message", "detail"].iter().find_map(|key| words(fields.get(*key)?))?;
            let place = fields.get("loc").and_then(Value::as_array).map(|path| {
                path.iter()
                    .map(|p| p.as_str().map_or_else(|| p.to_string(), str::to_owned))
                    .collect::<Vec<_>>()
            });
            Some(place.map_or_else(|| text.clone(), |path| format!("{}: {text}", path.join("."))))
        }
        _ => None,
    }
}

fn html_title(body: &str) -> Option<&str> {
    let head = beginning(body, MAX_PLAIN);
    // Lower case in ASCII keeps every byte in its place.
    let lower = head.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(head[start..end].trim())
}
