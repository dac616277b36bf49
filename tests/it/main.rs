//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod architecture;
mod cli;
mod llm;
mod store;
mod support;
mod worker;
