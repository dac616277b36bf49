//! Axes: where they end, and how figures are written beside them.

use crate::http::render::{grouped, seconds_text};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// Things, with their name for more than one.
    Count(&'static str),
    Seconds,
    /// US dollars.
    Usd,
    /// A share, 0 to 1.
    Share,
}

impl Unit {
    /// In full, as a table shows it.
    pub fn text(self, value: f64) -> String {
        match self {
            Self::Count(_) => grouped(whole(value)),
            Self::Seconds => seconds_text(value),
            Self::Usd => dollars(value),
            Self::Share => format!("{:.1} %", value * 100.0),
        }
    }

    /// In full with its noun.
    pub fn with_noun(self, value: f64) -> String {
        match self {
            Self::Count(noun) => format!("{} {noun}", self.text(value)),
            _ => self.text(value),
        }
    }

    /// In short, as an axis shows it.
    pub(super) fn short(self, value: f64) -> String {
        match self {
            Self::Count(_) if value >= 1e9 => format!("{} G", plain(value / 1e9)),
            Self::Count(_) if value >= 1e6 => format!("{} M", plain(value / 1e6)),
            Self::Count(_) if value >= 1e4 => format!("{} k", plain(value / 1e3)),
            Self::Count(_) => plain(value),
            Self::Seconds if value == 0.0 => "0 s".to_owned(),
            Self::Seconds if value < 1.0 => format!("{} ms", plain(value * 1e3)),
            Self::Seconds if value < 120.0 => format!("{} s", plain(value)),
            Self::Seconds if value < 7_200.0 => format!("{} min", plain(value / 60.0)),
            Self::Seconds => format!("{} h", plain(value / 3_600.0)),
            Self::Usd if value == 0.0 => "$0".to_owned(),
            Self::Usd if value < 0.01 => format!("${value:.4}"),
            Self::Usd if value < 10.0 => format!("${value:.2}"),
            Self::Usd => format!("${}", plain(value)),
            Self::Share => format!("{} %", plain(value * 100.0)),
        }
    }

    /// Where an axis for values up to this one ends: so that its half is a round figure, too.
    pub(super) fn end(self, most: f64) -> f64 {
        let least = match self {
            Self::Count(_) => 2.0,
            Self::Share => return if most > 0.5 { 1.0 } else { nice(most.max(0.02)) },
            Self::Seconds | Self::Usd => 0.0,
        };
        match self {
            Self::Seconds if most > 7_200.0 => nice(most / 3_600.0) * 3_600.0,
            Self::Seconds if most > 120.0 => nice(most / 60.0) * 60.0,
            _ => nice(most).max(least),
        }
    }
}

/// The next of 1, 2, 4, 6, 8 or 10 times a power of ten; 1 where there is nothing to show.
fn nice(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0];
    // A hair below counts as met: division does not always give back what was multiplied.
    steps.into_iter().map(|step| step * power).find(|end| most <= end * (1.0 + 1e-9)).unwrap_or(power * 10.0)
}

fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

/// At most two decimals, and none that say nothing.
fn plain(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn dollars(value: f64) -> String {
    match value {
        0.0 => "$0".to_owned(),
        v if v < 0.01 => format!("${v:.6}"),
        v if v < 1.0 => format!("${v:.4}"),
        v => format!("${v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_figures_that_hold_what_they_show() {
        let jobs = Unit::Count("jobs");
        let cases =
            [(0.0, 2.0), (1.0, 2.0), (3.0, 4.0), (4.0, 4.0), (11.0, 20.0), (87.0, 100.0), (601.0, 800.0)];
        for (most, end) in cases {
            assert_eq!(jobs.end(most), end, "{most}");
        }
        assert_eq!(Unit::Seconds.end(200.0), 240.0, "whole minutes");
        assert_eq!([0.0, 0.3, 0.7].map(|share| Unit::Share.end(share)), [0.02, 0.4, 1.0]);
        for most in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(jobs.end(most).is_finite());
        }
    }

    #[test]
    fn figures_beside_an_axis_are_short_and_have_units() {
        let cases = [
            (Unit::Count("tokens"), 2_000_000.0, "2 M"),
            (Unit::Count("tokens"), 40_000.0, "40 k"),
            (Unit::Count("jobs"), 8.0, "8"),
            (Unit::Seconds, 0.2, "200 ms"),
            (Unit::Seconds, 240.0, "4 min"),
            (Unit::Usd, 0.004, "$0.0040"),
            (Unit::Usd, 20.0, "$20"),
            (Unit::Share, 0.5, "50 %"),
        ];
        for (unit, value, text) in cases {
            assert_eq!(unit.short(value), text);
        }
    }

    #[test]
    fn figures_in_tables_are_exact() {
        assert_eq!(Unit::Count("jobs").with_noun(1_234.0), "1\u{202f}234 jobs");
        assert_eq!(Unit::Usd.text(0.000_12), "$0.000120");
        assert_eq!(Unit::Share.text(0.123), "12.3 %");
    }
}
