//! Metrics: what a process counts, so that `/metrics` can tell it.
//!
//! ```text
//! counters.rs (the list) ─▶ families (a name, labels, series) ─▶ instruments (atomics) ─▶ read() ─▶ text
//! ```
//!
//! An instrument is one or a few atomics. A [`Fixed`] family has all its series from the start and finds one
//! by its number; it is what jobs and the store count with, and costs neither a lock nor memory. An [`Open`]
//! family learns label values while it runs (models, routes): a short read lock, and memory only for a series
//! that is new. How many series there can be is bounded everywhere, see [`Names`].
//!
//! Own code and no crate, because the owner's names (`total_requests`, `redis_operations`) are no names for
//! counters in OpenMetrics, which is all that `prometheus-client` writes, and because the bound on labels is
//! what no crate has.

mod family;
mod instrument;
mod names;
mod process;
mod text;

pub use family::{Family, Fixed, Open, Single};
pub use instrument::{Bounds, Counter, Gauge, Held, Histogram, Instrument, Long, Short, Waits};
pub use names::{Names, OTHER};
pub use process::process;
pub use text::{full_name, text};

/// Whether a value only grows, and whether it is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What an instrument says at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Number(f64),
    Histogram {
        /// The upper bounds of the buckets but the last, which has none. Seconds.
        bounds: &'static [f64],
        /// How many fell into each bucket, not summed up; one more than there are bounds.
        counts: Vec<u64>,
        /// Seconds.
        sum: f64,
    },
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values, in the order of the family.
    pub labels: Vec<(&'static str, String)>,
    pub reading: Reading,
}

/// All series of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// As the program knows it; [`full_name`] is what others see.
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricKind,
    pub samples: Vec<Sample>,
}

impl Metric {
    /// A value as it is now, by at most one label.
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Option<(&'static str, String)>, f64)>,
    ) -> Self {
        let sample = |(label, value): (Option<(&'static str, String)>, f64)| Sample {
            labels: label.into_iter().collect(),
            reading: Reading::Number(value),
        };
        Self { name, help, kind: MetricKind::Gauge, samples: values.into_iter().map(sample).collect() }
    }
}
