//! The tool `current_time`: models do not know what day it is.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, Utc};
use serde_json::{Value, json};

use super::{Tool, ToolError};
use crate::{clock::Clock, model::ToolSpec};

/// No place on Earth is further from UTC.
const MAX_OFFSET_SECONDS: i32 = 14 * 3_600;

/// The tool.
pub struct CurrentTime {
    clock: Arc<dyn Clock>,
    spec: ToolSpec,
}

impl CurrentTime {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {
                "utc_offset": {
                    "type": "string",
                    "description": "A fixed offset from UTC such as +02:00 or -0330; without it the time is UTC",
                },
            },
            "additionalProperties": false,
        });
        let description =
            "The current date and time with the day of the week, in UTC or at a fixed offset from it.";
        let spec =
            ToolSpec { name: "current_time".to_owned(), description: description.to_owned(), parameters };
        Self { clock, spec }
    }
}

#[async_trait]
impl Tool for CurrentTime {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn run(&self, arguments: &Value) -> Result<String, ToolError> {
        let offset = match arguments["utc_offset"].as_str().map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(offset(text).ok_or_else(|| {
                ToolError::BadArguments(format!(
                    "'{}' is no offset from UTC: it has to look like +02:00; names of time zones are not known",
                    text.chars().take(40).collect::<String>()
                ))
            })?),
        };
        Ok(shown(self.clock.now(), offset))
    }
}

/// `2026-11-22T15:35:16Z (Sunday)`
fn shown(now: DateTime<Utc>, offset: Option<FixedOffset>) -> String {
    match offset {
        None => now.format("%Y-%m-%dT%H:%M:%SZ (%A)").to_string(),
        Some(offset) => now.with_timezone(&offset).format("%Y-%m-%dT%H:%M:%S%:z (%A)").to_string(),
    }
}

/// `Z`, `UTC`, `+2`, `+02`, `+0200` or `+02:00`, also with the sign of mathematics and `UTC` before it.
fn offset(text: &str) -> Option<FixedOffset> {
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    if matches!(text, "" | "Z" | "z") {
        return FixedOffset::east_opt(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-').or_else(|| text.strip_prefix('−'))?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None => (rest, "00"),
    };
    let number = |digits: &str, most: i32| {
        let is_plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_plain.then(|| digits.parse::<i32>().ok()).flatten().filter(|number| *number <= most)
    };
    let seconds = number(hours, 14)? * 3_600 + number(minutes, 59)? * 60;
    (seconds <= MAX_OFFSET_SECONDS).then(|| FixedOffset::east_opt(sign * seconds)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    async fn at(arguments: Value) -> Result<String, ToolError> {
        // A Sunday.
        let clock = ManualClock::at(1_795_361_716_062);
        CurrentTime::new(Arc::new(clock)).run(&arguments).await
    }

    #[tokio::test]
    async fn it_is_utc_unless_asked_otherwise() {
        assert_eq!(at(json!({})).await.as_deref(), Ok("2026-11-22T15:35:16Z (Sunday)"));
        assert_eq!(at(json!({"utc_offset": ""})).await.as_deref(), Ok("2026-11-22T15:35:16Z (Sunday)"));
        assert_eq!(
            at(json!({"utc_offset": "+14:00"})).await.as_deref(),
            Ok("2026-11-23T05:35:16+14:00 (Monday)")
        );
    }

    #[tokio::test]
    async fn offsets_are_read_in_their_usual_forms() {
        for (text, shown) in [
            ("+02:00", "17:35:16+02:00"),
            ("+0200", "17:35:16+02:00"),
            ("+2", "17:35:16+02:00"),
            ("UTC+2", "17:35:16+02:00"),
            ("-03:30", "12:05:16-03:30"),
            ("−5", "10:35:16-05:00"),
            ("Z", "15:35:16+00:00"),
            ("UTC", "15:35:16+00:00"),
        ] {
            let answer = at(json!({"utc_offset": text})).await.expect(text);
            assert!(answer.contains(shown), "{text}: {answer}");
        }
        for text in ["Europe/Berlin", "02:00", "+24:00", "+14:01", "+1:5", "+02:60", "+-2", "+", "+ü2", "+1é"]
        {
            let error = at(json!({"utc_offset": text})).await.expect_err(text);
            assert!(error.to_string().contains("no offset"), "{text}: {error}");
        }
    }
}
