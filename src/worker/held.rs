//! The leases a worker holds, and the signal that tells a job it has lost its own.

use std::{collections::BTreeMap, sync::Mutex, time::Instant};

use tokio_util::sync::CancellationToken;

use crate::store::Token;

/// One held lease.
#[derive(Debug, Clone)]
pub struct Lease {
    pub job_id: String,
    /// Set when the lease is lost: the job must stop and write nothing.
    pub lost: CancellationToken,
    /// The last moment at which the lease is certainly ours, by this machine's own clock.
    pub valid_until: Instant,
}

/// All leases of a worker.
#[derive(Debug, Default)]
pub struct Held(Mutex<BTreeMap<Token, Lease>>);

impl Held {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<Token, Lease>) -> T) -> T {
        // A panic elsewhere leaves the map whole: every change of it is one call.
        f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub fn add(&self, token: Token, job_id: String, valid_until: Instant) -> CancellationToken {
        let lost = CancellationToken::new();
        self.with(|m| m.insert(token, Lease { job_id, lost: lost.clone(), valid_until }));
        lost
    }

    pub fn name(&self, token: Token, job_id: &str) {
        self.with(|m| {
            if let Some(lease) = m.get_mut(&token) {
                job_id.clone_into(&mut lease.job_id);
            }
        });
    }

    pub fn remove(&self, token: Token) {
        self.with(|m| m.remove(&token));
    }

    pub fn tokens(&self) -> Vec<Token> {
        self.with(|m| m.keys().copied().collect())
    }

    pub fn extend(&self, token: Token, valid_until: Instant) {
        self.with(|m| {
            if let Some(lease) = m.get_mut(&token) {
                lease.valid_until = valid_until;
            }
        });
    }

    /// Tells a job that it is not its own any more.
    pub fn lose(&self, token: Token) {
        if let Some(lease) = self.with(|m| m.remove(&token)) {
            // No warning: it may be the very end of the job that overtook the renewal. Who runs it says why.
            log::debug!(job_id = lease.job_id.as_str(); "its lease is not held any more");
            lease.lost.cancel();
        }
    }

    /// Tells every job whose lease cannot be relied upon any more.
    pub fn lose_overdue(&self, now: Instant) {
        let overdue: Vec<Token> =
            self.with(|m| m.iter().filter(|(_, l)| l.valid_until <= now).map(|(t, _)| *t).collect());
        for token in overdue {
            self.lose(token);
        }
    }

    pub fn has(&self, token: Token) -> bool {
        self.with(|m| m.contains_key(&token))
    }

    pub fn job_ids(&self) -> Vec<String> {
        self.with(|m| m.values().map(|l| l.job_id.clone()).filter(|id| !id.is_empty()).collect())
    }

    pub fn len(&self) -> usize {
        self.with(|m| m.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
