//! `productforge copy`: all that one store keeps into another one.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    clock::SystemClock,
    config::Config,
    migrate::{
        self,
        copy::{Copied, Phase, Side, Watcher},
    },
    store::{
        Store,
        redis::RedisStore,
        sqlite::{Location, SqliteStore},
    },
    telemetry,
};

use super::{Failure, FromFile, load, note, process::runtime, say, table::table};

const EXAMPLES: &str = "\
Documents with what is left of their lives, indexes, jobs in their order (those that were running or
waited for a limit as ready ones), jobs that are due later, crash counts, tallies, events and paused
queues. At the end both sides are compared, one by one. Stop servers and workers first. Uploaded files stay
where they are.

A copy that was cut off is gone on with by the same command; until then no server starts on its target.

Exit codes: 0 copied and equal, 1 not, 2 the command line or the configuration is wrong.

Examples:
  productforge copy --from sqlite --to redis:redis://cache:6379
  REDIS_URL=redis://cache:6379 productforge copy --from redis --to sqlite:backup/productforge.db";

/// Copy everything from one store to another one: embedded file or Redis
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// `sqlite` (the file in WORKSPACE_DIR), `sqlite:PATH`, `redis` (REDIS_URL) or `redis:URL`
    #[arg(long, value_name = "STORE")]
    from: Place,
    /// The same; it has to be empty
    #[arg(long, value_name = "STORE")]
    to: Place,
    /// Add to a target that is not empty: documents of the same name are replaced, jobs go behind those that wait
    #[arg(long)]
    force: bool,
    /// What was copied, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: FromFile,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Sqlite(Option<PathBuf>),
    Redis(Option<String>),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "sqlite" => Ok(Self::Sqlite(None)),
            None if text == "redis" => Ok(Self::Redis(None)),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(Some(path.into()))),
            // The URL itself will do, too.
            Some((scheme, rest)) if scheme.starts_with("redis") && rest.starts_with("//") => {
                Ok(Self::Redis(Some(text.to_owned())))
            }
            Some(("redis", url)) if !url.is_empty() => Ok(Self::Redis(Some(url.to_owned()))),
            _ => Err("expected sqlite, sqlite:PATH, redis or redis:URL".to_owned()),
        }
    }
}

/// A store that was opened.
struct Opened {
    store: Arc<dyn Store>,
    redis: Option<Arc<RedisStore>>,
    name: String,
}

impl Opened {
    fn side(&self) -> Side<'_> {
        Side { store: self.store.as_ref(), name: &self.name, is_ours: self.redis.is_none() }
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = load(args.file, [])?;
    if config.store.redis_url.is_none() && [&args.from, &args.to].contains(&&Place::Redis(None)) {
        return Err(Failure::Usage("which Redis? Set REDIS_URL, or say redis:URL".to_owned()));
    }
    telemetry::init_quiet(&config.log, &telemetry::log_folder(&config))?;
    let copied = runtime()?.block_on(work(&config, &args.from, &args.to, args.force))?;
    if args.json {
        say(&serde_json::to_string_pretty(&copied).context("the report cannot be written as JSON")?);
    } else {
        say(&told(&copied));
    }
    Ok(ExitCode::SUCCESS)
}

async fn work(config: &Config, from: &Place, to: &Place, force: bool) -> anyhow::Result<Copied> {
    let source = open(config, from, true)?;
    let target = open(config, to, false)?;
    let copied = copy(&source, &target, force).await;
    for opened in [&source, &target] {
        opened.store.close().await;
    }
    copied
}

async fn copy(source: &Opened, target: &Opened, force: bool) -> anyhow::Result<Copied> {
    if let Some(redis) = &source.redis
        && migrate::check(redis).await?.is_pending()
    {
        bail!("{} has not the newest version: run `productforge migrate` on it first", source.name);
    }
    let (from, to) = (source.side(), target.side());
    if let Some(redis) = &target.redis
        && (force || migrate::copy::is_empty(target.store.as_ref()).await?)
    {
        migrate::apply(redis, migrate::PATIENCE).await?;
    }
    let mut bar = Bar::new(io::stderr().is_terminal());
    let copied = migrate::copy::copy(from, to, force, &mut bar).await;
    bar.end();
    Ok(copied?)
}

fn open(config: &Config, place: &Place, has_to_be_there: bool) -> anyhow::Result<Opened> {
    match place {
        Place::Sqlite(path) => {
            let path = path.clone().unwrap_or_else(|| config.store.workspace.join("productforge.db"));
            if has_to_be_there && !path.is_file() {
                bail!("there is no {}: is WORKSPACE_DIR the right one?", path.display());
            }
            let name = format!("sqlite {}", path.canonicalize().unwrap_or_else(|_| path.clone()).display());
            let store = SqliteStore::open(Location::File(path), Arc::new(SystemClock))
                .with_context(|| format!("{name} cannot be opened"))?;
            Ok(Opened { store: Arc::new(store), redis: None, name })
        }
        Place::Redis(url) => {
            let configured = config.store.redis_url.as_ref().map(|url| url.expose().to_owned());
            let url = url.clone().or(configured).unwrap_or_default();
            let store = RedisStore::configured(&config.store, &url);
            let store = Arc::new(store.context("Redis cannot be used")?);
            let name = format!("redis {}, prefix \"{}\"", store.place(), config.store.redis_prefix);
            Ok(Opened { store: store.clone(), redis: Some(store), name })
        }
    }
}

fn told(copied: &Copied) -> String {
    let rows: Vec<Vec<String>> = copied
        .groups
        .iter()
        .map(|counts| vec![counts.group.clone(), counts.from.to_string(), counts.to.to_string()])
        .collect();
    let mut lines = vec![table(&["WHAT", "SOURCE", "TARGET"], &rows)];
    if !copied.left_behind.is_empty() {
        lines.push("\nNot copied:".to_owned());
        lines.extend(copied.left_behind.iter().map(|(key, why)| format!("  {key}: {why}")));
    }
    let resumed = if copied.resumed { ", in more than one go" } else { "" };
    lines.push(format!(
        "\nCopied from {} to {}{resumed}; they are equal (documents {}).",
        copied.from, copied.to, copied.documents_digest
    ));
    lines.join("\n")
}

/// A bar a phase where stderr is a terminal, else a line a phase.
struct Bar {
    terminal: bool,
    shown: Option<(Phase, ProgressBar)>,
}

impl Bar {
    fn new(terminal: bool) -> Self {
        Self { terminal, shown: None }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.shown.take() {
            bar.finish();
        }
    }
}

impl Watcher for Bar {
    fn at(&mut self, phase: Phase, items: u64, of: Option<u64>) {
        if self.shown.as_ref().is_none_or(|(shown, _)| *shown != phase) {
            self.end();
            let word = match phase {
                Phase::Counting => "reading the source",
                Phase::Copying => "copying",
                Phase::Comparing => "comparing",
            };
            let bar = match (self.terminal, of) {
                (false, _) => {
                    note(word);
                    ProgressBar::hidden()
                }
                (true, Some(of)) => ProgressBar::new(of),
                (true, None) => ProgressBar::new_spinner(),
            };
            let form = if of.is_some() {
                "{msg:18} {wide_bar} {pos}/{len} {eta}"
            } else {
                "{msg:18} {pos} {elapsed}"
            };
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar.set_message(word);
            self.shown = Some((phase, bar));
        }
        if let Some((_, bar)) = &self.shown {
            bar.set_position(items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        let redis = |url: &str| Ok(Place::Redis(Some(url.to_owned())));
        assert_eq!("sqlite".parse(), Ok(Place::Sqlite(None)));
        assert_eq!("sqlite:a/b.db".parse(), Ok(Place::Sqlite(Some("a/b.db".into()))));
        assert_eq!("redis".parse(), Ok(Place::Redis(None)));
        assert_eq!("redis:redis://h:1/2".parse(), redis("redis://h:1/2"));
        assert_eq!("redis:unix:///s".parse(), redis("unix:///s"));
        assert_eq!("redis://h".parse(), redis("redis://h"));
        assert_eq!("rediss://h".parse(), redis("rediss://h"));
        assert_eq!("redis-cluster://h,i".parse(), redis("redis-cluster://h,i"));
        for nonsense in ["", "mysql", "sqlite:", "redis:", "mysql:x"] {
            assert!(nonsense.parse::<Place>().is_err(), "{nonsense}");
        }
    }
}
