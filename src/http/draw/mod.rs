//! Charts, drawn as SVG: pure functions from figures to shapes, with the table that says the same.
//!
//! A drawing is data; `charts.html` turns it into markup, so that a hostile label is escaped like any other
//! text. Shapes stretch with the page and letters do not: plots are measured in [`WIDE`] by [`HIGH`] units of no
//! fixed size, and what is written stands around them.

mod bars;
pub mod gantt;
pub mod graph;
mod scale;
mod series;
mod spark;

use serde::Serialize;

pub use bars::{Bar, bars};
pub use scale::Unit;
pub use series::{Series, columns, lines};
pub use spark::{Sparkline, sparkline};

/// The width of a plot in its own units.
pub const WIDE: f64 = 1000.0;
/// The height of a plot in its own units.
pub const HIGH: f64 = 100.0;
/// Series that have a colour of their own; more than these share the last one.
pub const COLOURS: usize = 6;

/// A chart with all that is written around it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// The id of its element, and so its permalink.
    pub id: String,
    pub title: String,
    /// What a reader who cannot see it is told.
    pub text: String,
    pub plot: Plot,
    /// What the bars are called; empty for series.
    pub names: Vec<String>,
    /// What the bars amount to; empty for series.
    pub amounts: Vec<String>,
    /// Beside the upright axis, from the top down.
    pub up: Vec<String>,
    /// Below the level axis, from the left.
    pub along: Vec<String>,
    pub legend: Vec<Key>,
    pub table: Table,
    /// Whether there is anything to draw.
    pub empty: bool,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plot {
    pub view: String,
    /// In CSS pixels.
    pub height: usize,
    pub shapes: Vec<Shape>,
}

/// One thing that is drawn. Its class gives it its colour.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Shape {
    Rect { x: f64, y: f64, width: f64, height: f64, class: String, tip: Option<String> },
    Path { d: String, class: String },
}

/// One line of a legend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Key {
    pub class: String,
    pub label: String,
}

/// The same figures in words.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    pub columns: Vec<String>,
    /// The first cell of each is its heading.
    pub rows: Vec<Vec<String>>,
}

impl Shape {
    fn rect(x: f64, y: f64, width: f64, height: f64, class: impl Into<String>) -> Self {
        let (x, y, width, height) = (tenth(x), tenth(y), tenth(width), tenth(height));
        Self::Rect { x, y, width, height, class: class.into(), tip: None }
    }

    fn tip(mut self, text: String) -> Self {
        if let Self::Rect { tip, .. } = &mut self {
            *tip = Some(text);
        }
        self
    }
}

/// The class of a series by its place.
fn colour(place: usize) -> String {
    format!("s{}", place.min(COLOURS - 1))
}

/// To a tenth: finer is not seen, and makes pages long.
fn tenth(number: f64) -> f64 {
    if number.is_finite() { (number * 10.0).round() / 10.0 } else { 0.0 }
}
