//! The whole surface through the front door, on both engines: what legacy clients know, and what came later.
//! `docs/legacy.md` says which row of the legacy system's documents is held by which test.

mod access_log;
mod agents;
mod analytics;
mod audit;
mod auth;
mod auth_matrix;
mod bodies;
mod client_ip;
mod control;
mod cors;
mod dashboard_access;
mod errors;
mod events;
mod exports;
mod headers;
mod keys;
mod named_keys;
mod ops_pages;
mod pages;
mod paging;
mod rate_limits;
mod results;
mod reviews;
mod root;
mod rows;
mod run_pages;
mod settings;
mod slow_clients;
mod system;
mod tasks;
mod upload_list;
pub mod uploads;
mod webhooks;
mod work_pages;
mod workers;
mod workflows;
