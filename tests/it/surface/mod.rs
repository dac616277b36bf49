//! The whole surface through the front door, on both engines: what legacy clients know, and what came later.
//! `docs/legacy.md` says which row of the legacy system's documents is held by which test.

mod access_log;
mod agents;
mod analytics;
mod auth;
mod bodies;
mod control;
mod cors;
mod dashboard_access;
mod errors;
mod events;
mod exports;
mod keys;
mod ops_pages;
mod pages;
mod paging;
mod results;
mod retention;
mod reviews;
mod root;
mod rows;
mod run_pages;
mod settings;
mod system;
mod tasks;
mod upload_list;
pub mod uploads;
mod work_pages;
mod workers;
mod workflows;
