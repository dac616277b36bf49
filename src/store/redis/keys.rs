//! Every key in Redis: its name, type, owner and life.
//!
//! | key | type | owner | what | life |
//! |---|---|---|---|---|
//! | `{kind}:{id}` | string | the owner's schema | a document, JSON | for ever, or `PXAT` |
//! | `{kind}s_index` | zset | the owner's schema | id → time in epoch **seconds** (a float, as Python's `time.time()`) | while it has members |
//! | `{kind}s_by_{field}:{value}` | zset | ours | the same for a narrower index | while it has members |
//! | `queue_high`, `queue`, `queue_low` | list | the owner's schema | payloads; `LPUSH` at the head, taken from the tail | while they have members |
//! | `pf:leases` | zset | ours | token → the lease's end in ms. **The one thing that says "running"** | for ever |
//! | `pf:inflight` | hash | ours | token → `rank crashes length worker payload` of the lease | as its lease |
//! | `pf:due` | zset | ours | `number rank payload` → due time in ms | for ever |
//! | `pf:crashes` | hash | ours | rank + SHA-1 of a payload that crashed and waits in its list → its crash counts | while one waits |
//! | `pf:token`, `pf:event_id` | string | ours | the last number given out; never below the clock in µs | for ever |
//! | `pf:paused` | hash | ours | rank of a paused queue → 1 | while it is paused |
//! | `pf:wanted:{worker}` | string | ours | how many jobs a worker that waits wants at the most; 0 when they were taken for it | as its wait |
//! | `pf:claims:{name}` | set | ours | tokens of the leases that hold a claim | as their leases |
//! | `pf:claimed` | hash | ours | token → the names it holds (msgpack) | as its lease |
//! | `pf:parked:{name}` | list | ours | `rank crashes payload` of what waits for a claim, the first one first | while one waits |
//! | `pf:parked` | hash | ours | name that something is parked for → its limit | while one waits |
//! | `pf:parked_count` | string | ours | how much is parked in all | for ever |
//! | `pf:events:{stream}` | stream | ours | events `<id>-0`: `t` ms, `b` body | trimmed, `PEXPIRE` after the last event |
//! | `pf:events:all` | stream | ours | a copy of all, with `s` the stream | trimmed, for ever |
//! | `pf:tally:{name}` | hash | ours | field → value, a whole number | for ever, or `PEXPIREAT` |
//! | `pf:expiring` | zset | ours | keys (msgpack) → when the janitor is to look whether they are gone, in ms | until then |
//! | `pf:indexed` | hash | ours | a document's key → its narrower indexes (msgpack); the main one needs no record | as its document |
//! | `pf:guard` | none | ours | never exists; scripts that write name it, see `target` | never |
//! | `pf:schema` | hash | migrations | `version`, `min_reader`, who applied what; see `migrations-redis/` | for ever |
//! | `pf:schema:lease` | string | migrations | who migrates now | 10 s, renewed |
//! | `pf:adopted:{kind}:{id}` | hash | migrations | what an adopted document was made from | for ever |
//!
//! Every key stands behind [`RedisOptions::prefix`](super::RedisOptions::prefix). With a hash tag as
//! the prefix (`{pf}:`) all keys share a slot, which is what makes the scripts work on a cluster.

use crate::store::{ALL_EVENTS, DocKey, IndexName, Queue};

/// The names of all keys, behind one prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub prefix: String,
    /// By rank.
    pub lists: [String; 3],
    pub leases: String,
    pub inflight: String,
    pub due: String,
    pub crashes: String,
    pub token: String,
    pub event_id: String,
    pub expiring: String,
    pub indexed: String,
    pub all_events: String,
    pub paused: String,
    pub claimed: String,
    pub parked: String,
    pub parked_count: String,
}

impl Keys {
    pub fn new(prefix: &str) -> Self {
        let own = |name: &str| format!("{prefix}pf:{name}");
        Self {
            prefix: prefix.to_owned(),
            lists: Queue::ALL.map(|queue| format!("{prefix}{}", queue.name())),
            leases: own("leases"),
            inflight: own("inflight"),
            due: own("due"),
            crashes: own("crashes"),
            token: own("token"),
            event_id: own("event_id"),
            expiring: own("expiring"),
            indexed: own("indexed"),
            all_events: own(&format!("events:{ALL_EVENTS}")),
            paused: own("paused"),
            claimed: own("claimed"),
            parked: own("parked"),
            parked_count: own("parked_count"),
        }
    }

    pub fn document(&self, key: &DocKey) -> String {
        format!("{}{key}", self.prefix)
    }

    pub fn index(&self, index: &IndexName) -> String {
        format!("{}{}", self.prefix, index.as_str())
    }

    pub fn wanted(&self, worker: &str) -> String {
        format!("{}pf:wanted:{worker}", self.prefix)
    }

    pub fn tally(&self, name: &str) -> String {
        format!("{}pf:tally:{name}", self.prefix)
    }

    pub fn events(&self, stream: &str) -> String {
        format!("{}pf:events:{stream}", self.prefix)
    }
}
