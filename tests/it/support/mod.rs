//! What the tests stand on: servers, applications and time.

pub mod fake_model;
pub mod redis_server;
