//! The built executable, from the outside: texts, exit codes, signals.

mod agents;
mod canned;
mod client;
mod completions;
mod config;
mod doctor;
mod export;
mod healthcheck;
mod help;
mod help_commands;
mod jobs;
mod keys;
mod man;
mod results;
mod run;
mod serve;
mod settings;
mod submit;
mod uploads;
mod worker;
mod workers;
mod workflows;
