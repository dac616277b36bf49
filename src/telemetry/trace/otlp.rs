//! Spans as an `ExportTraceServiceRequest` of OTLP 1, in protobuf and in JSON.
//!
//! The numbers are those of `opentelemetry/proto/{collector/trace,trace,resource,common}/v1/*.proto`, which
//! are stable: a field never changes its number. Tests have the messages read by the official ones.

use serde_json::{Map, json};

use super::span::{Record, Value};

/// The name of what records spans.
const SCOPE: &str = "productforge";

/// The attributes of this process, and what was recorded in it.
pub(super) struct Batch<'a> {
    pub resource: &'a [(String, String)],
    pub spans: &'a [Record],
}

// --- protobuf --------------------------------------------------------------------------------------

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn fixed64(mut self, field: u64, bits: u64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(bits.to_le_bytes());
        self
    }

    fn fixed32(mut self, field: u64, bits: u32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(bits.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }
}

pub(super) fn protobuf(batch: &Batch<'_>) -> Vec<u8> {
    let text = |text: &str| Message::default().bytes(1, text.as_bytes());
    let pair = |name: &str, value: &Message| Message::default().bytes(1, name.as_bytes()).message(2, value);
    let resource = batch
        .resource
        .iter()
        .fold(Message::default(), |resource, (name, value)| resource.message(1, &pair(name, &text(value))));
    let scope = text(SCOPE).bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
    let mut spans = Message::default().message(1, &scope);
    for record in batch.spans {
        let mut span = Message::default()
            .bytes(1, &record.place.trace.to_be_bytes())
            .bytes(2, &record.place.span.to_be_bytes());
        if record.parent != 0 {
            span = span.bytes(4, &record.parent.to_be_bytes());
        }
        span = span
            .bytes(5, record.name.as_bytes())
            .number(6, record.kind as u64)
            .fixed64(7, nanos(record.begun))
            .fixed64(8, nanos(record.ended));
        for (name, value) in &record.attributes {
            span = span.message(9, &pair(name, &any(value)));
        }
        if let Some(why) = &record.error {
            span = span.message(15, &Message::default().bytes(2, why.as_bytes()).number(3, ERROR));
        }
        spans = spans.message(2, &span.fixed32(16, SAMPLED));
    }
    let all = Message::default().message(1, &resource).message(2, &spans);
    Message::default().message(1, &all).0
}

const ERROR: u64 = 2;
const SAMPLED: u32 = 1;

fn any(value: &Value) -> Message {
    let message = Message::default();
    match value {
        Value::Text(text) => message.bytes(1, text.as_bytes()),
        Value::Truth(truth) => message.number(2, u64::from(*truth)),
        // Two's complement, as `int64` is written.
        Value::Number(number) => message.number(3, *number as u64),
        Value::Fraction(number) => message.fixed64(4, number.to_bits()),
        Value::Texts(texts) => {
            let list = texts.iter().fold(Message::default(), |list, text| {
                list.message(1, &Message::default().bytes(1, text.as_bytes()))
            });
            message.message(5, &list)
        }
    }
}

fn nanos(since: std::time::Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

// --- JSON ------------------------------------------------------------------------------------------

/// Ids in hexadecimal and 64-bit numbers as texts, as OTLP has it.
pub(super) fn json(batch: &Batch<'_>) -> Vec<u8> {
    let resource: Vec<_> = batch
        .resource
        .iter()
        .map(|(name, value)| json!({"key": name, "value": {"stringValue": value}}))
        .collect();
    let spans: Vec<_> = batch.spans.iter().map(span_json).collect();
    let scope = json!({"name": SCOPE, "version": env!("CARGO_PKG_VERSION")});
    let all = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    all.to_string().into_bytes()
}

fn span_json(record: &Record) -> serde_json::Value {
    let attributes: Vec<_> = record
        .attributes
        .iter()
        .map(|(name, value)| json!({"key": name, "value": any_json(value)}))
        .collect();
    let mut span = Map::new();
    span.insert("traceId".to_owned(), record.place.trace_id().into());
    span.insert("spanId".to_owned(), format!("{:016x}", record.place.span).into());
    if record.parent != 0 {
        span.insert("parentSpanId".to_owned(), format!("{:016x}", record.parent).into());
    }
    span.insert("name".to_owned(), record.name.as_str().into());
    span.insert("kind".to_owned(), (record.kind as u32).into());
    span.insert("startTimeUnixNano".to_owned(), nanos(record.begun).to_string().into());
    span.insert("endTimeUnixNano".to_owned(), nanos(record.ended).to_string().into());
    span.insert("attributes".to_owned(), attributes.into());
    if let Some(why) = &record.error {
        span.insert("status".to_owned(), json!({"code": ERROR, "message": why}));
    }
    span.insert("flags".to_owned(), SAMPLED.into());
    span.into()
}

fn any_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Truth(truth) => json!({"boolValue": truth}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Fraction(number) => json!({"doubleValue": number}),
        Value::Texts(texts) => {
            let values: Vec<_> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": values}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_protobuf_has_them() {
        let message = Message::default().number(1, 150).bytes(2, b"testing").fixed32(16, 1);
        // The examples of the encoding guide; field 16 needs two bytes for its tag.
        assert_eq!(message.0[..3], [0x08, 0x96, 0x01]);
        assert_eq!(message.0[3..12], *b"\x12\x07testing");
        assert_eq!(message.0[12..], [0x85, 0x01, 1, 0, 0, 0]);
        assert_eq!(any(&Value::Number(-1)).0, [0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }
}
