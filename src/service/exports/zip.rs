//! An archive with the other formats in it; of a workflow also its document and a file for each step.

use std::io::{self, Write};

use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{Format, Heading, Source, markdown, write::write as write_as};

/// The most files for single steps: what an archive lists is held until its end.
const MAX_STEP_FILES: usize = 500;

pub(super) fn write(heading: &Heading, source: &mut dyn Source, out: &mut dyn Write) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(out);
    // Sizes are not known before: every file may be large.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .large_file(true);
    for format in [Format::Ndjson, Format::Csv, Format::Md] {
        archive.start_file(format!("results.{}", format.extension()), options).map_err(failed)?;
        write_as(format, heading, source, &mut archive)?;
    }
    if let Some(workflow) = &heading.workflow {
        archive.start_file("workflow.json", options).map_err(failed)?;
        archive.write_all(&serde_json::to_vec_pretty(workflow)?)?;
        for (number, result) in source.pass().take(MAX_STEP_FILES).enumerate() {
            let result = result?;
            let step = safe(result.step.as_deref().unwrap_or("task"));
            let name = format!("steps/{:03}_{step}_{}.md", number + 1, safe(&result.agent));
            archive.start_file(name, options).map_err(failed)?;
            markdown::section(&result, &mut archive)?;
        }
    }
    archive.finish().map_err(failed)?;
    Ok(())
}

/// A name as a part of a file's name.
fn safe(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    name.chars().take(60).map(safe).collect()
}

fn failed(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::other(other),
    }
}
