//! `productforge completions`: what a shell completes commands and flags with.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure, say};

const EXAMPLES: &str = "\
Examples:
  productforge completions bash > /etc/bash_completion.d/productforge
  productforge completions zsh > \"${fpath[1]}/_productforge\"
  productforge completions fish > ~/.config/fish/completions/productforge.fish
  productforge completions powershell >> $PROFILE";

/// Print what a shell completes commands and flags with
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    // Into memory first: the generator panics when its output goes away (`| head`).
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "productforge", &mut script);
    say(String::from_utf8(script).context("the script is no text")?.trim_end());
    Ok(ExitCode::SUCCESS)
}
