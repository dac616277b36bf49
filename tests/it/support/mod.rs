//! What the tests stand on: servers, applications and time.

pub mod redis_server;
