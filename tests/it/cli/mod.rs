//! The built executable, from the outside: texts, exit codes, signals.

mod config;
mod export;
mod healthcheck;
mod help;
mod help_commands;
mod jobs;
mod keys;
mod run;
mod serve;
mod worker;
mod workers;
mod workflows;
