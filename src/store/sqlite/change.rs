//! The one write: conditions first, then everything.

use super::{documents, events, leases, queues, step::Step};
use crate::store::{Applied, Change, Expectation, LeaseEnd, Outcome, Refusal, Revision, StoreError};

/// Makes the change or says which condition failed. It writes nothing before all conditions hold.
pub(super) fn apply(step: &Step, change: &Change) -> Result<Outcome, StoreError> {
    if let Some(lease) = &change.lease
        && !leases::is_held(step, lease.token)?
    {
        return Ok(Err(Refusal::LeaseLost));
    }
    for expectation in &change.expect {
        if !holds(step, expectation)? {
            return Ok(Err(Refusal::Changed(expectation.key.clone())));
        }
    }
    for put in &change.put {
        documents::put(step, put)?;
    }
    for key in &change.delete {
        documents::delete(step, key)?;
    }
    for enqueue in &change.enqueue {
        queues::enqueue(step, enqueue)?;
    }
    let mut event_ids = Vec::with_capacity(change.events.len());
    for event in &change.events {
        event_ids.push(events::append(step, event)?);
    }
    if let Some(lease) = &change.lease {
        match lease.end {
            LeaseEnd::Keep => {}
            LeaseEnd::Finish => leases::finish(step, lease.token)?,
            LeaseEnd::Requeue | LeaseEnd::Park(_) => leases::requeue(step, lease.token)?,
        }
    }
    Ok(Ok(Applied { event_ids }))
}

fn holds(step: &Step, expectation: &Expectation) -> Result<bool, StoreError> {
    let found = documents::body(step, &expectation.key)?;
    Ok(found.map(|body| Revision::of(&body)) == expectation.revision)
}
