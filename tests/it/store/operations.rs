//! Random operations for the model-based suite.
//!
//! An operation names nothing that only exists because of an earlier one: it says "the second lease
//! held then", "document 3 as it is then". So any operation can be taken out of a list and the rest
//! still means something, which is what shrinking needs.

use productforge::store::{Claim, IndexName, LeaseEnd, MAX_TALLY, Queue};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::fixtures::{NOTE, claim};

/// Time passes in whole units, and every life, lease and delay ends half a unit between two of them.
/// So half a unit of real time, on an engine whose clock runs by itself, changes no answer.
pub const UNIT_MS: u64 = 600_000;

pub const DOCUMENTS: usize = 8;
pub const STREAMS: usize = 3;
pub const TALLIES: usize = 2;
const FIELDS: usize = 2;

#[derive(Debug, Clone)]
pub enum Operation {
    Apply(Box<Plan>),
    Reserve {
        limit: usize,
        units: u64,
        order: [Queue; 3],
    },
    Renew {
        leases: Vec<Pick>,
        units: u64,
    },
    Sweep {
        limit: usize,
    },
    Promote {
        limit: usize,
    },
    Pause {
        queue: Queue,
        paused: bool,
    },
    /// Look into a queue, so far.
    Waiting {
        queue: Queue,
        limit: usize,
    },
    Expire {
        limit: usize,
    },
    Age {
        units: u64,
    },
    /// Walk an index in pages of this size.
    List {
        index: usize,
        page: usize,
    },
    /// Read a stream (or all of them) to its end in parts of this size.
    Events {
        stream: Option<usize>,
        part: usize,
    },
    Reopen,
}

/// A change in the making.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub lease: Option<(Pick, LeaseEnd)>,
    pub expect: Vec<(usize, Expect)>,
    pub put: Vec<PlannedPut>,
    pub delete: Vec<usize>,
    /// `Some(units)`: for later.
    pub enqueue: Vec<(Queue, Option<u64>)>,
    pub events: Vec<usize>,
    pub revoke: Vec<Pick>,
    /// None under a lease that does not go on: that is invalid.
    pub claim: Vec<Claim>,
    pub add: Vec<PlannedAdd>,
}

#[derive(Debug, Clone)]
pub struct PlannedPut {
    pub document: usize,
    /// Few bodies, so that a document comes back to one it had.
    pub body: usize,
    pub life: Option<u64>,
    /// Index and time; few times, so that many are equal.
    pub indexes: Vec<(usize, i64)>,
}

/// Few names, fields and low numbers, so that many bounds are reached.
#[derive(Debug, Clone)]
pub struct PlannedAdd {
    pub tally: usize,
    pub field: usize,
    pub by: i64,
    pub below: Option<i64>,
    pub life: Option<u64>,
}

/// What is expected of a document.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    /// That it is as it is: the expectation holds.
    AsItIs,
    Absent,
    Body(usize),
}

/// A lease by its place, taken modulo their number.
#[derive(Debug, Clone, Copy)]
pub enum Pick {
    Held(usize),
    Ended(usize),
    NeverWas,
}

impl Operation {
    /// The same with a bit less to it, for shrinking. Every way leads to an end.
    pub fn simpler(&self) -> Vec<Operation> {
        let Operation::Apply(plan) = self else { return Vec::new() };
        let mut simpler = Vec::new();
        let mut without = |there: bool, clear: fn(&mut Plan)| {
            if there {
                let mut less = Plan::clone(plan);
                clear(&mut less);
                simpler.push(less);
            }
        };
        without(!plan.put.is_empty(), |plan| plan.put.clear());
        without(!plan.expect.is_empty(), |plan| plan.expect.clear());
        without(!plan.delete.is_empty(), |plan| plan.delete.clear());
        without(!plan.events.is_empty(), |plan| plan.events.clear());
        without(!plan.revoke.is_empty(), |plan| plan.revoke.clear());
        without(!plan.enqueue.is_empty(), |plan| _ = plan.enqueue.pop());
        without(!plan.claim.is_empty(), |plan| _ = plan.claim.pop());
        without(!plan.add.is_empty(), |plan| _ = plan.add.pop());
        if let Some((Pick::Held(FEW_LEASES..), end)) = &plan.lease {
            let first = (0..FEW_LEASES).map(|n| Some((Pick::Held(n), end.clone())));
            simpler.extend(first.map(|lease| Plan { lease, ..Plan::clone(plan) }));
        }
        simpler.into_iter().map(|plan| Operation::Apply(Box::new(plan))).collect()
    }
}

/// The places that shrinking tries for a lease.
const FEW_LEASES: usize = 3;

/// The indexes that documents stand in.
pub fn indexes() -> [IndexName; 3] {
    [IndexName::all(NOTE), IndexName::by(NOTE, "agent", "x"), IndexName::by(NOTE, "agent", "y")]
}

/// A list of operations that depends on the seed alone.
pub fn generate(seed: u64, steps: usize) -> Vec<Operation> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..steps).map(|_| operation(&mut rng)).collect()
}

fn operation(rng: &mut impl Rng) -> Operation {
    match rng.random_range(0..100) {
        0..48 => Operation::Apply(Box::new(plan(rng))),
        48..61 => Operation::Reserve {
            limit: rng.random_range(1..5),
            units: rng.random_range(0..4),
            order: order(rng),
        },
        61..64 => Operation::Pause { queue: queue(rng), paused: rng.random_bool(0.4) },
        64 => Operation::Waiting { queue: queue(rng), limit: rng.random_range(0..5) },
        65..67 => Operation::Renew { leases: some(rng, 1..4, pick), units: rng.random_range(0..4) },
        67..74 => Operation::Sweep { limit: rng.random_range(1..4) },
        74..80 => Operation::Promote { limit: rng.random_range(1..4) },
        80..83 => Operation::Expire { limit: rng.random_range(1..4) },
        83..91 => Operation::Age { units: rng.random_range(1..4) },
        91..95 => Operation::List { index: rng.random_range(0..3), page: rng.random_range(1..6) },
        95..98 => {
            let stream = rng.random_bool(0.7).then(|| rng.random_range(0..STREAMS));
            Operation::Events { stream, part: rng.random_range(1..20) }
        }
        _ => Operation::Reopen,
    }
}

fn plan(rng: &mut impl Rng) -> Plan {
    let mut plan = Plan::default();
    if rng.random_bool(0.6) {
        let end = match rng.random_range(0..9) {
            0..4 => LeaseEnd::Keep,
            4..6 => LeaseEnd::Finish,
            6 => LeaseEnd::Requeue,
            _ => LeaseEnd::Park(any_claim(rng)),
        };
        if end == LeaseEnd::Keep {
            plan.claim = some(rng, 0..4, any_claim);
        }
        plan.lease = Some((pick(rng), end));
    }
    if rng.random_bool(0.1) {
        plan.revoke = some(rng, 1..3, pick);
    }
    plan.expect = some(rng, 0..3, |rng| (rng.random_range(0..DOCUMENTS), expect(rng)));
    plan.put = some(rng, 0..3, planned_put);
    plan.delete = some(rng, 0..2, |rng| rng.random_range(0..DOCUMENTS));
    plan.enqueue = some(rng, 0..3, |rng| {
        let later = rng.random_bool(0.3).then(|| rng.random_range(0..4));
        (queue(rng), later)
    });
    plan.events = some(rng, 0..3, |rng| rng.random_range(0..STREAMS));
    if rng.random_bool(0.4) {
        plan.add = some(rng, 1..5, planned_add);
    }
    plan
}

fn queue(rng: &mut impl Rng) -> Queue {
    Queue::ALL[rng.random_range(0..3)]
}

fn order(rng: &mut impl Rng) -> [Queue; 3] {
    let mut order = Queue::ALL;
    if rng.random_bool(0.4) {
        order.shuffle(rng);
    }
    order
}

/// Few names and low limits, so that many claims are refused.
fn any_claim(rng: &mut impl Rng) -> Claim {
    claim(["agent", "model"][rng.random_range(0..2)], [1, 1, 2, 3][rng.random_range(0..4)])
}

fn planned_put(rng: &mut impl Rng) -> PlannedPut {
    PlannedPut {
        document: rng.random_range(0..DOCUMENTS),
        body: rng.random_range(0..4),
        life: rng.random_bool(0.4).then(|| rng.random_range(0..4)),
        indexes: some(rng, 0..4, |rng| (rng.random_range(0..3), rng.random_range(0..4))),
    }
}

fn planned_add(rng: &mut impl Rng) -> PlannedAdd {
    PlannedAdd {
        tally: rng.random_range(0..TALLIES),
        field: rng.random_range(0..FIELDS),
        // Seldom so much that hardly a bound is of interest any more.
        by: match rng.random_range(0..100) {
            0 => MAX_TALLY,
            1 => -MAX_TALLY,
            _ => rng.random_range(-2..4),
        },
        below: rng.random_bool(0.4).then(|| rng.random_range(0..8)),
        life: rng.random_bool(0.3).then(|| rng.random_range(0..4)),
    }
}

fn expect(rng: &mut impl Rng) -> Expect {
    match rng.random_range(0..10) {
        0..7 => Expect::AsItIs,
        7 => Expect::Absent,
        _ => Expect::Body(rng.random_range(0..4)),
    }
}

fn pick(rng: &mut impl Rng) -> Pick {
    match rng.random_range(0..10) {
        0..7 => Pick::Held(rng.random_range(0..100)),
        7..9 => Pick::Ended(rng.random_range(0..100)),
        _ => Pick::NeverWas,
    }
}

fn some<R: Rng, T>(rng: &mut R, number: std::ops::Range<usize>, one: impl Fn(&mut R) -> T) -> Vec<T> {
    (0..rng.random_range(number)).map(|_| one(rng)).collect()
}
