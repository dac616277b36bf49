//! `productforge config`: every effective value, with its source.

use std::{fmt::Write, process::ExitCode};

use anyhow::Context;

use crate::config::{PricesConfig, Setting, Source};

use super::{Failure, FromFile, load, say};

const EXAMPLES: &str = "\
A value comes from a flag, else from the environment variable of that name, else from the file,
else from its default. Secrets are shown as ***. Exits with 2 and names every problem if the
configuration is not usable.

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
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(args.from, [])?;
    if args.json {
        let json = serde_json::to_string_pretty(&config.settings);
        say(&json.context("the settings cannot be written as JSON")?);
    } else {
        say(table(&config.settings).trim_end());
        say(&format!("\n{}", prices(&config.prices)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where prices come from: of a table one has to know how old it is.
fn prices(prices: &PricesConfig) -> String {
    let PricesConfig { as_of, source, models, file } = prices;
    let table = match file {
        Some(file) => file.display().to_string(),
        None => "the built-in table".to_owned(),
    };
    let source = if source.is_empty() { String::new() } else { format!(" ({source})") };
    format!("Prices: {table}, {} models, as of {as_of}{source}", models.len())
}

fn table(settings: &[Setting]) -> String {
    let width = |of: fn(&Setting) -> usize| settings.iter().map(of).max().unwrap_or(0);
    let (names, values) = (width(|s| s.name.len()), width(|s| s.value.chars().count()));
    let mut text = String::new();
    for Setting { name, value, source } in settings {
        let source = match source {
            Source::Flag => "flag",
            Source::Environment => "environment",
            Source::File => "file",
            Source::Default => "default",
            Source::Unset => "not set",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    text
}
