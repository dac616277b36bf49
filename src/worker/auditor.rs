//! The auditor: a slow walk that mends what an eviction, a failover or a foreign hand has left half done.
//!
//! It goes through all that is kept beside the documents, through the jobs that have not ended and what is
//! reserved of budgets, keeps the dead set within its bound, finishes deletions of workflows that a crash broke off,
//! and removes files that have belonged to no upload for a day.

use std::{sync::Arc, time::Duration};

use crate::{
    service::{ServiceError, Services, jobs::MAX_DEAD_JOBS, records},
    store::{Audited, Cursor},
};

use super::{Shared, Spell, jittered};

/// Between two walks.
const RHYTHM: Duration = Duration::from_secs(600);
/// The first one comes sooner: a store that was restored or failed over is looked at after the restart
/// that usually goes with it.
const FIRST: Duration = Duration::from_secs(60);
/// Between two pieces of one walk, so that nobody notices it.
const BREATH: Duration = Duration::from_millis(20);

/// Until the worker has ended. Any number of processes may walk.
pub async fn run(shared: Arc<Shared>, services: Services) {
    let mut wait = jittered(FIRST);
    let mut spell = Spell::default();
    while shared.pause(wait).await {
        wait = jittered(RHYTHM);
        match run_once(&shared, &services).await {
            Ok(mended) => {
                spell.over();
                match mended {
                    0 => log::debug!("audit: all is well"),
                    _ => log::warn!("audit: {mended} findings were mended"),
                }
            }
            Err(e) => spell.failed("audit: a part of the store cannot be looked through", e),
        }
    }
}

/// One whole walk; how many findings were mended. A part that fails does not keep the others from being looked through;
/// the first error is told at the end. A store that is away ends the walk.
pub async fn run_once(shared: &Shared, services: &Services) -> Result<usize, ServiceError> {
    let mut walked = Walked::default();
    for part in records::audit_parts() {
        walked.add(walk(shared, |after| shared.store.audit(&part, after)).await)?;
    }
    walked.add(trim_dead(shared, services).await)?;
    walked.add(walk(shared, |after| services.execution.audit_jobs(after)).await)?;
    walked.add(walk(shared, |after| services.execution.audit_reservations(after)).await)?;
    walked.add(services.workflows.finish_deletions().await)?;
    walked.add(services.uploads.sweep_orphans().await)?;
    match walked.failed {
        Some(error) => Err(error),
        None => Ok(walked.mended),
    }
}

/// What came of the parts of a walk.
#[derive(Default)]
struct Walked {
    mended: usize,
    /// The first error.
    failed: Option<ServiceError>,
}

impl Walked {
    /// An error that every other part would end with as well is given back.
    fn add(&mut self, part: Result<usize, impl Into<ServiceError>>) -> Result<(), ServiceError> {
        match part.map_err(Into::into) {
            Ok(mended) => self.mended += mended,
            Err(error) if error.is_general() => return Err(self.failed.take().unwrap_or(error)),
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
        Ok(())
    }
}

/// Keeps the dead set within its bound, which is no finding.
async fn trim_dead(shared: &Shared, services: &Services) -> Result<usize, ServiceError> {
    while services.jobs.trim_dead(MAX_DEAD_JOBS).await? && shared.pause(BREATH).await {}
    Ok(0)
}

/// Page by page until the end, or until the worker is to stop; how many findings were mended.
async fn walk<F, E>(shared: &Shared, look: impl Fn(Option<Cursor>) -> F) -> Result<usize, E>
where
    F: Future<Output = Result<Audited, E>>,
{
    let (mut mended, mut after) = (0, None);
    loop {
        let audited = look(after).await?;
        report(&audited.mended);
        mended += audited.mended.len();
        after = audited.next;
        if after.is_none() || !shared.pause(BREATH).await {
            return Ok(mended);
        }
    }
}

fn report(mended: &[String]) {
    for finding in mended {
        log::warn!("audit: {finding}");
    }
}
