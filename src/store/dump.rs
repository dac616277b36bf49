//! All that a store keeps, piece by piece, in a form that every engine gives and takes.

use std::collections::BTreeMap;

use super::{Cursor, Event, Put, Queue, UnixMs};

/// One thing that a store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A document with the life that is left to it and the indexes that it stands in.
    Document(Put),
    Payload(Payload),
    Tally(Tally),
    /// An event under its id.
    Event {
        event: Event,
        /// Whether it stands in [`ALL_EVENTS`](super::ALL_EVENTS), too. An engine may keep it longer
        /// in its own stream.
        in_all: bool,
    },
    /// A queue that is paused.
    Paused(Queue),
}

/// A payload that is not finished. One that is leased or parked is given as one that is ready: who
/// restores it has neither the lease nor the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub queue: Queue,
    pub payload: Vec<u8>,
    /// How many leases on it ran out without an end.
    pub crashes: u32,
    /// Not before this time. Such a payload has no crashes.
    pub due_at: Option<UnixMs>,
}

/// A whole tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub name: String,
    /// How long it lives on; `None`: for ever.
    pub ttl_ms: Option<u64>,
    pub fields: BTreeMap<String, i64>,
}

/// What [`Store::dump`](super::Store::dump) gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump {
    pub items: Vec<Item>,
    /// What is stored under names of ours and is nothing that could be restored: its name and why.
    pub left_out: Vec<(String, String)>,
    /// Where to go on; `None` when all has been given.
    pub next: Option<Cursor>,
}

/// After so many bytes a piece ends, whatever was asked for.
pub(crate) const PIECE_BYTES: usize = 4 << 20;

impl Item {
    /// About how much of a piece it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Document(put) => put.body.len(),
            Self::Payload(payload) => payload.payload.len(),
            Self::Tally(tally) => tally.fields.keys().map(|field| field.len() + 8).sum(),
            Self::Event { event, .. } => event.body.len(),
            Self::Paused(_) => 1,
        }
    }
}
