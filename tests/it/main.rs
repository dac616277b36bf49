//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod architecture;
mod browser;
mod cli;
mod llm;
mod processes;
mod store;
mod support;
mod worker;
