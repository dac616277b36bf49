//! A line as small as a word.

use std::fmt::Write;

use serde::Serialize;

use super::tenth;

/// Its width and height (CSS pixels).
const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 22.0;
/// Room for the thickness of the line.
const EDGE: f64 = 2.0;

/// A small line with what it says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sparkline {
    pub view: String,
    pub width: f64,
    pub height: f64,
    pub d: String,
    pub text: String,
}

/// Draws values from the oldest to the newest; `None` for fewer than two.
pub fn sparkline(label: &str, values: &[f64]) -> Option<Sparkline> {
    let value = |at: usize| values.get(at).copied().filter(|v| v.is_finite()).unwrap_or(0.0).max(0.0);
    if values.len() < 2 {
        return None;
    }
    let most = (0..values.len()).map(value).fold(0.0, f64::max);
    let mut d = String::new();
    for at in 0..values.len() {
        let x = EDGE + at as f64 / (values.len() - 1) as f64 * (WIDTH - 2.0 * EDGE);
        let share = if most > 0.0 { value(at) / most } else { 0.0 };
        let y = HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE);
        // Writing to a string cannot fail.
        _ = write!(d, "{}{} {}", if at == 0 { 'M' } else { 'L' }, tenth(x), tenth(y));
    }
    Some(Sparkline {
        view: format!("0 0 {WIDTH} {HEIGHT}"),
        width: WIDTH,
        height: HEIGHT,
        d,
        text: format!("{label}: {} at most, {} last", most, value(values.len() - 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_runs_from_edge_to_edge() {
        let drawn = sparkline("Jobs by hour", &[0.0, 2.0, 1.0]).unwrap();
        assert_eq!(drawn.d, "M2 20L48 2L94 11");
        assert_eq!(drawn.text, "Jobs by hour: 2 at most, 1 last");
    }

    #[test]
    fn one_value_is_no_line_and_nonsense_is_nothing() {
        assert_eq!(sparkline("x", &[1.0]), None);
        assert_eq!(sparkline("x", &[f64::NAN, 0.0]).unwrap().d, "M2 20L94 20");
    }
}
