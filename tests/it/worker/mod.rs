//! Jobs and workflows run by real workers on a real store.

mod budgets;
mod cancelling;
mod chain;
mod conversations;
mod foreign;
mod jobs;
mod limits;
mod odd;
mod on_redis;
mod outputs;
mod pacing;
mod providers;
mod real_model;
mod stopping;
mod upkeep;
