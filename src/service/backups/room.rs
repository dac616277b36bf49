//! Whether a disk has room for what is to be written.

use std::path::Path;

/// What is to be left of a disk.
const SPARE_BYTES: u64 = 16 << 20;

/// How much is needed and how much is free, where that is too little. A file system that does not say is tried.
pub(super) fn lacking(folder: &Path, bytes: u64) -> Option<(u64, u64)> {
    let needed = bytes.saturating_add(SPARE_BYTES);
    free_bytes(folder).filter(|free| *free < needed).map(|free| (needed, free))
}

#[cfg(unix)]
#[expect(clippy::useless_conversion, reason = "the widths of the fields differ from system to system")]
fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())))
}

#[cfg(not(unix))]
fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}
