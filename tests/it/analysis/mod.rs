//! Analyses of hostile, random and real files.

mod hostile;
mod line_counts;
mod random;
mod real;
mod support;

pub use support::archives;
