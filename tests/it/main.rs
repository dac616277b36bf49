//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod architecture;
mod browser;
mod llm;
mod store;
mod support;
mod worker;
