//! Migration 1: a database of the earlier system is taken over without losing or rewriting what is not
//! understood.
//!
//! In this order: the documents get into the indexes they belong to (`documents`, `agents`), index entries
//! without a document go (`entries`), jobs leave the lists that nobody takes from (`queues`), and workflows
//! that are said to run get what they wait for, or their end (`workflows`).
//!
//! Every change is conditional on what was read, and what is as it should be is passed over. So a run that
//! was cut off is made again from the beginning, and programs may use the database meanwhile.

mod agents;
mod documents;
mod entries;
pub(super) mod fuzzing;
mod look;
mod queues;
mod workflows;
mod zone;

use std::collections::BTreeSet;

use deadpool_redis::redis::cmd;

use super::{MigrateError, Mode, Work, lease::Lease};
use crate::{
    service::records,
    store::{
        Change, IndexName, Refusal, Store, StoreError,
        redis::{RawRedis, RedisStore, Reply},
    },
};

use zone::Zone;

/// What the earlier system called its lists of jobs, and more.
const LISTS: &str = "queue_";

/// A run of the migration.
pub(super) struct Adoption<'a> {
    store: &'a RedisStore,
    raw: &'a RawRedis,
    mode: Mode,
    lease: Option<&'a Lease>,
    work: Work,
    zone: Zone,
    /// Workflows that are said to run.
    running: BTreeSet<String>,
    /// Lists of jobs that nobody takes from, by their names behind the prefix.
    lists: BTreeSet<String>,
}

/// What became of a change.
enum Made {
    Yes,
    /// The document is another one by now.
    Changed,
    /// A key is of a type that cannot be written.
    Misfit(String),
}

impl<'a> Adoption<'a> {
    /// With a lease if it is to apply.
    pub fn new(store: &'a RedisStore, raw: &'a RawRedis, mode: Mode, lease: Option<&'a Lease>) -> Self {
        Self {
            store,
            raw,
            mode,
            lease,
            work: Work::default(),
            zone: Zone::default(),
            running: BTreeSet::new(),
            lists: BTreeSet::new(),
        }
    }

    /// Does it, or says what it would do.
    pub async fn run(mut self) -> Result<Work, MigrateError> {
        self.zone = zone::find(self.store, self.raw).await?;
        self.work.zone = self.zone.shown();
        self.warn_of_legacy_worker().await?;
        self.adopt_documents().await?;
        self.remove_entries().await?;
        let waiting = self.waiting_jobs().await?;
        self.move_jobs().await?;
        self.settle_workflows(&waiting).await?;
        Ok(self.work)
    }

    /// To be asked before each piece of work.
    fn may_go_on(&self) -> Result<(), MigrateError> {
        self.lease.map_or(Ok(()), Lease::held)
    }

    fn applies(&self) -> bool {
        self.mode == Mode::Apply
    }

    /// Makes a change, or in a check assumes that it would be made.
    async fn make(&self, change: Change) -> Result<Made, StoreError> {
        if !self.applies() {
            return Ok(Made::Yes);
        }
        match self.store.apply(change).await {
            Ok(Ok(_)) => Ok(Made::Yes),
            Ok(Err(
                Refusal::Changed(_) | Refusal::LeaseLost | Refusal::Limited(_) | Refusal::Exceeded { .. },
            )) => Ok(Made::Changed),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Invalid(_))) => {
                Ok(Made::Misfit(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Its worker takes jobs without a trace: what it holds looks lost.
    async fn warn_of_legacy_worker(&mut self) -> Result<(), StoreError> {
        let heartbeat = self.store.get(&[records::heartbeat_key()]).await?.pop().flatten();
        let workers = self.raw.index(&IndexName::all(records::WORKER));
        let ours = self.raw.read(cmd("EXISTS").arg(workers)).await?;
        if heartbeat.is_some() && ours == deadpool_redis::redis::Value::Int(0) {
            self.work.warnings.push(
                "worker:heartbeat is there, and no worker of this program: a worker of the earlier system seems to \
                 run. Stop it first: a job that it has taken cannot be told from a lost one."
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The next piece of a walk through the keys that match.
    async fn scan(&self, cursor: &str, pattern: &str) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let keys = [self.raw.indexed()];
        let value = self
            .raw
            .run(&look::SCAN, &keys, |command| _ = command.arg(cursor).arg(pattern).arg(look::PIECE))
            .await?;
        let mut reply = Reply::of("a walk", value)?;
        let next = reply.text()?;
        let mut found = Vec::with_capacity(reply.len());
        while !reply.is_empty() {
            found.push(reply.bytes()?);
        }
        Ok((next, found))
    }
}
