//! What a model found in files: its answer read, and every finding held against the files.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Files, Severity, citation::Checker, text};

/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 4 << 20;
/// Places in an answer at which JSON is tried to be read.
const MAX_TRIES: usize = 200;
/// The most findings of one answer.
pub const MAX_FINDINGS: usize = 500;
/// The longest title and the longest other text, in characters.
const TITLE_CHARS: usize = 200;
const TEXT_CHARS: usize = 4_000;
/// Names of lists in which models put findings.
const LISTS: &[&str] = &["findings", "issues", "problems", "results"];

/// A finding whose place exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CodeFinding)]
pub struct Finding {
    pub severity: Severity,
    /// As it is listed.
    pub file: String,
    /// Counts from 1.
    pub line: u64,
    pub title: String,
    pub reason: String,
    pub suggestion: Option<String>,
}

/// A finding that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejected {
    pub title: String,
    /// What the model gave as the place.
    pub place: String,
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Findings {
    /// The gravest first; findings of the same severity in the order of the answer.
    pub findings: Vec<Finding>,
    pub rejected: Vec<Rejected>,
}

/// Why an answer holds no findings at all. The text can be given to the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer is longer than {ANSWER_BYTES} bytes: give fewer findings")]
    TooLong,
    #[error("the answer holds no JSON with findings: answer with an object {{\"findings\": [...]}}")]
    NoFindings,
}

/// The schema of the answer that [`parse`] expects, in the form that providers take as strict.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "findings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "severity": {
                            "type": "string",
                            "enum": ["critical", "high", "medium", "low", "info"],
                        },
                        "file": { "type": "string", "description": "The path as it is listed" },
                        "line": { "type": "integer", "description": "Counts from 1" },
                        "title": { "type": "string", "description": "What is wrong, in one line" },
                        "reason": { "type": "string", "description": "Why it is wrong, with what shows it" },
                        "suggestion": { "type": ["string", "null"], "description": "What to do about it" },
                    },
                    "required": ["severity", "file", "line", "title", "reason", "suggestion"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["findings"],
        "additionalProperties": false,
    })
}

/// Reads the findings of an answer and checks their places.
///
/// The JSON may be anywhere in the answer: an object
/// with a list of findings, a list, or one finding. What does not exist is rejected, and nothing is guessed.
pub fn parse(answer: &str, files: &dyn Files) -> Result<Findings, AnswerError> {
    if answer.len() > ANSWER_BYTES {
        return Err(AnswerError::TooLong);
    }
    let list = found_list(answer).ok_or(AnswerError::NoFindings)?;
    let mut checker = Checker::new(files);
    let mut all = Findings::default();
    for (number, value) in list.iter().enumerate().take(MAX_FINDINGS * 2) {
        let read = if number < MAX_FINDINGS {
            read(value, &mut checker)
        } else {
            Err(format!("an answer may hold {MAX_FINDINGS} findings"))
        };
        match read {
            Ok(finding) => all.findings.push(finding),
            Err(reason) => all.rejected.push(Rejected {
                title: string(value, &["title"])
                    .map_or(String::new(), |title| text::shown(&title, TITLE_CHARS)),
                place: text::path(&place(value), TITLE_CHARS),
                reason,
            }),
        }
    }
    all.findings.sort_by_key(|finding| finding.severity);
    Ok(all)
}

/// The list that looks most like findings: the first with something in it, or else all findings that stand
/// alone (those of an answer that was cut off do), or else the last empty one.
fn found_list(answer: &str) -> Option<Vec<Value>> {
    let mut empty = None;
    let mut alone = Vec::new();
    let mut at = 0;
    for _ in 0..MAX_TRIES {
        let Some(start) = answer[at..].find(['{', '[']).map(|found| at + found) else { break };
        let mut values = serde_json::Deserializer::from_str(&answer[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                at = start + values.byte_offset().max(1);
                if is_finding(&value) {
                    alone.push(value);
                    continue;
                }
                match list(value) {
                    Some(list) if list.is_empty() => empty = Some(list),
                    Some(list) => return Some(list),
                    None => {}
                }
            }
            _ => at = start + 1,
        }
    }
    if alone.is_empty() { empty } else { Some(alone) }
}

fn list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => list.iter().all(is_finding).then_some(list),
        Value::Object(mut object) => {
            let key = LISTS.iter().find(|key| object.get(**key).is_some_and(Value::is_array));
            match key.and_then(|key| object.swap_remove(*key)) {
                // What a list with such a name holds is judged one by one.
                Some(Value::Array(list)) => Some(list),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_finding(value: &Value) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
    has(&["file", "path"]) && has(&["title", "severity", "reason"])
}

fn read(value: &Value, checker: &mut Checker) -> Result<Finding, String> {
    if !value.is_object() {
        return Err("it is no object".to_owned());
    }
    let needed = |names: &[&str]| {
        let name = names.first().copied().unwrap_or_default();
        string(value, names).ok_or_else(|| format!("{name} is missing or no text"))
    };
    let severity = needed(&["severity"])?;
    let severity = self::severity(&severity).ok_or_else(|| {
        let shown = text::shown(&severity, 40);
        format!("'{shown}' is no severity: there are critical, high, medium, low and info")
    })?;
    let title = needed(&["title"])?;
    let reason = needed(&["reason", "description"])?;
    needed(&["file", "path"])?;
    let citation = checker.check(&place(value));
    if let Some(reason) = citation.reason {
        return Err(reason);
    }
    let long = |text: &str| {
        let (kept, is_cut) = text::cut(text.trim(), TEXT_CHARS);
        if is_cut { format!("{kept}…") } else { kept.to_owned() }
    };
    Ok(Finding {
        severity,
        file: citation.path,
        line: citation.line,
        title: text::shown(title.trim(), TITLE_CHARS),
        reason: long(&reason),
        suggestion: string(value, &["suggestion", "fix"]).map(|text| long(&text)),
    })
}

/// The place as `file:line`, whether the line is a number, a text, or part of the file already.
fn place(value: &Value) -> String {
    let file = string(value, &["file", "path"]).unwrap_or_default();
    match value.get("line") {
        Some(Value::Number(line)) => format!("{file}:{line}"),
        Some(Value::String(line)) if !line.trim().is_empty() => {
            format!("{file}:{}", line.trim().trim_start_matches(['L', 'l']))
        }
        _ => file,
    }
}

/// The first of these fields that has a text in it.
fn string(value: &Value, names: &[&str]) -> Option<String> {
    let object: &Map<String, Value> = value.as_object()?;
    let texts = names.iter().filter_map(|name| object.get(*name)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// The severity that a word stands for, also with those of other tools.
fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim().to_lowercase().as_str() {
        "critical" | "blocker" => Severity::Critical,
        "high" | "major" | "error" => Severity::High,
        "medium" | "moderate" | "warning" => Severity::Medium,
        "low" | "minor" => Severity::Low,
        "info" | "informational" | "information" | "note" => Severity::Info,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
