//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod store;
mod support;
