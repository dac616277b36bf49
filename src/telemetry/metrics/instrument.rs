//! Instruments: a number that grows, one that rises and falls, and how long things took.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{MetricKind, Reading};

/// Something that counts. Made of atomics alone: whoever uses it waits for nobody.
pub trait Instrument: Send + Sync {
    /// Before anything was counted.
    #[allow(clippy::declare_interior_mutable_const)] // It is what a fresh one is made of.
    const ZERO: Self;
    const KIND: MetricKind;

    /// What it says now; whole numbers are multiplied by `scale` (a thousandth, say, where milliseconds are
    /// counted and seconds are shown).
    fn read(&self, scale: f64) -> Reading;
}

/// A number that only grows.
#[derive(Debug)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for Counter {
    const ZERO: Self = Self(AtomicU64::new(0));
    const KIND: MetricKind = MetricKind::Counter;

    fn read(&self, scale: f64) -> Reading {
        Reading::Number(self.get() as f64 * scale)
    }
}

/// A number that rises and falls.
#[derive(Debug)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn add(&self, number: i64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// Adds so many until what comes back is dropped, whatever way that happens.
    pub fn hold(&'static self, number: i64) -> Held {
        self.add(number);
        Held { gauge: self, number }
    }
}

impl Instrument for Gauge {
    const ZERO: Self = Self(AtomicI64::new(0));
    const KIND: MetricKind = MetricKind::Gauge;

    fn read(&self, scale: f64) -> Reading {
        Reading::Number(self.get() as f64 * scale)
    }
}

/// A part of a gauge that goes with its holder.
#[derive(Debug)]
pub struct Held {
    gauge: &'static Gauge,
    number: i64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.add(-self.number);
    }
}

/// The buckets of a histogram.
pub trait Bounds: Send + Sync {
    /// Upper bounds in seconds, rising, at most [`MOST_BOUNDS`].
    const BOUNDS: &'static [f64];
}

/// How many bounds there can be.
pub const MOST_BOUNDS: usize = 16;

/// Steps of a store and HTTP requests: 0.1 ms to 10 s.
#[derive(Debug)]
pub struct Short;

impl Bounds for Short {
    const BOUNDS: &'static [f64] =
        &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
}

/// Model calls and attempts: 50 ms to 30 min.
#[derive(Debug)]
pub struct Long;

impl Bounds for Long {
    const BOUNDS: &'static [f64] =
        &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
}

/// Waits in a queue: 1 ms, when there is a free slot, to a day.
#[derive(Debug)]
pub struct Waits;

impl Bounds for Waits {
    const BOUNDS: &'static [f64] = &[
        0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0,
        86_400.0,
    ];
}

/// How long things took.
#[derive(Debug)]
pub struct Histogram<B> {
    /// The one after the last bound takes what is longer.
    counts: [AtomicU64; MOST_BOUNDS + 1],
    sum_ns: AtomicU64,
    bounds: PhantomData<B>,
}

impl<B: Bounds> Histogram<B> {
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = B::BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl<B: Bounds> Instrument for Histogram<B> {
    const ZERO: Self = Self {
        counts: [const { AtomicU64::new(0) }; MOST_BOUNDS + 1],
        sum_ns: AtomicU64::new(0),
        bounds: PhantomData,
    };
    const KIND: MetricKind = MetricKind::Histogram;

    fn read(&self, _: f64) -> Reading {
        let counts = self.counts.iter().take(B::BOUNDS.len() + 1).map(|count| count.load(Relaxed));
        let sum = Duration::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64();
        Reading::Histogram { bounds: B::BOUNDS, counts: counts.collect(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_it_does_not_exceed() {
        let times = Histogram::<Short>::ZERO;
        for micros in [0, 100, 101, 10_000_000, 10_000_001, 3_600_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        let Reading::Histogram { bounds, counts, sum } = times.read(1.0) else { panic!("a histogram") };
        assert_eq!(counts.len(), bounds.len() + 1);
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 1, 1, 2));
        assert!((sum - 3_620.000_202).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn bounds_rise_and_fit() {
        for bounds in [Short::BOUNDS, Long::BOUNDS, Waits::BOUNDS] {
            assert!(bounds.len() <= MOST_BOUNDS && bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }

    #[test]
    fn what_is_held_is_given_back_also_by_a_panic() {
        static BUSY: Gauge = Gauge::ZERO;
        let held = BUSY.hold(2);
        assert_eq!(BUSY.get(), 2);
        let _ = std::panic::catch_unwind(move || {
            let _held = held;
            panic!("as tests do");
        });
        assert_eq!(BUSY.get(), 0);
    }
}
