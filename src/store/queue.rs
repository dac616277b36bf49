//! Queues: three priority lists of opaque payloads, leases on what is taken, payloads that are due later.

use std::time::Instant;

use super::{Cursor, IndexName, Kind, UnixMs};

/// One of the owner's three lists, in order of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    High,
    Normal,
    Low,
}

impl Queue {
    /// All queues, most urgent first.
    pub const ALL: [Queue; 3] = [Queue::High, Queue::Normal, Queue::Low];

    /// The owner's name of the list.
    pub fn name(self) -> &'static str {
        match self {
            Queue::High => "queue_high",
            Queue::Normal => "queue",
            Queue::Low => "queue_low",
        }
    }

    /// 0 for high, 1 for normal, 2 for low: the form in which engines store it.
    pub fn rank(self) -> u8 {
        match self {
            Queue::High => 0,
            Queue::Normal => 1,
            Queue::Low => 2,
        }
    }

    /// The inverse of [`Queue::rank`].
    pub fn from_rank(rank: i64) -> Option<Self> {
        match rank {
            0 => Some(Queue::High),
            1 => Some(Queue::Normal),
            2 => Some(Queue::Low),
            _ => None,
        }
    }
}

/// The fencing token of one lease: unique and rising for the life of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A share of something limited, such as one agent's concurrency.
///
/// At most `limit` leases hold the same name at once.
/// It is held from the change that claims it until its lease ends, however that comes about. Who claims
/// says the limit; the last one said, by a change that was made, counts.
///
/// When a lease ends that holds claims, of each of their names the payload that was parked first goes back
/// to the front of its queue, with the crashes it had. It holds nothing there: who takes it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// 1 to 256 bytes.
    pub name: String,
    /// 1 to [`MAX_CLAIM_LIMIT`].
    pub limit: u32,
}

/// The most leases that may hold one name.
pub const MAX_CLAIM_LIMIT: u32 = 1_000;

/// A request for work.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// The worker process that asks; unique per process start.
    pub worker: String,
    /// At most this many, 1 to [`super::MAX_BATCH`]; never more than the free slots.
    pub limit: usize,
    /// How long the lease lasts from now unless renewed.
    pub lease_ms: u64,
    /// The queues to take from: all of the first, then the next. [`Queue::ALL`] is strict priority. One
    /// that is not named is left alone.
    pub order: [Queue; 3],
}

/// A payload handed to one worker under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub token: Token,
    pub queue: Queue,
    /// Exactly the bytes that were put in.
    pub payload: Vec<u8>,
    /// How many earlier leases on this payload ran out without an end.
    pub crashes: u32,
    /// A moment of this process' own clock that is not after the lease's beginning: what the holder may
    /// rely on is counted from it.
    pub leased_at: Instant,
}

/// A lease that is held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    pub token: Token,
    pub worker: String,
    pub queue: Queue,
    pub payload: Vec<u8>,
    pub crashes: u32,
    pub expires_at: UnixMs,
}

/// A lease that ran out and whose payload went back to its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    pub token: Token,
    pub worker: String,
    /// Including this one.
    pub crashes: u32,
}

/// What [`super::Store::promote`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// Payloads whose time had come; those that were parked are not counted.
    pub moved: usize,
    /// When the next payload falls due, if one waits.
    pub next_due: Option<UnixMs>,
    /// The store's time.
    pub now: UnixMs,
}

/// A part of what an engine keeps beside the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditPart {
    /// Leases, what they hold, and the payloads under them.
    Leases,
    /// An index of documents of this kind.
    Index(Kind, IndexName),
}

/// What [`super::Store::audit`] found in the piece it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audited {
    pub looked_at: usize,
    /// What was mended, a sentence each; nothing when all was well.
    pub mended: Vec<String>,
    /// Where to go on; `None` when all of the part has been seen.
    pub next: Option<Cursor>,
}

/// How much waits and how much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    pub high: u64,
    pub normal: u64,
    pub low: u64,
    /// Waiting for their due time.
    pub due: u64,
    /// Waiting until their claim can be had.
    pub parked: u64,
    /// Under a lease.
    pub leased: u64,
    /// Which queues are paused, by rank.
    pub paused: [bool; 3],
}

impl QueueDepth {
    /// Ready to be taken now.
    pub fn ready(&self) -> u64 {
        self.high + self.normal + self.low
    }

    /// Not finished: ready, due, parked or leased.
    pub fn open(&self) -> u64 {
        self.ready() + self.due + self.parked + self.leased
    }

    /// Ready in one queue.
    pub fn ready_in(&self, queue: Queue) -> u64 {
        match queue {
            Queue::High => self.high,
            Queue::Normal => self.normal,
            Queue::Low => self.low,
        }
    }
}
