//! `productforge config`: every effective value, with its source.

use std::{borrow::Cow, fmt::Write, process::ExitCode};

use anyhow::Context;

use crate::config::{Config, Flags, PricesConfig, Setting, Source, TABLE};

use super::{Failure, FromFile, load, say};

const EXAMPLES: &str = "\
A value comes from a flag, else from the environment variable of that name, else from the file,
else from its default. Secrets are shown as ***. Exits with 2 and names every problem if the
configuration is not usable. A secret NAME may also stand in a file that NAME_FILE names.

Examples:
  productforge config
  productforge config --table > settings.md
  productforge config --json | jq '.[] | select(.source == \"environment\")'";

/// Show every setting, its value and where that came from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// As JSON: a list of {name, value, source}
    #[arg(long)]
    json: bool,
    /// What every setting means, may be and is by default, as Markdown; nothing of the present configuration
    #[arg(long, conflicts_with = "json")]
    table: bool,
    #[command(flatten)]
    from: FromFile,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.table {
        // What holds where nobody says anything.
        let config = Config::from_parts(&Flags::new(), |_| None)?;
        say(described(&config.settings).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
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
    for Setting { name, value, source, .. } in settings {
        let source: Cow<'_, str> = match source {
            Source::Flag => "flag".into(),
            Source::Environment => "environment".into(),
            Source::File => "file".into(),
            Source::SecretFile => format!("file of {name}_FILE").into(),
            Source::Default => "default".into(),
            Source::Unset => "not set".into(),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    text
}

const HEAD: &str = "\
# Settings

Written by `productforge config --table`. Each setting is a variable of the environment, and in `productforge.toml` a key
of the same name in lower case; a flag wins over the variable, that over the file, that over the default. A **secret** is
shown nowhere, and may instead stand in a file that the setting of its name with `_FILE` behind it names: `API_KEY_FILE`.
Model providers, their prices and MCP servers have sections of their own in the file: see
[configuration](../assets/help/configuration.md).

| Setting | Default | May be | Meaning |
|---|---|---|---|
";

/// The page `docs/settings.md`.
fn described(settings: &[Setting]) -> String {
    let mut page = HEAD.to_owned();
    for setting in settings {
        let Some(row) = TABLE.iter().find(|row| setting.name == row.name) else { continue };
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let secret = if setting.secret { "**secret**: " } else { "" };
        // Writing into a String cannot fail.
        let _ = writeln!(page, "| `{}` | {default} | {secret}{} | {} |", row.name, row.kind, row.meaning);
    }
    page
}
