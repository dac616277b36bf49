//! Events: ordered lines of history, written in the same atomic step as the change they tell of.

use super::UnixMs;

/// The stream that receives a copy of every event.
pub const ALL_EVENTS: &str = "all";

/// The stream that names leases which somebody ended: the token as decimal text. A hint for the worker
/// that holds one, so that it stops at once and not only when it next renews.
pub const REVOKED: &str = "revoked";

/// An event to be appended to a stream (a workflow's id, say) and to [`ALL_EVENTS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Any name but [`ALL_EVENTS`] itself.
    pub stream: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Rises over all streams of the database; the same in its own stream and in [`ALL_EVENTS`].
    pub id: u64,
    /// The stream it was appended to (also when read from [`ALL_EVENTS`]).
    pub stream: String,
    pub at: UnixMs,
    pub body: Vec<u8>,
}
