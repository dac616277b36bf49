//! Traces: which request led to which job, how long that waited, and which model calls it made, for any
//! collector of OpenTelemetry.
//!
//! ```text
//! request ─▶ span (SERVER) ─▶ workflow and job keep its traceparent
//!               └─ worker, any process: queue wait · span of the attempt (CONSUMER) ─▶ model call (CLIENT)
//! ended spans ─▶ bounded queue ─▶ batches ─▶ OTLP over HTTP; what finds no place is dropped and counted
//! ```
//!
//! Off unless a collector is named: then a span costs a branch, and a `traceparent` that a request brought is
//! still kept and passed on. The exporter is our own: spans are made in five places and are sent in one
//! message of one protocol, for which the crates of OpenTelemetry bring a runtime of their own, protobuf and
//! gRPC types. `ARCHITECTURE.md` has the figures.

mod export;
mod otlp;
mod parent;
mod sampler;
mod span;

pub use export::{flush, init};
pub use parent::TraceParent;
pub use sampler::Sampler;
pub use span::{Span, SpanKind, Value, captures_content, is_on, span};
