//! Which results a request asks for: the filters of its query.

use actix_web::HttpRequest;
use serde_json::{Value, json};

use crate::{
    http::{
        error::{FieldError, Problem},
        extract::query_value,
    },
    model::{ResultStatus, Timestamp, iso},
    service::{ResultFilter, results::MAX_SEARCH_CHARS},
};

/// Reads the query; every bad filter is named. An empty value is none.
pub fn of(req: &HttpRequest) -> Result<ResultFilter, Problem> {
    read(req).map_err(Problem::fields)
}

/// The same with the complaints as they are.
pub fn read(req: &HttpRequest) -> Result<ResultFilter, Vec<FieldError>> {
    let value = |name: &str| query_value(req, name).filter(|value| !value.is_empty());
    let mut errors = Vec::new();
    let mut time = |name: &'static str| -> Option<Timestamp> {
        let text = value(name)?;
        let at = iso::parse(&text);
        if at.is_none() {
            let msg = "Input should be a time such as 2026-11-22T10:00:00Z";
            errors.push(complaint("datetime_parsing", name, msg, &text));
        }
        at
    };
    let (since, until) = (time("since"), time("until"));
    let status = value("status").and_then(|text| {
        let known = ResultStatus::ALL.into_iter().find(|status| status.as_str() == text);
        if known.is_none() {
            let msg = "Input should be 'completed', 'failed' or 'cancelled'";
            errors.push(complaint("literal_error", "status", msg, &text));
        }
        known
    });
    let search = value("q").unwrap_or_default();
    if search.chars().count() > MAX_SEARCH_CHARS {
        let msg = format!("String should have at most {MAX_SEARCH_CHARS} characters");
        errors.push(complaint("string_too_long", "q", &msg, &search));
    }
    let (agent, workflow_id) = (value("agent"), value("workflow_id"));
    match errors.is_empty() {
        true => {
            let filter = ResultFilter { agent, status, workflow_id, since, until, ..ResultFilter::default() };
            Ok(filter.search(&search))
        }
        false => Err(errors),
    }
}

fn complaint(kind: &'static str, name: &str, msg: &str, input: &str) -> FieldError {
    FieldError::new(kind, vec![json!("query"), json!(name)], msg).input(Value::from(input))
}

/// The filters that were asked for, to be said again in the address of the next page.
pub fn again(req: &HttpRequest) -> String {
    let names = ["agent", "status", "workflow_id", "since", "until", "q"];
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for name in names {
        if let Some(value) = query_value(req, name).filter(|value| !value.is_empty()) {
            pairs.append_pair(name, &value);
        }
    }
    pairs.finish()
}
