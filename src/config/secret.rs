//! A text that must not be shown, and the file that may hold it.

use std::{fs::File, io::Read};

/// No secret is larger: 64 KiB.
const MOST_BYTES: u64 = 64 << 10;

/// Shows as `***` in logs and debug output; [`Secret::expose`] is the one way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the place that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The setting that names the file in which the secret stands.
pub(super) fn twin(name: &str) -> String {
    format!("{name}_FILE")
}

/// The secret in a file, without the newline at its end; or why that is none.
pub(super) fn read_secret(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| format!("cannot be read: {e}"))?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|e| format!("cannot be read: {e}"))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("holds more than {MOST_BYTES} bytes, so it is no secret"));
    }
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err("is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    }
}
