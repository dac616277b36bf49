//! Pictures that the server draws: pure functions from figures to places, which templates write as SVG.

pub mod gantt;
pub mod graph;
