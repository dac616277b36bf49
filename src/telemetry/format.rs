//! How a record becomes a line.
//!
//! Whatever a message or a field holds, the result is one line without control characters: clients
//! choose paths, names and briefs, and must not be able to forge lines or play with a terminal.

use std::fmt::{self, Write};

use chrono::{DateTime, Local, SecondsFormat};
use log::{
    Record,
    kv::{Error, Key, Value, VisitSource},
};
use serde_json::{Map, Number};

use super::{
    access,
    context::{self, Field},
};

/// `2026-11-22 15:35:16,062 INFO [worker::pool] job finished job_id=… attempt=1`
pub(super) fn text(now: DateTime<Local>, record: &Record<'_>) -> String {
    let mut line = String::with_capacity(160);
    // Writing into a String cannot fail.
    let _ = write_text(&mut line, now, record);
    line.push('\n');
    line
}

fn write_text(line: &mut String, now: DateTime<Local>, record: &Record<'_>) -> fmt::Result {
    write!(line, "{},{:03} ", now.format("%Y-%m-%d %H:%M:%S"), now.timestamp_subsec_millis())?;
    if record.target() == access::TARGET {
        // The access line's message is its fields.
        return write!(Escape(line), "{}", record.args());
    }
    let module = record.target().strip_prefix("productforge::").unwrap_or(record.target());
    write!(line, "{} [", record.level())?;
    write!(Escape(line), "{module}")?;
    line.push_str("] ");
    write!(Escape(line), "{}", record.args())?;
    // Nor can visiting: the visitor below never refuses.
    let _ = record.key_values().visit(&mut TextFields(line));
    context(record, |name, value| {
        let _ = TextFields(line).visit_pair(Key::from(name), value);
    });
    Ok(())
}

/// `{"time":"…","level":"INFO","target":"…","message":"…","fields":{…}}`
pub(super) fn json(now: DateTime<Local>, record: &Record<'_>) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        time: String,
        level: &'a str,
        target: &'a str,
        message: String,
        #[serde(skip_serializing_if = "Map::is_empty")]
        fields: Map<String, serde_json::Value>,
    }
    let mut fields = JsonFields(Map::new());
    let _ = record.key_values().visit(&mut fields);
    context(record, |name, value| {
        let _ = fields.visit_pair(Key::from(name), value);
    });
    let line = Line {
        time: now.to_rfc3339_opts(SecondsFormat::Millis, false),
        level: record.level().as_str(),
        target: record.target(),
        message: record.args().to_string(),
        fields: fields.0,
    };
    let mut line = serde_json::to_string(&line).unwrap_or_default();
    // JSON escapes the control characters of ASCII by itself; the rest are escaped its way.
    if line.chars().any(is_unsafe) {
        line = line.chars().fold(String::with_capacity(line.len() + 16), |mut safe, c| {
            if is_unsafe(c) {
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            } else {
                safe.push(c);
            }
            safe
        });
    }
    line.push('\n');
    line
}

/// Tells what is known of the work that a record is about, as far as the record does not say it itself.
fn context(record: &Record<'_>, mut tell: impl FnMut(&'static str, Value<'_>)) {
    let said = record.key_values();
    context::fields(|name, field| {
        if said.get(Key::from(name)).is_none() {
            match field {
                Field::Text(text) => tell(name, Value::from(text)),
                Field::Number(number) => tell(name, Value::from(number)),
            }
        }
    });
}

/// Milliseconds with the two decimals that are worth keeping.
pub(super) fn round_ms(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

/// A text as one word: escaped, and without spaces.
pub(super) fn write_word(out: &mut impl Write, text: &str) -> fmt::Result {
    let mut out = Escape(out);
    for part in text.split_inclusive(' ') {
        match part.strip_suffix(' ') {
            Some(word) => {
                out.write_str(word)?;
                out.0.write_str("\\x20")?;
            }
            None => out.write_str(part)?,
        }
    }
    Ok(())
}

/// Control characters, line and paragraph separators, and the marks that turn the direction of
/// text, with which a line can be made to read as something else. All are in the basic plane.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes texts with unsafe characters as `\n`, `\x1b`, `\u{2028}`.
struct Escape<'a, W: Write>(&'a mut W);

impl<W: Write> Write for Escape<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unsafe) {
            let (safe, tail) = rest.split_at(at);
            self.0.write_str(safe)?;
            let mut tail = tail.chars();
            match tail.next() {
                Some('\n') => self.0.write_str("\\n")?,
                Some('\r') => self.0.write_str("\\r")?,
                Some('\t') => self.0.write_str("\\t")?,
                Some(c) if u32::from(c) < 0x100 => write!(self.0, "\\x{:02x}", u32::from(c))?,
                Some(c) => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                None => {}
            }
            rest = tail.as_str();
        }
        self.0.write_str(rest)
    }
}

struct TextFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let line = &mut *self.0;
        let _ = write!(line, " {key}=");
        let text = match float(&value) {
            Some(number) => round_ms(number).to_string(),
            None => value.to_string(),
        };
        let _ = if text.is_empty() || text.contains([' ', '"', '=']) {
            write!(Escape(line), "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            write!(Escape(line), "{text}")
        };
        Ok(())
    }
}

/// The value, if it is a number with a fraction rather than a whole one.
fn float(value: &Value<'_>) -> Option<f64> {
    if value.to_i64().is_some() || value.to_u64().is_some() { None } else { value.to_f64() }
}

struct JsonFields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let json = if let Some(truth) = value.to_bool() {
            truth.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_f64().and_then(Number::from_f64) {
            number.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::telemetry::context::{AttemptOf, Context};
    use chrono::TimeZone;
    use log::Level;

    fn now() -> DateTime<Local> {
        Local.with_ymd_and_hms(2026, 11, 22, 15, 35, 16).unwrap() + chrono::Duration::milliseconds(62)
    }

    type Fields<'a> = [(&'a str, Value<'a>)];

    fn line(
        render: fn(DateTime<Local>, &Record<'_>) -> String,
        target: &str,
        message: &str,
        fields: &Fields<'_>,
    ) -> String {
        render(
            now(),
            &Record::builder()
                .level(Level::Info)
                .target(target)
                .args(format_args!("{message}"))
                .key_values(&fields)
                .build(),
        )
    }

    #[test]
    fn a_text_line_has_time_level_module_message_and_fields() {
        let fields = [("job_id", Value::from("j-1")), ("attempt", 2.into()), ("duration_ms", 2.5449.into())];
        assert_eq!(
            line(text, "productforge::worker::pool", "job finished", &fields),
            "2026-11-22 15:35:16,062 INFO [worker::pool] job finished job_id=j-1 attempt=2 duration_ms=2.54\n"
        );
    }

    #[test]
    fn an_access_line_has_nothing_but_the_time_before_it() {
        let message = "method=POST path=/orchestrate status=200 duration_ms=2.54 ip=127.0.0.1";
        let fields = [("request_id", Value::from("r-1"))];
        assert_eq!(line(text, "access", message, &fields), format!("2026-11-22 15:35:16,062 {message}\n"));
    }

    #[test]
    fn field_values_with_spaces_are_quoted() {
        let fields = [("error", Value::from("no \"key\" =\n\\")), ("none", "".into())];
        assert_eq!(
            line(text, "t", "m", &fields),
            "2026-11-22 15:35:16,062 INFO [t] m error=\"no \\\"key\\\" =\\n\\\\\" none=\"\"\n"
        );
    }

    #[test]
    fn no_line_break_or_control_character_survives() {
        let evil = "a\nb\r\tc\x1b[31m\0\x7f\u{85}\u{2028}\u{202e}é";
        let plain = line(text, "t\n", evil, &[("name", Value::from(evil))]);
        let escaped = "a\\nb\\r\\tc\\x1b[31m\\x00\\x7f\\x85\\u{2028}\\u{202e}é";
        assert_eq!(plain, format!("2026-11-22 15:35:16,062 INFO [t\\n] {escaped} name={escaped}\n"));
        let object = line(json, "t\n", evil, &[("name", Value::from(evil))]);
        assert!(!object.trim_end_matches('\n').chars().any(is_unsafe), "{object}");
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object["message"], evil, "a reader of JSON gets the text itself");
        assert_eq!(object["fields"]["name"], evil);
    }

    #[test]
    fn a_json_line_is_one_object_with_typed_fields() {
        let fields = [
            ("status", Value::from(200u16)),
            ("duration_ms", 2.54.into()),
            ("simulated", true.into()),
            ("path", "/orchestrate".into()),
        ];
        let object = line(json, "access", "m", &fields);
        assert_eq!(object.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(
            object["fields"],
            serde_json::json!({"status": 200, "duration_ms": 2.54, "simulated": true, "path": "/orchestrate"})
        );
        assert_eq!(object["level"], "INFO");
        assert_eq!(object["target"], "access");
        assert!(object["time"].as_str().unwrap().starts_with("2026-11-22T15:35:16.062"));
    }

    #[tokio::test]
    async fn a_line_says_for_whom_it_is_unless_it_says_so_itself() {
        let attempt = AttemptOf { job_id: "j-1".to_owned(), workflow_id: Some("w 1".to_owned()), attempt: 3 };
        let work = Context {
            request_id: Some("r-1".into()),
            attempt: Some(Arc::new(attempt)),
            trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok(),
        };
        let own = [("job_id", Value::from("own"))];
        let (plain, object, access) = work
            .scope(async {
                (line(text, "t", "m", &own), line(json, "t", "m", &own), line(text, "access", "a", &[]))
            })
            .await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            plain,
            format!(
                "2026-11-22 15:35:16,062 INFO [t] m job_id=own workflow_id=\"w 1\" attempt=3 request_id=r-1 \
                 trace_id={trace}\n"
            )
        );
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(
            object["fields"],
            serde_json::json!({"job_id": "own", "workflow_id": "w 1", "attempt": 3, "request_id": "r-1",
                "trace_id": trace})
        );
        assert_eq!(access, "2026-11-22 15:35:16,062 a\n", "the owner's line stays as it is");
        assert_eq!(line(text, "t", "m", &[]), "2026-11-22 15:35:16,062 INFO [t] m\n");
    }
}
