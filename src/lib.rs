//! ProductForge: a brief becomes reviewed work.
//!
//! Layers, imports only downward (`tests/it/architecture.rs` checks it):
//!
//! ```text
//! main → cli → app (composition root) → { http, worker, migrate }
//!   → service → { engine (pure), store, llm, tools, archive, analysis, blobs } → model
//! leaves that any layer may use and that import nothing above them: config, clock, telemetry
//! ```
//!
//! - [`model`]: plain types of the product, no I/O
//! - [`engine`]: pure decisions: what follows from what happened
//! - [`store`]: one storage contract, two engines (embedded SQLite, Redis)
//! - [`llm`]: one model client, OpenAI-compatible or simulated
//! - [`archive`]: uploaded zip files: proof that one is harmless, and the reading of its files
//! - [`analysis`]: what can be said about a code archive without a model
//! - [`blobs`]: where uploaded files are kept: a folder, or a bucket
//! - [`tools`]: what agents may have done: built-in tools, MCP servers
//! - [`outgoing`]: calls to addresses that somebody else names
//! - [`service`]: the verbs of the product
//! - [`migrate`]: how a Redis database comes to the newest version, and how a store is copied
//! - [`worker`]: the roles of a worker process
//! - [`http`]: the API, the documents and the dashboard
//! - [`cli`]: the commands
//! - [`fuzzing`]: what must hold for bytes that come from outside; only tests call it

pub mod analysis;
pub mod app;
pub mod archive;
pub mod blobs;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod llm;
pub mod migrate;
pub mod model;
pub mod outgoing;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod worker;
