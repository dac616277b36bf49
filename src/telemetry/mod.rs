//! The log: every record goes to stderr and to `app.log`, one line each, as text or as JSON.
//!
//! Logging never stops the work: a folder that cannot be written, a full disk or a closed stderr
//! costs log lines and nothing else.

pub mod access;
pub mod context;
pub mod counters;
mod daily_file;
pub mod fields;
mod format;
pub mod metrics;
pub mod trace;

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
};

use env_logger::{Builder, Target};
use log::{Level, LevelFilter, Record};

use crate::{
    clock,
    config::{Config, LogConfig},
};
use daily_file::{DailyFile, News};

/// Where `app.log` is kept: in the workspace, or under `/tmp` on Railway, whose other folders may
/// be read-only.
pub fn log_folder(config: &Config) -> PathBuf {
    if config.railway { PathBuf::from("/tmp/logs") } else { config.store.workspace.join("logs") }
}

/// Starts logging to stderr and to the log file.
pub fn init(log: &LogConfig, folder: &Path) -> anyhow::Result<()> {
    start(log, Tee { file: open(folder), stderr: true, json: log.json })
}

/// Starts logging to the log file alone, for commands that use the terminal themselves.
pub fn init_quiet(log: &LogConfig, folder: &Path) -> anyhow::Result<()> {
    start(log, Tee { file: open(folder), stderr: false, json: log.json })
}

fn open(folder: &Path) -> DailyFile {
    DailyFile::open(folder, clock::local_now().date_naive())
}

fn start(log: &LogConfig, tee: Tee) -> anyhow::Result<()> {
    let mut builder = Builder::new();
    let json = log.json;
    builder
        .format(move |out, record| {
            let now = clock::local_now();
            counters::LOG_LINES.at(record.level() as usize - 1).add(1);
            let line = if json { format::json(now, record) } else { format::text(now, record) };
            out.write_all(line.as_bytes())
        })
        .target(Target::Pipe(Box::new(tee)));
    match bare_level(&log.filter) {
        // A bare level is about ProductForge; libraries stay quiet unless they have to warn.
        Some(level) => builder
            .filter_level(level.min(LevelFilter::Warn))
            // Clients that talk no HTTP are no error of ours.
            .filter_module("actix_http::h1::dispatcher", LevelFilter::Off)
            // What MCP servers do is logged by `tools`, and without secrets that they may repeat.
            .filter_module("rmcp", LevelFilter::Off)
            .filter_module("productforge", level)
            .filter_module(access::TARGET, level)
            .filter_module("audit", level),
        None => builder
            .filter_module(access::TARGET, LevelFilter::Info)
            .filter_module("audit", LevelFilter::Info)
            .parse_filters(&log.filter),
    };
    builder.try_init()?;
    Ok(())
}

/// The level, when the filter is nothing but one.
fn bare_level(filter: &str) -> Option<LevelFilter> {
    filter.trim().parse().ok()
}

/// Both places a line goes to. Writing never fails, because nobody could do anything about it.
struct Tee {
    file: DailyFile,
    stderr: bool,
    json: bool,
}

impl Tee {
    /// A line of the log's own, which no logger can be asked for while it writes one.
    fn say(&mut self, level: Level, said: fmt::Arguments<'_>) {
        let record = Record::builder().level(level).target("productforge::telemetry").args(said).build();
        let line = if self.json {
            format::json(clock::local_now(), &record)
        } else {
            format::text(clock::local_now(), &record)
        };
        // Also where the terminal is somebody else's: there is no other place.
        let _ = io::stderr().lock().write_all(line.as_bytes());
        if level > Level::Error {
            let _ = self.file.write(line.as_bytes(), clock::local_now().date_naive());
        }
    }
}

impl Write for Tee {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.stderr {
            let _ = io::stderr().lock().write_all(line);
        }
        match self.file.write(line, clock::local_now().date_naive()) {
            Some(News::Failing(error)) => {
                let path = self.file.path();
                let path = path.display();
                self.say(
                    Level::Error,
                    format_args!(
                        "the log file {path} cannot be written ({error}); lines go on to stderr alone"
                    ),
                );
            }
            Some(News::Recovered { lost }) => self.say(
                Level::Warn,
                format_args!(
                    "the log file can be written again; {lost} lines before the last one are missing in it"
                ),
            ),
            None => {}
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_told_from_a_filter() {
        assert_eq!(bare_level("debug"), Some(LevelFilter::Debug));
        assert_eq!(bare_level("off"), Some(LevelFilter::Off));
        assert_eq!(bare_level("productforge::store=debug"), None);
        assert_eq!(bare_level("info,hyper=trace"), None);
    }
}
