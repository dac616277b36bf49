//! What everybody in a run knows: who ran when, when the store was away, what was accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The wall clock that all processes of this machine share.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

/// One start of a process.
#[derive(Debug, Clone)]
pub struct Start {
    /// In the address where it asks the model.
    pub number: usize,
    pub pid: u32,
    /// When it was certainly dead.
    pub dead_us: Option<i64>,
}

/// What was accepted, by what names it in the store.
#[derive(Debug, Default, Clone)]
pub struct Accepted {
    /// Job id → text.
    pub jobs: BTreeMap<String, String>,
    /// Workflow id → brief.
    pub workflows: BTreeMap<String, String>,
    /// Requests whose answer was lost or said "not now".
    pub unsure: usize,
}

impl Accepted {
    pub fn requests(&self) -> usize {
        self.jobs.len() + self.workflows.len()
    }
}

/// Counters of what was done to the system.
#[derive(Debug, Default, Clone)]
pub struct Blows {
    pub kills: usize,
    pub stops: usize,
    pub suspends: usize,
    pub store_kills: usize,
    pub network: usize,
}

#[derive(Default)]
pub struct Board {
    starts: Mutex<Vec<Start>>,
    accepted: Mutex<Accepted>,
    url: Mutex<String>,
    blows: Mutex<Blows>,
    swept: Mutex<BTreeSet<u64>>,
    /// The load may go so far: the next fault is due before.
    gate: AtomicUsize,
    /// Jobs under way, as the watcher last saw it.
    pub open: AtomicUsize,
    /// Set when the store is meant to be there.
    pub store_up: AtomicBool,
    /// Set while the watcher looks.
    pub looking: AtomicBool,
    pub faults_done: AtomicBool,
}

impl Board {
    pub fn starts(&self) -> MutexGuard<'_, Vec<Start>> {
        self.starts.lock().unwrap()
    }

    pub fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap()
    }

    pub fn blows(&self) -> MutexGuard<'_, Blows> {
        self.blows.lock().unwrap()
    }

    /// The leases that the run itself took away.
    pub fn swept(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.swept.lock().unwrap()
    }

    /// Where the server answers now.
    pub fn url(&self) -> String {
        self.url.lock().unwrap().clone()
    }

    pub fn set_url(&self, url: &str) {
        url.clone_into(&mut self.url.lock().unwrap());
    }

    pub fn open_gate(&self, upto: usize) {
        self.gate.store(upto, Ordering::Release);
    }

    pub fn gate(&self) -> usize {
        self.gate.load(Ordering::Acquire)
    }
}
