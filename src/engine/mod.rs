//! Pure decisions.

pub mod verdict;
