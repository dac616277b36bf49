//! The built executable, from the outside: texts, exit codes, signals.

mod completions;
mod config;
mod doctor;
mod export;
mod healthcheck;
mod help;
mod help_commands;
mod jobs;
mod man;
mod run;
mod serve;
mod settings;
mod worker;
mod workers;
mod workflows;
