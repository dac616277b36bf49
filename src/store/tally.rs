//! Tallies: named sets of numbers that change by being added to.

/// The furthest that a value goes from 0, and the most that is added at once: up to here every double
/// holds a whole number exactly, and doubles are what Redis' scripts and readers of JSON count in.
pub const MAX_TALLY: i64 = (1 << 53) - 1;

/// A number that a [`Change`](super::Change) adds to one field of a tally.
///
/// A tally is there from its first add on, and so is a field, which begins at 0 and stays when it comes back
/// to 0. A value that would go beyond [`MAX_TALLY`] in either direction stops there. Who names fields keeps
/// their number small: a tally is read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// 1 to 256 bytes.
    pub tally: String,
    /// 1 to 256 bytes.
    pub field: String,
    /// At most [`MAX_TALLY`] in either direction.
    pub by: i64,
    /// The change is refused unless the field (0 if it is not there) is below this before the change.
    pub below: Option<i64>,
    /// The life of the whole tally ends so long from now, whatever was said before; with 0 it ends with the
    /// change. `None`: its life stays what it is, and a new tally lives for ever. Of several that one change
    /// says of a tally the last counts.
    pub keep_ms: Option<u64>,
}

impl Add {
    pub fn new(tally: impl Into<String>, field: impl Into<String>, by: i64) -> Self {
        Self { tally: tally.into(), field: field.into(), by, below: None, keep_ms: None }
    }

    /// Only if the field is below this.
    pub fn below(mut self, below: i64) -> Self {
        self.below = Some(below);
        self
    }

    /// Ends the life of the whole tally so long from now.
    pub fn keep_ms(mut self, keep_ms: u64) -> Self {
        self.keep_ms = Some(keep_ms);
        self
    }
}

/// The adds of a change as the engines make them: each run that has to do with the same tally at once.
pub(crate) fn by_tally(adds: &[Add]) -> impl Iterator<Item = &[Add]> {
    adds.chunk_by(|one, next| one.tally == next.tally)
}

/// The life that a run of adds says, if any of them says one.
pub(crate) fn life(run: &[Add]) -> Option<u64> {
    run.iter().rev().find_map(|add| add.keep_ms)
}
