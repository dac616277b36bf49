//! The one atomic conditional write and its outcome.

use super::{Add, Claim, DocKey, NewEvent, Put, Queue, Revision, Token, UnixMs};

/// What must be true of a document for a [`Change`] to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub key: DocKey,
    /// The revision it must have; `None`: it must not exist.
    pub revision: Option<Revision>,
}

/// What becomes of the lease that a change is made under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseEnd {
    /// It goes on.
    Keep,
    /// It ends and its payload is gone: the job is finished, or its next try is in `enqueue`.
    Finish,
    /// It ends and its payload goes back to the front of its queue, with no crash counted.
    Requeue,
    /// It ends and its payload is parked until this claim can be had; then it goes back to the front of
    /// its queue, with no crash counted. If the claim can be had already, it goes there at once. What the
    /// lease held itself is free by then.
    Park(Claim),
}

/// The lease a change is made under: it must still be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseUse {
    pub token: Token,
    pub end: LeaseEnd,
}

/// A payload to be put into a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    pub queue: Queue,
    /// Opaque bytes; ProductForge puts the owner's job JSON in.
    pub payload: Vec<u8>,
    /// Not before this time (store clock). `None`: at once, at the back of the queue. A time that has
    /// come already may make it ready at once or with the next promotion.
    pub due_at: Option<UnixMs>,
}

/// *If* the lease is held, every expectation holds, every claim can be had and every field added to is below
/// its bound, *then* make all writes, *else* change nothing.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub lease: Option<LeaseUse>,
    pub expect: Vec<Expectation>,
    pub put: Vec<Put>,
    pub delete: Vec<DocKey>,
    pub enqueue: Vec<Enqueue>,
    pub events: Vec<NewEvent>,
    /// Leases of others that end here, their payloads with them. One that is not held (any more) is
    /// passed over. If the lease of this change is among them, it holds no claim and its end finds
    /// nothing more to do.
    pub revoke: Vec<Token>,
    /// What the lease of this change is to hold from now on, all of it or the change is refused. Only
    /// under a lease that goes on ([`LeaseEnd::Keep`]); what it holds already it keeps, and a name counts
    /// once. What the revocations of this change free is free for the next change only.
    pub claim: Vec<Claim>,
    /// What is added to tallies, with a lease or without. All conditions are looked at before anything is
    /// added, so none of them sees what this change adds. An add is no condition: who repeats a change whose
    /// answer was lost has to have a lease that ends or an expectation in it that fails the second time.
    pub add: Vec<Add>,
}

impl Change {
    pub fn new() -> Self {
        Self::default()
    }

    /// Make the change under a lease.
    pub fn under(mut self, token: Token, end: LeaseEnd) -> Self {
        self.lease = Some(LeaseUse { token, end });
        self
    }

    /// Require a document to have this revision, or with `None` to be absent.
    pub fn expect(mut self, key: DocKey, revision: Option<Revision>) -> Self {
        self.expect.push(Expectation { key, revision });
        self
    }

    pub fn put(mut self, put: Put) -> Self {
        self.put.push(put);
        self
    }

    pub fn delete(mut self, key: DocKey) -> Self {
        self.delete.push(key);
        self
    }

    pub fn enqueue(mut self, enqueue: Enqueue) -> Self {
        self.enqueue.push(enqueue);
        self
    }

    pub fn event(mut self, stream: impl Into<String>, body: Vec<u8>) -> Self {
        self.events.push(NewEvent { stream: stream.into(), body });
        self
    }

    /// End the lease of somebody else.
    pub fn revoke(mut self, token: Token) -> Self {
        self.revoke.push(token);
        self
    }

    pub fn claim(mut self, claim: Claim) -> Self {
        self.claim.push(claim);
        self
    }

    #[expect(clippy::should_implement_trait, reason = "a word like put and delete: changes have no sum")]
    pub fn add(mut self, add: Add) -> Self {
        self.add.push(add);
        self
    }

    /// The same for a number that only counts: what this change adds to that field already grows by it.
    pub fn count(mut self, add: Add) -> Self {
        let same = |other: &&mut Add| {
            other.below.is_none() && (&other.tally, &other.field) == (&add.tally, &add.field)
        };
        match self.add.iter_mut().find(same) {
            Some(known) => known.by = known.by.saturating_add(add.by),
            None => self.add.push(add),
        }
        self
    }
}

/// What a change that was made left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The ids of the appended events, in order.
    pub event_ids: Vec<u64>,
}

/// Why a change was not made. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The lease is not held any more: it was swept, finished or never existed.
    LeaseLost,
    /// This document (the first one in order of `expect`) is not as expected.
    Changed(DocKey),
    /// This claim (the first one in order of `claim`) cannot be had: as many leases hold it as may.
    Limited(Claim),
    /// This field (the first one in order of `add`) is not below its bound.
    Exceeded { tally: String, field: String },
}

/// Made or refused; both are answers, not errors.
pub type Outcome = Result<Applied, Refusal>;
