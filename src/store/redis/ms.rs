//! Times as Redis can hold them: scores are doubles, whole to 2^53.

use crate::store::UnixMs;

/// 2^52 ms are 142,000 years: with any time of ours added it is still a whole number.
const FOR_EVER: i64 = 1 << 52;

/// A span of milliseconds; one that has no end is cut to one that no clock will see.
pub(super) fn span(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(FOR_EVER).min(FOR_EVER)
}

/// A point in time as the score of a due time.
pub(super) fn point(at: UnixMs) -> i64 {
    at.clamp(-FOR_EVER, FOR_EVER)
}

/// A point in time as the score of an index: epoch seconds, the nearest double, as the owner's
/// `time.time()` wrote it. Milliseconds stay apart up to the year 280,000.
pub(super) fn seconds(at: UnixMs) -> String {
    (at as f64 / 1000.0).to_string()
}
