//! The commands. One file each; what they share is in [`process`], [`progress`], [`client`], [`answers`], [`table`],
//! [`paint`], [`reading`], [`given`] and [`files`].
//!
//! Exit codes: 0 done; 1 it failed, or a server refused it; 2 the command line, the configuration or the key is wrong;
//! 3 no server answers (`migrate --check`: there is something to do); 130 interrupted. `healthcheck` knows 0 and 1
//! only, as containers want it.

mod agents;
mod answers;
mod approval;
mod audit;
mod backup;
mod client;
mod completions;
mod config;
mod copy;
mod doctor;
mod export;
mod files;
mod given;
mod healthcheck;
mod jobs;
mod keys;
mod man;
mod migrate;
mod paint;
mod process;
mod progress;
mod queues;
mod reading;
mod reports;
mod restore;
mod results;
mod run;
mod serve;
mod submit;
mod table;
mod uploads;
mod usage;
mod watch;
mod worker;
mod workers;
mod workflows;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Flags},
    service::ServiceError,
};

/// The exit code where no server answers.
const UNREACHABLE: u8 = 3;

const EXAMPLES: &str = "\
Examples:
  productforge serve                        the API and the dashboard on http://127.0.0.1:8000
  productforge run \"Fix the login bug\"      one brief, here and now, report on standard output
  REDIS_URL=redis://cache:6379 productforge worker --workers 16
  productforge jobs list --state dead       what failed for good at a running server
  productforge run \"Fix the login bug\" --server https://forge.example.com

Settings come from flags, then from the environment, then from productforge.toml:
`productforge config` lists them all. Without OPENAI_API_KEY, OPENAI_BASE_URL or a provider in the
file answers are simulated; without REDIS_URL everything is kept in one file in the folder
WORKSPACE_DIR.

Commands that ask a running server find it by --server or PRODUCTFORGE_SERVER and show it the key of
--key-file or API_KEY. Exit codes: 0 done, 1 failed or refused, 2 wrong command line, configuration
or key, 3 no server answers, 130 interrupted.";

/// Turns a brief into reviewed work: a durable team of agents behind one executable.
#[derive(Debug, Parser)]
#[command(name = "productforge", version, after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Worker(worker::Args),
    Run(run::Args),
    Agents(agents::Args),
    Jobs(jobs::Args),
    Keys(keys::Args),
    Queues(queues::Args),
    Workers(workers::Args),
    Workflows(workflows::Args),
    Audit(audit::Args),
    Results(results::Args),
    Uploads(uploads::Args),
    Reports(reports::Args),
    Usage(usage::Args),
    Export(export::Args),
    Healthcheck(healthcheck::Args),
    Migrate(migrate::Args),
    Copy(copy::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Why a command ends with a code other than 0.
enum Failure {
    /// The command line or the configuration is wrong: exit code 2.
    Usage(String),
    /// It was tried and did not work: exit code 1.
    Failed(anyhow::Error),
    /// No server answers: exit code 3.
    Unreachable(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(format!("{error}\n\n`productforge config --help` says where settings come from."))
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Invalid(problems) => {
                Self::Usage(problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join("\n"))
            }
            other => Self::Failed(other.into()),
        }
    }
}

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        // Containers reserve every code of a health check but 0 and 1.
        Err(wrong) if std::env::args_os().nth(1).is_some_and(|name| name == "healthcheck") => {
            let _ = wrong.print();
            return if wrong.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
        Err(wrong) => wrong.exit(),
    };
    let outcome = match command {
        Command::Serve(args) => serve::run(args),
        Command::Worker(args) => worker::run(args),
        Command::Run(args) => run::run(args),
        Command::Agents(args) => agents::run(args),
        Command::Jobs(args) => jobs::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Queues(args) => queues::run(args),
        Command::Workers(args) => workers::run(args),
        Command::Workflows(args) => workflows::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Results(args) => results::run(args),
        Command::Uploads(args) => uploads::run(args),
        Command::Reports(args) => reports::run(args),
        Command::Usage(args) => usage::run(args),
        Command::Export(args) => export::run(args),
        Command::Healthcheck(args) => healthcheck::run(args),
        Command::Migrate(args) => migrate::run(args),
        Command::Copy(args) => copy::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Config(args) => config::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(Failure::Usage(why)) => {
            complain(&why);
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(Failure::Unreachable(error)) => {
            complain(&format!("{error:#}"));
            ExitCode::from(UNREACHABLE)
        }
    }
}

/// Where the configuration is read from, for the commands that need it.
#[derive(Debug, clap::Args)]
struct FromFile {
    /// The configuration file [default: CONFIG_FILE, else productforge.toml if there is one]
    #[arg(long = "config", value_name = "FILE")]
    file: Option<String>,
}

/// Reads the configuration; flags that were not given are left out.
fn load<const N: usize>(
    from: FromFile,
    flags: [(&'static str, Option<String>); N],
) -> Result<Config, ConfigError> {
    let file = [("CONFIG_FILE", from.file)];
    let flags: Flags =
        flags.into_iter().chain(file).filter_map(|(name, value)| Some((name, value?))).collect();
    Config::load(&flags)
}

/// A problem, on stderr.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// What the user asked for, on stdout. A reader that has gone away (`| head`) is no error.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Something to know on the way, on stderr.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    /// An argument of a verb that is called as one of its server's takes that one's value, and nobody says so.
    #[test]
    fn no_argument_of_a_verb_is_called_as_one_for_all_verbs() {
        for command in <Cli as clap::CommandFactory>::command().get_subcommands() {
            let global: Vec<_> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
            for verb in command.get_subcommands() {
                for arg in verb.get_arguments() {
                    let twin = global.iter().find(|other| {
                        other.get_id() == arg.get_id()
                            || arg.get_long().is_some_and(|l| other.get_long() == Some(l))
                    });
                    assert!(twin.is_none(), "{} {} has {arg:?}", command.get_name(), verb.get_name());
                }
            }
        }
    }
}
