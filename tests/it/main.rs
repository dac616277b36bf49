//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod api;
mod architecture;
mod browser;
mod chaos;
mod cli;
mod llm;
mod processes;
mod store;
mod support;
mod tools;
mod worker;
