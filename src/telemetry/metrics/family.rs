//! Families: a name and what its series are told apart by.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock},
};

use super::{Instrument, Metric, OTHER, Sample};

/// The most series of one family that learns its labels; further ones are counted together.
const MOST_SERIES: usize = 2_000;

/// All series of one name.
pub trait Family: Sync {
    /// What they say now.
    fn read(&self) -> Metric;
}

/// One series without labels.
#[derive(Debug)]
pub struct Single<I> {
    name: &'static str,
    help: &'static str,
    scale: f64,
    instrument: I,
}

impl<I: Instrument> Single<I> {
    /// The name without the prefix `productforge_`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, scale: 1.0, instrument: I::ZERO }
    }
}

impl<I> std::ops::Deref for Single<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.instrument
    }
}

impl<I: Instrument> Family for Single<I> {
    fn read(&self) -> Metric {
        let sample = Sample { labels: Vec::new(), reading: self.instrument.read(self.scale) };
        Metric { name: self.name, help: self.help, kind: I::KIND, samples: vec![sample] }
    }
}

/// A series for each of some label values that are known beforehand.
#[derive(Debug)]
pub struct Fixed<I, const N: usize> {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: [&'static str; N],
    series: [I; N],
}

impl<I: Instrument, const N: usize> Fixed<I, N> {
    pub const fn new(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> Self {
        Self { name, help, label, values, series: [const { I::ZERO }; N] }
    }

    /// The series of the value with this number; the last one for a number that there is not.
    pub fn at(&self, number: usize) -> &I {
        &self.series[number.min(N - 1)]
    }

    /// The series of a value; the last one for a value that there is not.
    pub fn of(&self, value: &str) -> &I {
        self.at(self.values.iter().position(|known| *known == value).unwrap_or(N))
    }
}

impl<I: Instrument, const N: usize> Family for Fixed<I, N> {
    fn read(&self) -> Metric {
        let sample = |(value, series): (&&'static str, &I)| Sample {
            labels: vec![(self.label, (*value).to_owned())],
            reading: series.read(1.0),
        };
        let samples = self.values.iter().zip(&self.series).map(sample).collect();
        Metric { name: self.name, help: self.help, kind: I::KIND, samples }
    }
}

/// A series for each set of label values that came up.
#[derive(Debug)]
pub struct Open<I: 'static, const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    scale: f64,
    /// By a hash of the values, so that looking one up takes no memory.
    series: RwLock<BTreeMap<u64, Arc<Series<I, L>>>>,
    /// What came when there were too many. Shown once it has counted.
    rest: I,
}

#[derive(Debug)]
struct Series<I, const L: usize> {
    values: [Box<str>; L],
    instrument: I,
}

impl<I: Instrument, const L: usize> Open<I, L> {
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; L]) -> Self {
        Self::scaled(name, help, labels, 1.0)
    }

    /// What is counted times `scale` is what is shown.
    pub const fn scaled(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; L],
        scale: f64,
    ) -> Self {
        Self { name, help, labels, scale, series: RwLock::new(BTreeMap::new()), rest: I::ZERO }
    }

    /// Uses the series of these values.
    pub fn with(&self, values: [&str; L], count: impl FnOnce(&I)) {
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        let series = known.or_else(|| {
            let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
            let room = all.len() < MOST_SERIES || all.contains_key(&hash);
            let fresh = || Arc::new(Series { values: values.map(Into::into), instrument: I::ZERO });
            room.then(|| all.entry(hash).or_insert_with(fresh).clone())
        });
        match series {
            Some(series) if series.values.iter().zip(values).all(|(own, given)| **own == *given) => {
                count(&series.instrument);
            }
            // Too many, or two sets of values with one hash, which is not to be expected.
            _ => count(&self.rest),
        }
    }
}

impl<I: Instrument, const L: usize> Family for Open<I, L> {
    fn read(&self) -> Metric {
        let all: Vec<_> =
            self.series.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let sample = |values: [&str; L], instrument: &I| Sample {
            labels: self.labels.into_iter().zip(values.map(str::to_owned)).collect(),
            reading: instrument.read(self.scale),
        };
        let mut samples: Vec<_> = all
            .iter()
            .map(|series| sample(std::array::from_fn(|n| &*series.values[n]), &series.instrument))
            .collect();
        samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        if self.rest.read(1.0) != I::ZERO.read(1.0) {
            samples.push(sample([OTHER; L], &self.rest));
        }
        Metric { name: self.name, help: self.help, kind: I::KIND, samples }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Counter, Reading},
        *,
    };

    fn numbers(metric: &Metric) -> Vec<(String, f64)> {
        let number = |sample: &Sample| match sample.reading {
            Reading::Number(number) => number,
            _ => panic!("a number"),
        };
        let values = |s: &Sample| s.labels.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join("/");
        metric.samples.iter().map(|s| (values(s), number(s))).collect()
    }

    #[test]
    fn a_fixed_family_shows_every_value_from_the_start() {
        let jobs = Fixed::<Counter, 2>::new("jobs_total", "Jobs", "queue", ["high", "low"]);
        jobs.of("low").add(2);
        assert_eq!(numbers(&jobs.read()), [("high".to_owned(), 0.0), ("low".to_owned(), 2.0)]);
    }

    #[test]
    fn an_open_family_shows_what_came_up_scaled() {
        let calls = Open::<Counter, 2>::scaled("cost_total", "Cost", ["provider", "model"], 0.5);
        assert!(calls.read().samples.is_empty());
        calls.with(["b", "m"], |c| c.add(1));
        calls.with(["a", "m"], |c| c.add(4));
        calls.with(["b", "m"], |c| c.add(1));
        assert_eq!(numbers(&calls.read()), [("a/m".to_owned(), 2.0), ("b/m".to_owned(), 1.0)]);
    }

    #[test]
    fn too_many_series_are_counted_together() {
        let routes = Open::<Counter, 1>::new("r_total", "R", ["route"]);
        for n in 0..MOST_SERIES + 5 {
            routes.with([&n.to_string()], |c| c.add(1));
        }
        let all = numbers(&routes.read());
        assert_eq!(all.len(), MOST_SERIES + 1);
        assert_eq!(all.last().unwrap(), &(OTHER.to_owned(), 5.0));
    }
}
