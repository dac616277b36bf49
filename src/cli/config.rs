//! `productforge config`: every effective value, with its source.

use std::{fmt::Write, process::ExitCode};

use anyhow::Context;

use crate::config::{Setting, Source};

use super::{Failure, load, say};

const EXAMPLES: &str = "\
A value comes from a flag, else from the environment variable of that name, else from its default.
Secrets are shown as ***. Exits with 2 and names every problem if the configuration is not usable.

Examples:
  productforge config
  productforge config --json | jq '.[] | select(.source == \"environment\")'";

/// Show every setting, its value and where that came from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// As JSON: a list of {name, value, source}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let settings = load([])?.settings;
    if args.json {
        say(&serde_json::to_string_pretty(&settings).context("the settings cannot be written as JSON")?);
    } else {
        say(table(&settings).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn table(settings: &[Setting]) -> String {
    let width = |of: fn(&Setting) -> usize| settings.iter().map(of).max().unwrap_or(0);
    let (names, values) = (width(|s| s.name.len()), width(|s| s.value.chars().count()));
    let mut text = String::new();
    for Setting { name, value, source } in settings {
        let source = match source {
            Source::Flag => "flag",
            Source::Environment => "environment",
            Source::Default => "default",
            Source::Unset => "not set",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    text
}
