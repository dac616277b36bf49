//! The one write: conditions first, then everything.

use super::{claims, documents, events, leases, queues, step::Step, tallies};
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
    if let Some(lease) = &change.lease
        && let Some(claim) = claims::first_refused(step, lease.token, &change.claim)?
    {
        return Ok(Err(Refusal::Limited(claim)));
    }
    if let Some(add) = tallies::first_refused(step, &change.add)? {
        let (tally, field) = (add.tally.clone(), add.field.clone());
        return Ok(Err(Refusal::Exceeded { tally, field }));
    }
    for put in &change.put {
        // What was found absent is inserted without another look, which is what most results are.
        let absent = change.expect.iter().any(|e| e.revision.is_none() && e.key == put.key);
        documents::put(step, put, absent)?;
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
    tallies::add(step, &change.add)?;
    for token in &change.revoke {
        leases::finish(step, *token)?;
    }
    // A change may revoke its own lease: then nothing can hold a claim, and nothing is left to end.
    if let Some(lease) = change.lease.as_ref().filter(|lease| !change.revoke.contains(&lease.token)) {
        for claim in &change.claim {
            claims::grant(step, lease.token, claim)?;
        }
        match &lease.end {
            LeaseEnd::Keep => {}
            LeaseEnd::Finish => leases::finish(step, lease.token)?,
            LeaseEnd::Requeue => leases::requeue(step, lease.token)?,
            LeaseEnd::Park(claim) => leases::park(step, lease.token, claim)?,
        }
    }
    Ok(Ok(Applied { event_ids }))
}

fn holds(step: &Step, expectation: &Expectation) -> Result<bool, StoreError> {
    let found = documents::body(step, &expectation.key)?;
    Ok(found.map(|body| Revision::of(&body)) == expectation.revision)
}
