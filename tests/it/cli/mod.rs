//! The built executable, from the outside: texts, exit codes, signals.

mod config;
mod healthcheck;
mod help;
mod run;
mod serve;
mod worker;
