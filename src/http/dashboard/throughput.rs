//! A bar chart of ended jobs by hour or day: pure geometry, drawn by its template.

use serde::Serialize;

/// The height of the tallest bar, in pixels.
const HEIGHT: f64 = 110.0;
/// The least that shows of what is not nothing.
const LEAST: f64 = 2.0;
/// How much of its place a bar fills.
const FILLED: f64 = 0.72;

/// What ended within one hour or day.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// When it begins, as ISO 8601.
    pub from: String,
    /// Stands below the bar, where it fits.
    pub label: String,
    /// Jobs that ended, however they ended.
    pub ended: u64,
    pub failed: u64,
}

/// A bar, in per cent of the width and pixels of the height.
#[derive(Debug, PartialEq, Serialize)]
pub struct Bar {
    pub x: String,
    pub width: String,
    pub middle: String,
    /// The part of the jobs that did not fail.
    pub y: String,
    pub height: String,
    /// The failed ones, on top of it.
    pub failed_y: String,
    pub failed_height: String,
    pub from: String,
    pub label: String,
    /// Whether the label is written below it.
    pub labelled: bool,
    pub ended: u64,
    pub failed: u64,
}

/// The chart.
#[derive(Debug, Serialize)]
pub struct Throughput {
    pub bars: Vec<Bar>,
    /// What the upper line stands for.
    pub top: u64,
    pub height: f64,
    pub ended: u64,
    pub failed: u64,
    /// What a screen reader says of the picture.
    pub name: String,
}

impl Throughput {
    /// `span` says of which time it tells: "the last 24 hours". Every n-th bar has its label below it.
    pub fn new(periods: &[Period], span: &str, every: usize) -> Self {
        let ended: u64 = periods.iter().map(|p| p.ended).sum();
        let failed: u64 = periods.iter().map(|p| p.failed).sum();
        let top = round_up(periods.iter().map(|p| p.ended).max().unwrap_or(0));
        let place = 100.0 / periods.len().max(1) as f64;
        let high = |number: u64| match number {
            0 => 0.0,
            n => (n as f64 / top as f64 * HEIGHT).max(LEAST),
        };
        let bars = periods.iter().enumerate().map(|(n, period)| {
            let x = n as f64 * place;
            let bad = high(period.failed);
            let good = match period.ended.saturating_sub(period.failed) {
                0 => 0.0,
                // Both have to show, and to be no higher than the chart together.
                _ => (high(period.ended) - bad).clamp(LEAST, HEIGHT - bad.min(HEIGHT - LEAST)),
            };
            let bad = bad.min(HEIGHT - good);
            Bar {
                x: percent(x + place * (1.0 - FILLED) / 2.0),
                width: percent(place * FILLED),
                middle: percent(x + place / 2.0),
                y: pixels(HEIGHT - good),
                height: pixels(good),
                failed_y: pixels(HEIGHT - good - bad),
                failed_height: pixels(bad),
                from: period.from.clone(),
                label: period.label.clone(),
                labelled: (periods.len() - 1 - n).is_multiple_of(every.max(1)),
                ended: period.ended,
                failed: period.failed,
            }
        });
        let bars = bars.collect();
        let name = format!("Jobs that ended in {span}: {ended}, of which {failed} failed");
        Self { bars, top, height: HEIGHT, ended, failed, name }
    }
}

/// The next number of the form 1, 2, 5, 10, 20, 50, …, at least 2.
fn round_up(most: u64) -> u64 {
    let mut step: u64 = 1;
    loop {
        for factor in [2, 5, 10] {
            let candidate = step.saturating_mul(factor);
            if candidate >= most {
                return candidate;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// A share of the width.
pub(super) fn percent(share: f64) -> String {
    format!("{share:.3}%")
}

fn pixels(length: f64) -> String {
    format!("{length:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(figures: &[(u64, u64)]) -> Throughput {
        let period = |&(ended, failed): &(u64, u64)| Period { ended, failed, ..Period::default() };
        let periods: Vec<_> = figures.iter().map(period).collect();
        Throughput::new(&periods, "the last hours", 3)
    }

    fn number(text: &str) -> f64 {
        text.trim_end_matches('%').parse().unwrap()
    }

    #[test]
    fn bars_stand_on_the_ground_and_stay_within_the_picture() {
        let chart = chart(&[(0, 0), (10, 0), (1, 1), (1_000_000, 1), (7, 7), (3, 2)]);
        for bar in &chart.bars {
            let (good, bad) = (number(&bar.height), number(&bar.failed_height));
            assert!((number(&bar.y) + good - HEIGHT).abs() < 0.11, "{bar:?}");
            assert!((number(&bar.failed_y) + bad - number(&bar.y)).abs() < 0.11, "{bar:?}");
            assert!(number(&bar.failed_y) >= 0.0 && number(&bar.x) + number(&bar.width) <= 100.0, "{bar:?}");
            assert_eq!(good > 0.0, bar.ended > bar.failed, "{bar:?}");
            assert_eq!(bad > 0.0, bar.failed > 0, "a single failure shows: {bar:?}");
        }
    }

    #[test]
    fn the_tallest_bar_is_below_a_round_number() {
        for (most, top) in [(0, 2), (1, 2), (2, 2), (3, 5), (11, 20), (999, 1000), (1001, 2000)] {
            assert_eq!(chart(&[(most, 0)]).top, top);
        }
        assert_eq!(chart(&[(u64::MAX, 0)]).top, u64::MAX);
    }

    #[test]
    fn the_newest_bar_has_a_label_and_every_third_before_it() {
        let chart = chart(&[(1, 0); 7]);
        let labelled: Vec<_> = chart.bars.iter().map(|bar| bar.labelled).collect();
        assert_eq!(labelled, [true, false, false, true, false, false, true]);
        assert_eq!(chart.name, "Jobs that ended in the last hours: 7, of which 0 failed");
    }

    #[test]
    fn no_bar_at_all_is_a_picture_too() {
        assert!(chart(&[]).bars.is_empty());
    }
}
