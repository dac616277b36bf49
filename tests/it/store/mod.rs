//! The storage contract's suites, run on every engine.
