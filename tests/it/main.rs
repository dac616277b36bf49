//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod api;
mod llm;
mod store;
mod support;
mod worker;
