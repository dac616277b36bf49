//! Jobs and workflows run by real workers on a real store.

mod cancelling;
mod chain;
mod foreign;
mod jobs;
mod limits;
mod odd;
mod on_redis;
mod real_model;
mod stopping;
mod upkeep;
