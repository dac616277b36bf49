//! Storage: a narrow waist. One contract, two engines (embedded SQLite, Redis) behind it.
//!
//! The contract knows documents, indexes, queues, leases, events and tallies; it knows no noun of the
//! product. A new noun is a new [`Kind`] and costs the engines nothing.

mod change;
mod contract;
mod document;
mod dump;
mod error;
mod event;
mod limits;
mod measured;
mod queue;
pub mod redis;
pub mod sqlite;
mod tally;

pub use change::{Applied, Change, Enqueue, Expectation, LeaseEnd, LeaseUse, Outcome, Refusal};
pub use contract::{
    CRASHES_BEFORE_POISON, EVENT_RETENTION_MS, MAX_BATCH, MAX_DOCUMENT_BYTES, MAX_EVENTS_PER_STREAM,
    MAX_PAYLOAD_BYTES, RETIRED_MS, Store, StoreCheck, StoreReport, StoreSize,
};
pub use document::{Cursor, Doc, DocKey, DocPage, IndexName, Kind, ListQuery, Put, Revision, UnixMs};
pub use dump::{Dump, Item, Payload, Tally};
pub use error::StoreError;
pub use event::{ALL_EVENTS, Event, NewEvent, REVOKED};
pub use measured::Measured;
pub use queue::{
    AuditPart, Audited, Claim, Delivery, LeaseInfo, MAX_CLAIM_LIMIT, Promoted, Queue, QueueDepth, Reserve,
    Swept, Token,
};
pub use tally::{Add, MAX_TALLY};
