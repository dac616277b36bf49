//! Texts that come from a file or from standard input.

use std::io::{self, Read};

use anyhow::Context;

use super::Failure;

/// The text of a file, or of standard input for `-`; `what` it is, is said where it cannot be read.
pub(super) fn read_text(file: &str, what: &str) -> Result<String, Failure> {
    if file == "-" {
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        read.with_context(|| format!("{what} cannot be read from standard input"))?;
        return Ok(text);
    }
    Ok(std::fs::read_to_string(file).with_context(|| format!("{what} cannot be read from {file}"))?)
}
