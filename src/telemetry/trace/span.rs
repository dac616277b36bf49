//! Spans: begun with a place in a trace, given attributes, sent when they are dropped.

use std::time::Duration;

use super::{TraceParent, export};
use crate::clock;

/// The longest text of an attribute, in characters; longer ones are cut.
const MAX_TEXT_CHARS: usize = 4_000;
/// The same of what models read and say, where that is asked for.
const MAX_CONTENT_CHARS: usize = 64_000;
/// The most attributes of a span.
const MOST_ATTRIBUTES: usize = 64;

/// What a span stands for, by OpenTelemetry's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Consumer = 5,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Fraction(f64),
    Truth(bool),
    Texts(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(cut(text, MAX_TEXT_CHARS))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Fraction(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

/// What is sent of a span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub place: TraceParent,
    /// The span above it; 0 for none.
    pub parent: u64,
    pub name: String,
    pub kind: SpanKind,
    /// Since 1970.
    pub begun: Duration,
    pub ended: Duration,
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A span that is open. Dropping it ends it.
#[derive(Debug)]
pub struct Span {
    place: Option<TraceParent>,
    /// `None` when it is not recorded.
    record: Option<Box<Record>>,
}

/// Whether spans are recorded in this process.
pub fn is_on() -> bool {
    export::tracer().is_some()
}

/// Whether what models read and say may stand in spans.
pub fn captures_content() -> bool {
    export::tracer().is_some_and(|tracer| tracer.content)
}

/// Begins a span. It is a child of `parent`, or begins a trace; `name` is asked only if it is recorded.
pub fn span(kind: SpanKind, parent: Option<TraceParent>, name: impl FnOnce() -> String) -> Span {
    let Some(tracer) = export::tracer() else { return Span { place: parent, record: None } };
    let mut place = parent.map_or_else(|| TraceParent::root(false), TraceParent::child);
    place.sampled = tracer.sampler.samples(parent, place.trace);
    let record = place.sampled.then(|| {
        let begun = now();
        Box::new(Record {
            place,
            parent: parent.map_or(0, |parent| parent.span),
            name: name(),
            kind,
            begun,
            ended: begun,
            attributes: Vec::new(),
            error: None,
        })
    });
    Span { place: Some(place), record }
}

impl Span {
    /// Its place, for what is done within it; also where nothing is recorded.
    pub fn place(&self) -> Option<TraceParent> {
        self.place
    }

    /// Whether anything that it is told is kept.
    pub fn is_recorded(&self) -> bool {
        self.record.is_some()
    }

    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(record) = &mut self.record {
            record.name = name();
        }
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(record) = &mut self.record
            && record.attributes.len() < MOST_ATTRIBUTES
        {
            record.attributes.push((name, value.into()));
        }
    }

    /// The same for a text that may be long: what a model reads or says.
    pub fn set_content(&mut self, name: &'static str, text: &str) {
        self.set(name, Value::Text(cut(text, MAX_CONTENT_CHARS)));
    }

    /// It failed; `kind` is one of few words, `why` is for a person.
    pub fn fail(&mut self, kind: &str, why: &str) {
        self.set("error.type", kind);
        if let Some(record) = &mut self.record {
            record.error = Some(cut(why, MAX_TEXT_CHARS));
        }
    }

    /// It began and ended at other times than it was made and dropped. Since 1970.
    pub fn lasted(mut self, begun: Duration, ended: Duration) {
        if let Some(mut record) = self.record.take() {
            (record.begun, record.ended) = (begun, ended.max(begun));
            export::send(record);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.ended = now().max(record.begun);
            export::send(record);
        }
    }
}

fn now() -> Duration {
    let nanos = clock::local_now().timestamp_nanos_opt().unwrap_or_default();
    Duration::from_nanos(nanos.max(0).unsigned_abs())
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
