//! The built executable, from the outside: texts, exit codes, signals.

mod agents;
mod canned;
mod client;
mod config;
mod export;
mod healthcheck;
mod help;
mod help_commands;
mod jobs;
mod keys;
mod results;
mod run;
mod serve;
mod submit;
mod uploads;
mod worker;
mod workers;
mod workflows;
