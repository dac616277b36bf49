//! Bars that lie: one for each of several names.

use super::{Chart, Key, Plot, Shape, Table, Unit, WIDE, colour};

/// The height of one bar with its room, as the labels beside it have it too (CSS pixels).
const ROW: usize = 28;
/// The room above and below a bar.
const GAP: f64 = 7.0;

/// One name and what it amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub name: String,
    /// Parts in the order of the legend, one where there is none.
    pub parts: Vec<f64>,
    /// What the table says of it beside the parts.
    pub more: Vec<String>,
}

impl Bar {
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), parts: vec![value], more: Vec::new() }
    }

    fn total(&self) -> f64 {
        self.parts.iter().filter(|part| part.is_finite()).sum()
    }
}

/// A chart of bars, in the order given. `parts` names what each is made of, `noun` what they are of. The longest
/// one is as wide as the plot; shares are out of one.
pub fn bars(id: &str, title: &str, noun: &str, unit: Unit, parts: &[&str], bars: &[Bar]) -> Chart {
    let least = if unit == Unit::Share { 1.0 } else { 0.0 };
    let most = bars.iter().map(Bar::total).fold(least, f64::max);
    let mut shapes = Vec::new();
    for (row, bar) in bars.iter().enumerate() {
        let y = (row * ROW) as f64 + GAP;
        shapes.push(Shape::rect(0.0, y, WIDE, ROW as f64 - 2.0 * GAP, "rail"));
        let mut from = 0.0;
        for (place, part) in bar.parts.iter().enumerate().filter(|(_, part)| **part > 0.0 && most > 0.0) {
            // What is there is seen, however small.
            let width = (part / most * WIDE).max(2.0).min(WIDE - from);
            let name = if parts.len() > 1 { parts.get(place).copied().unwrap_or(noun) } else { "" };
            let tip = [&bar.name, name, &unit.with_noun(*part)].map(str::to_owned);
            let tip = tip.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(", ");
            let shape = Shape::rect(from, y, width, ROW as f64 - 2.0 * GAP, colour(place));
            shapes.push(shape.tip(tip));
            from += width;
        }
    }
    let several = parts.len() > 1;
    let row = |bar: &Bar| {
        let parts = bar.parts.iter().map(|part| unit.text(*part));
        std::iter::once(bar.name.clone()).chain(parts).chain(bar.more.iter().cloned()).collect()
    };
    let told = bars.iter().take(5).map(|bar| format!("{} {}", bar.name, unit.with_noun(bar.total())));
    let told = told.collect::<Vec<_>>().join(", ");
    Chart {
        id: id.to_owned(),
        title: title.to_owned(),
        text: match bars.len() {
            0 => format!("{title}: nothing yet."),
            n if n > 5 => format!("{title}. The first five of {n}: {told}."),
            _ => format!("{title}: {told}."),
        },
        plot: Plot { view: format!("0 0 {WIDE} {}", bars.len() * ROW), height: bars.len() * ROW, shapes },
        names: bars.iter().map(|bar| bar.name.clone()).collect(),
        amounts: bars.iter().map(|bar| unit.text(bar.total())).collect(),
        up: Vec::new(),
        along: Vec::new(),
        legend: if several {
            let key =
                |(place, label): (usize, &&str)| Key { class: colour(place), label: (*label).to_owned() };
            parts.iter().enumerate().map(key).collect()
        } else {
            Vec::new()
        },
        table: Table {
            columns: std::iter::once(noun).chain(parts.iter().copied()).map(str::to_owned).collect(),
            rows: bars.iter().map(row).collect(),
        },
        empty: bars.is_empty(),
    }
}

impl Chart {
    /// The parts of its bars in colours that mean something.
    pub fn classes(mut self, classes: &[&str]) -> Self {
        let change = |class: &mut String| {
            let place = (0..classes.len()).find(|place| *class == colour(*place));
            if let Some(place) = place {
                classes[place].clone_into(class);
            }
        };
        for shape in &mut self.plot.shapes {
            if let Shape::Rect { class, .. } = shape {
                change(class);
            }
        }
        self.legend.iter_mut().for_each(|key| change(&mut key.class));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(chart: &Chart) -> Vec<f64> {
        let width = |shape: &Shape| match shape {
            Shape::Rect { width, class, .. } if class != "rail" => Some(*width),
            _ => None,
        };
        chart.plot.shapes.iter().filter_map(width).collect()
    }

    #[test]
    fn the_longest_bar_is_as_wide_as_the_plot_and_the_others_in_proportion() {
        let list =
            [Bar::new("Rust", 400.0), Bar::new("C", 100.0), Bar::new("sh", 0.1), Bar::new("none", 0.0)];
        let chart = bars("languages", "Languages", "Language", Unit::Count("lines"), &["Lines"], &list);
        assert_eq!(widths(&chart), [1000.0, 250.0, 2.0], "the smallest is still seen, nothing is not");
        assert_eq!(chart.plot.height, 4 * ROW);
        assert_eq!(chart.table.rows[0], ["Rust", "400"]);
        assert_eq!(chart.text, "Languages: Rust 400 lines, C 100 lines, sh 0 lines, none 0 lines.");
        assert!(chart.legend.is_empty());
    }

    #[test]
    fn parts_lie_one_behind_the_other_and_are_named() {
        let bar = Bar { name: "a".to_owned(), parts: vec![3.0, 1.0], more: vec!["25 %".to_owned()] };
        let chart = bars("jobs", "Jobs", "Agent", Unit::Count("jobs"), &["completed", "failed"], &[bar]);
        assert_eq!(widths(&chart), [750.0, 250.0]);
        assert_eq!(chart.legend[1], Key { class: "s1".to_owned(), label: "failed".to_owned() });
        assert_eq!(chart.table.rows[0], ["a", "3", "1", "25 %"]);
    }

    #[test]
    fn shares_are_out_of_one_and_classes_can_mean_something() {
        let half = bars("x", "Accepted", "Agent", Unit::Share, &["accepted"], &[Bar::new("a", 0.5)]);
        assert_eq!(widths(&half), [500.0]);
        let bar = Bar { name: "a".to_owned(), parts: vec![3.0, 1.0], more: Vec::new() };
        let chart = bars("x", "Jobs", "Agent", Unit::Count("jobs"), &["ok", "failed"], &[bar]);
        let chart = chart.classes(&["good", "bad"]);
        let class =
            |shape: &Shape| if let Shape::Rect { class, .. } = shape { class.clone() } else { String::new() };
        assert_eq!(chart.plot.shapes.iter().map(class).collect::<Vec<_>>(), ["rail", "good", "bad"]);
        assert_eq!(chart.legend[1].class, "bad");
    }

    #[test]
    fn nothing_and_nonsense_draw_nothing() {
        let none = bars("x", "Jobs", "Agent", Unit::Count("jobs"), &["jobs"], &[]);
        assert!(none.empty && none.plot.shapes.is_empty());
        let odd = [Bar::new("nan", f64::NAN), Bar::new("inf", f64::INFINITY), Bar::new("minus", -1.0)];
        let odd = bars("x", "Jobs", "Agent", Unit::Count("jobs"), &["jobs"], &odd);
        assert!(widths(&odd).is_empty());
    }
}
