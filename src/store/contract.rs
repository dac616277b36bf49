//! The storage contract. The doc comments are the semantics; the conformance suite
//! (`tests/it/store/`) holds both engines to them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_trait::async_trait;

use super::{
    AuditPart, Audited, Change, Cursor, Delivery, Doc, DocKey, DocPage, Dump, Event, IndexName, Item,
    LeaseInfo, ListQuery, Outcome, Promoted, Queue, QueueDepth, Reserve, StoreError, Swept, Token, UnixMs,
};

/// The most that one call may take, list or move, and the longest list in a change. More is
/// [`StoreError::Invalid`] and does nothing, like everything that breaks a limit.
pub const MAX_BATCH: usize = 100;
/// The largest payload of a queue entry.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;
/// The largest document.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;
/// A stream keeps at least its newest events up to this number; older ones may be dropped.
pub const MAX_EVENTS_PER_STREAM: usize = 10_000;
/// A stream may be dropped this long after its last event.
pub const EVENT_RETENTION_MS: u64 = 7 * 24 * 3600 * 1000;
/// A stream that was retired may be dropped so long after.
pub const RETIRED_MS: u64 = 3_600_000;
/// A payload whose leases ran out this often is poison: workers finish it as failed, unrun.
pub const CRASHES_BEFORE_POISON: u32 = 3;

/// One finding of [`Store::check`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StoreCheck {
    /// `version`, `eviction`, `persistence`, …
    pub name: &'static str,
    pub ok: bool,
    /// What was found and, where it is not ok, what to do.
    pub detail: String,
}

/// How much a store takes: of the disk, or of Redis' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct StoreSize {
    pub bytes: u64,
    /// What of these the next writes use before it grows. The embedded store gives nothing back to the file system.
    pub free: Option<u64>,
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StoreReport {
    /// `sqlite` or `redis`.
    pub engine: &'static str,
    pub version: String,
    pub checks: Vec<StoreCheck>,
    /// `None` where it does not say.
    pub size: Option<StoreSize>,
}

/// Durable state shared by all parts of ProductForge.
///
/// All times are the store's own clock ([`Store::now`]), never a caller's. Every verb is one atomic
/// step, and a call whose future is dropped either did all of its step or nothing. A document or
/// a tally whose life has ended is absent for every verb from that moment on.
#[async_trait]
pub trait Store: Send + Sync {
    /// The store's time.
    async fn now(&self) -> Result<UnixMs, StoreError>;

    /// What the store says of itself and whether it is set up to be trusted with work.
    async fn check(&self) -> Result<StoreReport, StoreError>;

    /// What is wrong with the store at the moment as its last answers show, and what to do, in a sentence
    /// that everybody may see. `None`: nothing is known to be wrong.
    fn trouble(&self) -> Option<&'static str>;

    // --- documents -------------------------------------------------------------------------

    /// The documents under these keys, in the same order; `None` where there is none.
    /// Keys: at most [`MAX_BATCH`].
    async fn get(&self, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError>;

    /// One page of an index, newest first. Documents that are gone are passed over, so a page can be
    /// short; it is the last one only if `next` is `None`. Documents written or moved meanwhile may
    /// or may not be seen; one that stays put is seen exactly once over all pages.
    async fn list(&self, query: &ListQuery) -> Result<DocPage, StoreError>;

    /// How many live documents stand in an index. Cost does not grow with the number.
    async fn count(&self, index: &IndexName) -> Result<u64, StoreError>;

    /// The fields of these tallies, in the same order, as they are at one moment; none where there is no such
    /// tally. Names: at most [`MAX_BATCH`].
    async fn tallies(&self, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError>;

    /// The one write. See [`Change`]: all of it or nothing, and which condition failed. The lease is
    /// looked at first, then the expectations in order, then the claims, then the bounds of the adds; writes
    /// are made in the order put, delete, enqueue, events, adds, revocations, claims, lease end. Once it answers, the change is as
    /// durable as the engine can make it. A lease that has run out but was not swept yet is still held.
    async fn apply(&self, change: Change) -> Result<Outcome, StoreError>;

    /// Removes about `limit` documents whose life has ended from all indexes, as many such tallies, and old
    /// events; whether more are left. To be called from time to time.
    async fn expire(&self, limit: usize) -> Result<bool, StoreError>;

    // --- queues and leases -----------------------------------------------------------------

    /// Takes payloads queue by queue in the order that the request names, oldest first within one
    /// queue, nothing from a queue that is paused, each under a fresh token. In one step the payload
    /// leaves its queue and becomes leased: it is never nowhere. What a foreign program put into a list
    /// at its head (`LPUSH`) is taken like any other.
    async fn reserve(&self, request: &Reserve) -> Result<Vec<Delivery>, StoreError>;

    /// Extends leases to now + `lease_ms`; for each token whether it is still held.
    /// Tokens: at most [`MAX_BATCH`].
    async fn renew(&self, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError>;

    /// Returns payloads of at most `limit` leases that have run out to the front of their queues,
    /// each with one more crash counted; in which order among themselves is left open. From then on
    /// the old token is refused everywhere.
    async fn sweep(&self, limit: usize) -> Result<Vec<Swept>, StoreError>;

    /// Moves at most `limit` payloads whose time has come to the back of their queues, in order of
    /// their due times, and tells when the next one falls due. Payloads that are parked although their
    /// claim could be had go back to the front of theirs, those of a name that were parked first, of each
    /// name no more than could have it, and at most `limit` in all.
    async fn promote(&self, limit: usize) -> Result<Promoted, StoreError>;

    /// At most `limit` of the leases held now, the next to run out first.
    async fn leases(&self, limit: usize) -> Result<Vec<LeaseInfo>, StoreError>;

    /// How much waits and how much is held. Cost does not grow with the numbers.
    async fn depth(&self) -> Result<QueueDepth, StoreError>;

    /// At most `limit` of the payloads that are ready in a queue, paused or not, the next to be taken
    /// first. Takes nothing.
    async fn waiting(&self, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Pauses a queue or lets it go on. What waits in a paused queue stays there and can be added to;
    /// what is leased already goes on.
    async fn pause(&self, queue: Queue, paused: bool) -> Result<(), StoreError>;

    /// Returns soon after a payload may have become ready (from this process or another one), at
    /// the latest after `longest`. May return early for no reason; takes nothing. A payload that is
    /// ready in a queue that is not paused when the call is made lets it return at once; one in a queue
    /// that was paused or resumed by another process since the last `reserve` may not. Errors of the
    /// store are not reported here (the next `reserve` will); the wait then lasts for `longest`.
    async fn wait_for_work(&self, longest: Duration);

    /// Waits like [`Store::wait_for_work`] until something may be ready, and takes it like [`Store::reserve`];
    /// an engine may do both in one go. Nothing if nothing came in time. What is taken for a caller that has
    /// gone meanwhile (its future was dropped) goes back to the front of its queue.
    async fn reserve_or_wait(
        &self,
        request: &Reserve,
        longest: Duration,
    ) -> Result<Vec<Delivery>, StoreError>;

    // --- events ----------------------------------------------------------------------------

    /// At most `limit` events of a stream with an id above `after`, oldest first.
    async fn events(&self, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// The id of the newest event of a stream, 0 where it has none.
    async fn newest_event(&self, stream: &str) -> Result<u64, StoreError>;

    /// Nothing more is expected in a stream: it may be dropped [`RETIRED_MS`] from now, as soon as the newest
    /// events of all do not need it, unless one is appended to it later. One that is not there is passed over.
    async fn retire(&self, stream: &str) -> Result<(), StoreError>;

    /// Returns soon after an event with an id above `after` may be in the stream, whoever wrote it, at
    /// the latest after `longest`. May return early for no reason; errors are not reported here.
    async fn wait_for_events(&self, stream: &str, after: u64, longest: Duration);

    // --- upkeep ----------------------------------------------------------------------------

    /// Looks through a part of what the engine keeps beside the documents, a bounded piece of it from
    /// `after` on, and mends what an eviction, a failover that lost writes or a foreign hand has left
    /// half done. A slow walk for quiet times: calling it again and again with `next` sees all of it.
    async fn audit(&self, part: &AuditPart, after: Option<Cursor>) -> Result<Audited, StoreError>;

    /// A piece of all that is kept, at most about `limit` items of it from `after` on: with `next` again and
    /// again all of it. For a store at rest, which nobody works on: of what is written meanwhile any part may
    /// be given. Payloads of one queue come in the order in which they are to be taken, those that are leased
    /// or parked first; events of one stream, and those of all that have to, in order of their ids. A document
    /// or a tally may come twice, everything else comes once.
    async fn dump(&self, after: Option<Cursor>, limit: usize) -> Result<Dump, StoreError>;

    /// Takes what [`Store::dump`] gave, from this store or another one, all of it or nothing. Documents,
    /// tallies, pauses and events take the place of what is there under their names, an event only if nothing
    /// later is in its stream; payloads are put behind what waits in their queues. Items: at most [`MAX_BATCH`].
    async fn restore(&self, items: &[Item]) -> Result<(), StoreError>;

    /// Writes all that is kept at one moment into a new file, while work goes on, on which an engine of the same
    /// sort can be opened; false where the engine keeps nothing in a file of this process, and so writes nothing.
    /// A call that is dropped or fails may leave a part of the file.
    async fn snapshot(&self, file: &Path) -> Result<bool, StoreError>;

    /// Waits for writes under way and lets go of files and connections.
    async fn close(&self);
}
