//! The API over real HTTP, one file per noun, then the rules that hold for all of it.

mod access_log;
mod agents;
mod auth;
mod bodies;
mod bulk;
mod cors;
mod errors;
mod idempotency;
mod jobs;
mod openapi;
mod outage;
mod paging;
mod queues;
mod results;
mod reviews;
mod root;
mod scheduled;
mod system;
mod tasks;
mod workflows;
