//! JSON: one object, or one result a line.

use std::io::{self, Write};

use crate::model::{JobResult, iso};

use super::Heading;

/// `{"task": …, "exported_at": …, "results": […], "count": …}`
pub(super) fn write(
    heading: &Heading,
    results: impl Iterator<Item = io::Result<JobResult>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(b"{\"task\":")?;
    serde_json::to_writer(&mut *out, &heading.title)?;
    write!(out, ",\"exported_at\":\"{}\",\"results\":[", iso::format(&heading.exported_at))?;
    let mut count = 0_u64;
    for result in results {
        out.write_all(if count == 0 { b"\n" } else { b",\n" })?;
        out.write_all(&serde_json::to_vec(&result?)?)?;
        count += 1;
    }
    write!(out, "\n],\"count\":{count}}}\n")
}

/// One object a line.
pub(super) fn write_lines(
    results: impl Iterator<Item = io::Result<JobResult>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for result in results {
        out.write_all(&serde_json::to_vec(&result?)?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
