//! What the tests stand on: servers, applications and time.

pub mod command;
pub mod fake_model;
pub mod process;
pub mod redis_server;
pub mod scripted;
pub mod small_model;
pub mod wait;
pub mod world;
