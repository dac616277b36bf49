//! Jobs and workflows run by real workers on a real store.

mod chain;
mod foreign;
mod jobs;
mod odd;
mod real_model;
mod stopping;
