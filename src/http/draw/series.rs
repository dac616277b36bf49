//! Figures over time: lines, and columns that stand one upon the other.

use std::fmt::Write;

use super::{Chart, HIGH, Key, Plot, Shape, Table, Unit, WIDE, colour, tenth};

/// The height of a chart over time (CSS pixels).
const TALL: usize = 160;

/// One value for each time; `None` where there is nothing to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub label: String,
    pub values: Vec<Option<f64>>,
    /// Its class instead of the one that its place gives it, such as `bad`.
    pub class: Option<&'static str>,
}

impl Series {
    pub fn new(label: impl Into<String>, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self { label: label.into(), values: values.into_iter().collect(), class: None }
    }

    /// In a colour that means something.
    pub fn class(mut self, class: &'static str) -> Self {
        self.class = Some(class);
        self
    }

    fn class_at(&self, place: usize) -> String {
        self.class.map_or_else(|| colour(place), str::to_owned)
    }

    fn at(&self, time: usize) -> Option<f64> {
        self.values.get(time).copied().flatten().filter(|value| value.is_finite() && *value >= 0.0)
    }
}

/// One line for each series over the same times.
pub fn lines(id: &str, title: &str, unit: Unit, times: &[String], series: &[Series]) -> Chart {
    let most = all(times, series).fold(0.0, f64::max);
    let end = unit.end(most);
    let step = WIDE / times.len().max(1) as f64;
    let mut shapes = grid();
    for (place, one) in series.iter().enumerate() {
        let mut d = String::new();
        for time in 0..times.len() {
            let Some(value) = one.at(time) else { continue };
            let (x, y) = (tenth((time as f64 + 0.5) * step), tenth(HIGH - value / end * HIGH));
            let joined = time > 0 && one.at(time - 1).is_some();
            // A value that stands alone is a dash: a point that has no length is not drawn.
            let lone = !joined && one.at(time + 1).is_none();
            // Writing to a string cannot fail.
            _ = match (joined, lone) {
                (true, _) => write!(d, "L{x} {y}"),
                (false, true) => write!(d, "M{} {y}L{} {y}", tenth(x - step / 4.0), tenth(x + step / 4.0)),
                (false, false) => write!(d, "M{x} {y}"),
            };
        }
        if !d.is_empty() {
            shapes.push(Shape::Path { d, class: format!("line {}", one.class_at(place)) });
        }
    }
    shapes.extend(tips(unit, times, series));
    finish(id, title, unit, times, series, end, shapes)
}

/// One column for each time, with the series one upon the other, the first one at the bottom.
pub fn columns(id: &str, title: &str, unit: Unit, times: &[String], series: &[Series]) -> Chart {
    let sum = |time: usize| series.iter().filter_map(|one| one.at(time)).sum::<f64>();
    let end = unit.end((0..times.len()).map(sum).fold(0.0, f64::max));
    let step = WIDE / times.len().max(1) as f64;
    let width = step * 0.76;
    let mut shapes = grid();
    for time in 0..times.len() {
        let x = time as f64 * step + (step - width) / 2.0;
        let mut top = HIGH;
        for (place, one) in series.iter().enumerate() {
            let height = one.at(time).unwrap_or(0.0) / end * HIGH;
            if height <= 0.0 {
                continue;
            }
            // What is there is seen, however small.
            let height = height.max(0.8).min(top);
            top -= height;
            shapes.push(Shape::rect(x, top, width, height, one.class_at(place)));
        }
    }
    shapes.extend(tips(unit, times, series));
    let chart = finish(id, title, unit, times, series, end, shapes);
    // Columns of no height are not seen; a line along the axis is.
    Chart { empty: all(times, series).all(|value| value == 0.0), ..chart }
}

/// Lines at the ends and in the middle of the upright axis.
fn grid() -> Vec<Shape> {
    let line = |y: f64| Shape::Path { d: format!("M0 {y}L{WIDE} {y}"), class: "grid".to_owned() };
    vec![line(0.0), line(HIGH / 2.0), line(HIGH)]
}

/// Over each time a field that is not seen and says what it is.
fn tips(unit: Unit, times: &[String], series: &[Series]) -> Vec<Shape> {
    let step = WIDE / times.len().max(1) as f64;
    let tip = |(time, name): (usize, &String)| {
        let mut text = name.clone();
        for one in series {
            if let Some(value) = one.at(time) {
                _ = write!(text, "\n{}: {}", one.label, unit.text(value));
            }
        }
        Shape::rect(time as f64 * step, 0.0, step, HIGH, "tip").tip(text)
    };
    times.iter().enumerate().map(tip).collect()
}

fn all(times: &[String], series: &[Series]) -> impl Iterator<Item = f64> {
    let times = times.len();
    series.iter().flat_map(move |one| (0..times).filter_map(move |time| one.at(time)))
}

fn finish(
    id: &str,
    title: &str,
    unit: Unit,
    times: &[String],
    series: &[Series],
    end: f64,
    shapes: Vec<Shape>,
) -> Chart {
    let row = |(time, name): (usize, &String)| {
        let cell = |one: &Series| one.at(time).map_or_else(|| "–".to_owned(), |value| unit.text(value));
        std::iter::once(name.clone()).chain(series.iter().map(cell)).collect()
    };
    let along = match times {
        [] => Vec::new(),
        [only] => vec![only.clone()],
        [first, .., last] if times.len() < 5 => vec![first.clone(), last.clone()],
        [first, .., last] => vec![first.clone(), times[times.len() / 2].clone(), last.clone()],
    };
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        text: told(title, unit, times, series),
        plot: Plot { view: format!("0 0 {WIDE} {HIGH}"), height: TALL, shapes },
        names: Vec::new(),
        amounts: Vec::new(),
        up: [end, end / 2.0, 0.0].map(|value| unit.short(value)).into(),
        along,
        legend: series
            .iter()
            .enumerate()
            .map(|(place, one)| Key { class: one.class_at(place), label: one.label.clone() })
            .collect(),
        table: Table {
            columns: std::iter::once("Time".to_owned())
                .chain(series.iter().map(|one| one.label.clone()))
                .collect(),
            rows: times.iter().enumerate().map(row).collect(),
        },
        empty: all(times, series).next().is_none(),
    }
}

/// The highest value of each series and when, in words.
fn told(title: &str, unit: Unit, times: &[String], series: &[Series]) -> String {
    let highest = |one: &Series| {
        let values = (0..times.len()).filter_map(|time| Some((time, one.at(time)?)));
        let (time, value) = values.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(format!("{}: at most {} ({})", one.label, unit.with_noun(value), times[time]))
    };
    let parts: Vec<String> = series.iter().filter_map(highest).collect();
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if !parts.is_empty() => {
            format!("{title}, {first} to {last}. {}.", parts.join("; "))
        }
        _ => format!("{title}: nothing yet."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{i:02}:00")).collect()
    }

    fn paths(chart: &Chart) -> Vec<&str> {
        let path = |shape: &'_ Shape| match shape {
            Shape::Path { class, .. } if class == "grid" => None,
            Shape::Path { .. } => Some(()),
            Shape::Rect { .. } => None,
        };
        let drawn = chart.plot.shapes.iter().filter(|shape| path(shape).is_some());
        drawn.filter_map(|s| if let Shape::Path { d, .. } = s { Some(d.as_str()) } else { None }).collect()
    }

    #[test]
    fn a_line_breaks_where_there_is_nothing_and_a_lone_value_is_a_dash() {
        let one = Series::new("p50", [Some(1.0), Some(2.0), None, Some(4.0)]);
        let chart = lines("time", "Time taken", Unit::Seconds, &times(4), &[one]);
        assert_eq!(paths(&chart), ["M125 75L375 50M812.5 0L937.5 0"]);
        assert_eq!(chart.up, ["4 s", "2 s", "0 s"]);
        assert_eq!(chart.table.rows[2], ["02:00", "–"]);
        assert_eq!(chart.text, "Time taken, 00:00 to 03:00. p50: at most 4.00 s (03:00).");
    }

    #[test]
    fn columns_stand_one_upon_the_other_within_the_plot() {
        let good = Series::new("completed", [Some(3.0), Some(0.0)]);
        let bad = Series::new("failed", [Some(1.0), None]).class("bad");
        let chart = columns("jobs", "Jobs", Unit::Count("jobs"), &times(2), &[good, bad]);
        let stacked = chart.plot.shapes.iter().filter_map(|shape| match shape {
            Shape::Rect { y, height, class, .. } if class != "tip" => Some((*y, *height, class.as_str())),
            _ => None,
        });
        assert_eq!(stacked.collect::<Vec<_>>(), [(25.0, 75.0, "s0"), (0.0, 25.0, "bad")]);
        assert!(!chart.empty);
    }

    #[test]
    fn every_time_tells_its_figures() {
        let one = Series::new("jobs", [Some(3.0), None]);
        let chart = columns("jobs", "Jobs", Unit::Count("jobs"), &times(2), &[one]);
        let tips: Vec<_> = chart
            .plot
            .shapes
            .iter()
            .filter_map(|shape| if let Shape::Rect { tip, .. } = shape { tip.as_deref() } else { None })
            .collect();
        assert_eq!(tips, ["00:00\njobs: 3", "01:00"]);
    }

    #[test]
    fn nothing_and_nonsense_are_empty_and_stay_in_the_plot() {
        for values in [vec![], vec![None], vec![Some(f64::NAN)], vec![Some(-3.0)]] {
            let series = [Series::new("x", values)];
            for draw in [lines, columns] {
                assert!(draw("x", "X", Unit::Usd, &times(1), &series).empty);
            }
        }
        let none = [Series::new("failed", [Some(0.0)])];
        assert!(columns("x", "X", Unit::Usd, &times(1), &none).empty);
        assert!(!lines("x", "X", Unit::Share, &times(1), &none).empty, "that none failed is worth a line");
        assert!(lines("x", "X", Unit::Usd, &[], &[]).empty);
    }
}
