//! Uploaded archives: what is refused and why, what passes, what is read.

mod build;
pub mod hostile;
mod legal;
#[cfg(target_os = "linux")]
mod memory;
mod properties;
mod reading;
mod real;
mod refusals;

use std::io::Write;

use productforge::archive::{Contents, Limits, Refusal, inspect};

/// A file with these bytes.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("the file is written");
    file
}

/// Inspects bytes as a file.
fn inspected(bytes: &[u8], limits: &Limits) -> Result<Contents, Refusal> {
    inspect(file(bytes).path(), limits)
}
