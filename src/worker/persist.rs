//! Writes that are repeated until the store takes them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Backoff;
use crate::service::ServiceError;

/// How often a write that others get in the way of is begun anew.
const MOST_CONFLICTS: u32 = 5;

/// Repeats a conditional write until the store takes it, for as long as the lease is ours: an
/// answer that was paid for must not be thrown away because the store was restarted. A write whose
/// reply was lost is refused the second time; that reads as a lost lease, and the job is settled.
pub(super) async fn persist<T, F, Fut>(lost: &CancellationToken, write: F) -> Option<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    match persist_or(lost, Duration::MAX, write).await? {
        Ok(done) => Some(done),
        Err(error) => {
            log::error!("a job's state cannot be written: {error}; its lease will run out");
            None
        }
    }
}

/// The same, with the error that repeating does not mend; `None` when the lease was lost. Waits at
/// most `longest` between two tries.
pub(super) async fn persist_or<T, F, Fut>(
    lost: &CancellationToken,
    longest: Duration,
    mut write: F,
) -> Option<Result<T, ServiceError>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    let mut backoff = Backoff::default();
    loop {
        let error = match write().await {
            Ok(done) => return Some(Ok(done)),
            // Others that keep changing a document are rare and pass; for ever would hold the slot.
            Err(ServiceError::Conflict(why)) if backoff.failures >= MOST_CONFLICTS => {
                return Some(Err(ServiceError::Conflict(why)));
            }
            Err(error) if error.may_pass() => error,
            Err(error) => return Some(Err(error)),
        };
        let wait = backoff.failed().min(longest);
        if backoff.is_first() {
            log::warn!("a job's state could not be written: {error}; trying on while the lease holds");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = lost.cancelled() => return None,
        }
    }
}
