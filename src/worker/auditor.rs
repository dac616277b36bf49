//! The auditor: a slow walk that mends what an eviction, a failover or a foreign hand has left half done.
//!
//! It goes through all that is kept beside the documents, through the jobs that have not ended and what is
//! reserved of budgets, keeps the dead set within its bound, and removes files that have belonged to no upload for a day.

use std::{sync::Arc, time::Duration};

use crate::{
    service::{ServiceError, Services, jobs::MAX_DEAD_JOBS, records},
    store::{Audited, Cursor},
};

use super::{Shared, jittered};

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
    while shared.pause(wait).await {
        wait = jittered(RHYTHM);
        match run_once(&shared, &services).await {
            Ok(0) => log::debug!("audit: all is well"),
            Ok(mended) => log::warn!("audit: {mended} findings were mended"),
            Err(e) => log::debug!("audit: {e}"),
        }
    }
}

/// One whole walk; how many findings were mended.
pub async fn run_once(shared: &Shared, services: &Services) -> Result<usize, ServiceError> {
    let mut mended = 0;
    for part in records::audit_parts() {
        mended += walk(shared, |after| shared.store.audit(&part, after)).await?;
    }
    while services.jobs.trim_dead(MAX_DEAD_JOBS).await? && shared.pause(BREATH).await {}
    mended += walk(shared, |after| services.execution.audit_jobs(after)).await?;
    mended += walk(shared, |after| services.execution.audit_reservations(after)).await?;
    mended += services.uploads.sweep_orphans().await?;
    Ok(mended)
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
