//! What the tests stand on: servers, applications and time.

pub mod app;
pub mod blobs;
pub mod certificates;
pub mod collector;
pub mod command;
#[macro_use]
pub mod engines;
pub mod fake_model;
pub mod fault_proxy;
pub mod legacy_database;
pub mod logs;
pub mod process;
pub mod receiver;
pub mod redis_cluster;
pub mod redis_sentinels;
pub mod redis_server;
pub mod s3_server;
pub mod scripted;
pub mod sleepy_store;
pub mod small_model;
pub mod wait;
pub mod world;
