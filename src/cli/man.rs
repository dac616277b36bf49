//! `productforge man`: the manual pages, of one command or all of them.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Failure, note, say};

const EXAMPLES: &str = "\
Examples:
  productforge man | man -l -
  productforge man workflows approve | man -l -
  productforge man --out /usr/local/share/man/man1";

/// Print a manual page, or write all of them into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The command that the page is about: none for the whole, or `jobs`, or `jobs list`
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder, which is made if need be
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let root = built();
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .with_context(|| format!("the pages cannot be written into {}", folder.display()))?;
        note(&format!("the manual is in {}", folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let command = find(&root, &args.command)?;
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).context("the page cannot be written")?;
    say(String::from_utf8(page).context("the page is no text")?.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// All commands, each knowing its full name.
fn built() -> Command {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    root
}

fn find<'c>(root: &'c Command, path: &[String]) -> Result<&'c Command, Failure> {
    path.iter().try_fold(root, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::Usage(format!("'{}' has no command '{name}'; it has: {known}", command.get_name()))
        })
    })
}
