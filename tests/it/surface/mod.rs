//! The whole surface through the front door, on both engines: what legacy clients know, and what came later.
//! `docs/legacy.md` says which row of the legacy system's documents is held by which test.

mod analytics;
mod exports;
mod results;
pub mod uploads;
