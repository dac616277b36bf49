//! Which names a blob may have: those that are harmless in every file system and in every URL.

use super::BlobError;

/// Leaves room for what is put behind a name in a file system that ends at 255.
pub const MAX_NAME_BYTES: usize = 200;

/// How much of a bad name is shown.
const SHOWN_CHARS: usize = 40;

/// Whether a blob may be called this.
pub fn check_name(name: &str) -> Result<(), BlobError> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "it is too long"
    } else if name.starts_with('.') {
        "it begins with '.'"
    } else if !name.bytes().all(is_safe) {
        "it has other characters"
    } else {
        return Ok(());
    };
    Err(BlobError::BadName { name: name.chars().take(SHOWN_CHARS).collect(), problem })
}

pub(super) fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}
