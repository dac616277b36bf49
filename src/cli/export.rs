//! `productforge export`: the results of a running server as a file, gone on with after an interruption.
//!
//! Results are fetched page by page into `FILE.part`, one a line; `FILE.state` says how far it is. Only when
//! all are there the file is made of them, so that `FILE` is whole whenever it is there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Seek, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, SystemClock},
    model::JobResult,
    service::exports::{Format, Heading, Source, file_name, write},
};

use super::{
    Failure,
    client::{Client, Server},
    given, note,
    process::runtime,
    table::printable,
};

/// Results that are fetched at once.
const PAGE: usize = 200;

const EXAMPLES: &str = "\
When it is interrupted, the same command goes on where it stopped.

Examples:
  productforge export --format csv --out results.csv
  productforge export --format zip --workflow 76660f75-5a72-41a3-b5ca-ff78d91023ea
  productforge export --agent qa_bot --status failed --since 2026-11-22T00:00:00Z --format ndjson";

/// Write the results of a running server into a file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
    /// json, ndjson, csv, txt, md or zip
    #[arg(long, default_value = "json")]
    format: Format,
    /// The file to write [default: ProductForge_<title>.<format> in this folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only of this agent
    #[arg(long, value_parser = given::name)]
    agent: Option<String>,
    /// Only with this status: completed, failed or cancelled
    #[arg(long)]
    status: Option<String>,
    /// Only of this workflow
    #[arg(long, value_name = "ID", value_parser = given::id)]
    workflow: Option<String>,
    /// Only from this time on, ISO 8601
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this time, ISO 8601
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only with all of these words
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// Begin anew, even if an interrupted export could be gone on with
    #[arg(long)]
    fresh: bool,
}

/// What is wanted, as the server is asked for it.
type Filters = Vec<(String, String)>;

/// How far an export is.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    filters: Filters,
    /// Where the next page begins; none: all are there.
    cursor: Option<String>,
    results: u64,
    /// So much of the part is whole.
    bytes: u64,
    ended: bool,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let title = match (&args.workflow, &args.agent) {
        (Some(id), _) => format!("Workflow {id}"),
        (None, Some(agent)) => format!("Results of {agent}"),
        (None, None) => "All results".to_owned(),
    };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(file_name(&title, args.format)));
    let mut export = Export::open(&out, filters(&args), args.fresh)?;
    runtime()?.block_on(async {
        export.fetch(&client).await?;
        match &args.workflow {
            Some(id) if export.state.results == 0 => export.expect_workflow(&client, id).await,
            _ => Ok(()),
        }
    })?;
    let results = export.state.results;
    export.make(args.format, title)?;
    note(&format!("{results} results in {}", out.display()));
    Ok(ExitCode::SUCCESS)
}

fn filters(args: &Args) -> Filters {
    let named = [
        ("agent", &args.agent),
        ("status", &args.status),
        ("workflow_id", &args.workflow),
        ("since", &args.since),
        ("until", &args.until),
        ("q", &args.search),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}

/// An export on its way.
struct Export {
    out: PathBuf,
    part: File,
    state: State,
}

impl Export {
    /// Begins, or goes on where an interrupted one with the same filters stopped.
    fn open(out: &Path, filters: Filters, fresh: bool) -> Result<Self, Failure> {
        let known = fs::read(beside(out, "state")).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
        let path = beside(out, "part");
        let length = fs::metadata(&path).map_or(0, |found| found.len());
        let known = known.filter(|state| !fresh && state.filters == filters && length >= state.bytes);
        let state = match known {
            Some(state) => {
                note(&format!("going on after {} results", state.results));
                state
            }
            None => State { filters, ..State::default() },
        };
        let part = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let mut part = part.with_context(|| format!("{} cannot be written", path.display()))?;
        // What follows is of a page that was not whole.
        let cut = part.set_len(state.bytes).and_then(|()| part.seek(io::SeekFrom::End(0)));
        cut.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { out: out.to_owned(), part, state })
    }

    async fn fetch(&mut self, client: &Client) -> Result<(), Failure> {
        let bar = bar();
        while !self.state.ended {
            let mut query: Vec<(&str, Option<String>)> =
                self.state.filters.iter().map(|(name, value)| (name.as_str(), Some(value.clone()))).collect();
            query.push(("limit", Some(PAGE.to_string())));
            query.push(("cursor", self.state.cursor.clone()));
            let page = client.page(&["results", ""], &query).await?;
            if let Some(total) = page.total {
                bar.set_length(total.max(self.state.results));
            }
            let mut lines = Vec::new();
            let results = page.items.as_array().map(Vec::as_slice).unwrap_or_default();
            for result in results {
                serde_json::to_writer(&mut lines, result).context("a result cannot be written")?;
                lines.push(b'\n');
            }
            self.part.write_all(&lines).context("the results cannot be written")?;
            self.state.bytes += lines.len() as u64;
            self.state.results += results.len() as u64;
            self.state.ended = page.next.is_none();
            self.state.cursor = page.next;
            self.save()?;
            bar.set_position(self.state.results);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Nothing was found: of a workflow that is there, or of none. Then nothing of the export is left.
    async fn expect_workflow(&self, client: &Client, id: &str) -> Result<(), Failure> {
        match client.get(&["workflows", id], &[]).await {
            Err(Failure::Failed(error)) if error.to_string().ends_with("not found") => {
                self.tidy();
                Err(anyhow::anyhow!("Workflow '{}' not found", printable(id)).into())
            }
            answer => answer.map(drop),
        }
    }

    fn save(&self) -> anyhow::Result<()> {
        let (path, new) = (beside(&self.out, "state"), beside(&self.out, "state.new"));
        fs::write(&new, serde_json::to_vec(&self.state)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Makes the file of what was fetched.
    fn make(self, format: Format, title: String) -> anyhow::Result<()> {
        let new = beside(&self.out, "new");
        let made = || -> io::Result<()> {
            let heading = Heading { title, exported_at: SystemClock.now(), workflow: None };
            let mut file = BufWriter::new(File::create(&new)?);
            write(format, &heading, &mut Lines(beside(&self.out, "part")), &mut file)?;
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&new, &self.out)
        };
        made().with_context(|| format!("{} cannot be written", self.out.display()))?;
        self.tidy();
        Ok(())
    }

    /// What was on the way is not needed any more.
    fn tidy(&self) {
        for what in ["part", "state"] {
            let _ = fs::remove_file(beside(&self.out, what));
        }
    }
}

/// `FILE.part`
fn beside(out: &Path, what: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

/// A file with a result a line.
struct Lines(PathBuf);

impl Source for Lines {
    fn pass(&mut self) -> Box<dyn Iterator<Item = io::Result<JobResult>> + '_> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let lines = BufReader::new(file).lines();
        Box::new(lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::other)))
    }
}

fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {pos} of {len} results {wide_bar} {per_sec}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
