//! All integration tests, linked once.
#![allow(clippy::unwrap_used)]

// First: its macros are for all.
#[macro_use]
mod support;

mod analysis;
mod api;
mod architecture;
mod archive;
mod blobs;
mod browser;
mod chaos;
mod cli;
mod fuzz;
mod llm;
mod processes;
mod ship;
mod store;
mod surface;
mod tools;
mod upgrade;
mod worker;
