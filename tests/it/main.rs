//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

mod analysis;
mod api;
mod architecture;
mod archive;
mod blobs;
mod browser;
mod chaos;
mod cli;
mod llm;
mod processes;
mod ship;
mod store;
#[macro_use]
mod support;
mod surface;
mod tools;
mod worker;
