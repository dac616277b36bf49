//! From results to a file, whatever the results come from.

use std::io::{self, Write};

use crate::model::{JobResult, Timestamp, Workflow};

use super::{Format, csv, json, markdown, zip};

/// What stands above the results.
#[derive(Debug, Clone)]
pub struct Heading {
    pub title: String,
    pub exported_at: Timestamp,
    /// The workflow that all results belong to, where there is one.
    pub workflow: Option<Workflow>,
}

/// Where results come from. A format may want to see them more than once.
pub trait Source {
    /// All results once more, in the same order as far as nothing changed meanwhile.
    fn pass(&mut self) -> Box<dyn Iterator<Item = io::Result<JobResult>> + '_>;
}

/// Writes a file. Holds one result at a time.
pub fn write(
    format: Format,
    heading: &Heading,
    source: &mut dyn Source,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => json::write(heading, source.pass(), out),
        Format::Ndjson => json::write_lines(source.pass(), out),
        Format::Csv => csv::write(source.pass(), out),
        Format::Txt => markdown::write_plain(heading, source.pass(), out),
        Format::Md => markdown::write(heading, source.pass(), out),
        Format::Zip => zip::write(heading, source, out),
    }
}
