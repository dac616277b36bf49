//! The limits of the contract, looked at in one place, before an engine touches anything.

use super::{
    ALL_EVENTS, Add, Change, Item, LeaseEnd, LeaseUse, MAX_BATCH, MAX_CLAIM_LIMIT, MAX_DOCUMENT_BYTES,
    MAX_PAYLOAD_BYTES, MAX_TALLY, Put, StoreError,
};

/// The longest name of a tally or of one of its fields.
const MAX_TALLY_NAME_BYTES: usize = 256;

/// At most [`MAX_BATCH`] of something.
pub(crate) fn check_batch(what: &str, number: usize) -> Result<(), StoreError> {
    at_most(what, number, MAX_BATCH)
}

/// 1 to [`MAX_BATCH`] of something.
pub(crate) fn check_page(what: &str, number: usize) -> Result<(), StoreError> {
    if number == 0 {
        return Err(StoreError::Invalid(format!("{what}: 0 asked for, at least 1 is needed")));
    }
    check_batch(what, number)
}

/// Every list of a change at most [`MAX_BATCH`] long, every body within its size.
pub(crate) fn check_change(change: &Change) -> Result<(), StoreError> {
    check_batch("expectations", change.expect.len())?;
    check_batch("puts", change.put.len())?;
    check_batch("deletes", change.delete.len())?;
    check_batch("queue entries", change.enqueue.len())?;
    check_batch("events", change.events.len())?;
    check_batch("revocations", change.revoke.len())?;
    check_claims(change)?;
    check_adds(&change.add)?;
    for put in &change.put {
        check_put(put)?;
    }
    for enqueue in &change.enqueue {
        at_most("bytes of a payload", enqueue.payload.len(), MAX_PAYLOAD_BYTES)?;
    }
    for event in &change.events {
        check_event(&event.stream, &event.body)?;
    }
    Ok(())
}

/// The items of a dump, within the same limits as those of a change.
pub(crate) fn check_items(items: &[Item]) -> Result<(), StoreError> {
    check_batch("items", items.len())?;
    for item in items {
        match item {
            Item::Document(put) => check_put(put)?,
            Item::Payload(payload) => {
                at_most("bytes of a payload", payload.payload.len(), MAX_PAYLOAD_BYTES)?
            }
            Item::Event { event, .. } => check_event(&event.stream, &event.body)?,
            Item::Tally(tally) => {
                for name in std::iter::once(&tally.name).chain(tally.fields.keys()) {
                    at_most("bytes of a tally's name", name.len(), MAX_TALLY_NAME_BYTES)?;
                }
                if tally.fields.values().any(|value| value.unsigned_abs() > MAX_TALLY.unsigned_abs()) {
                    let why =
                        format!("a field of the tally {} is further from 0 than {MAX_TALLY}", tally.name);
                    return Err(StoreError::Invalid(why));
                }
            }
            Item::Paused(_) => {}
        }
    }
    Ok(())
}

fn check_put(put: &Put) -> Result<(), StoreError> {
    at_most("bytes of a document", put.body.len(), MAX_DOCUMENT_BYTES)?;
    check_batch("indexes of a document", put.indexes.len())
}

fn check_event(stream: &str, body: &[u8]) -> Result<(), StoreError> {
    at_most("bytes of an event", body.len(), MAX_DOCUMENT_BYTES)?;
    if stream == ALL_EVENTS {
        let why = format!("the stream `{ALL_EVENTS}` receives copies only");
        return Err(StoreError::Invalid(why));
    }
    Ok(())
}

/// Claims are made under a lease that goes on.
fn check_claims(change: &Change) -> Result<(), StoreError> {
    check_batch("claims", change.claim.len())?;
    let goes_on = change.lease.as_ref().is_some_and(|lease| lease.end == LeaseEnd::Keep);
    if !change.claim.is_empty() && !goes_on {
        return Err(StoreError::Invalid("a claim needs a lease that goes on".to_owned()));
    }
    let parked = match &change.lease {
        Some(LeaseUse { end: LeaseEnd::Park(claim), .. }) => Some(claim),
        _ => None,
    };
    for claim in change.claim.iter().chain(parked) {
        if claim.name.is_empty() || claim.limit == 0 {
            return Err(StoreError::Invalid("a claim needs a name and a limit of at least 1".to_owned()));
        }
        at_most("bytes of a claim's name", claim.name.len(), 256)?;
        at_most("leases that hold one claim", claim.limit as usize, MAX_CLAIM_LIMIT as usize)?;
    }
    Ok(())
}

fn check_adds(adds: &[Add]) -> Result<(), StoreError> {
    check_batch("adds", adds.len())?;
    for add in adds {
        if add.tally.is_empty() || add.field.is_empty() {
            return Err(StoreError::Invalid("an add needs the name of a tally and of a field".to_owned()));
        }
        at_most("bytes of a tally's name", add.tally.len(), MAX_TALLY_NAME_BYTES)?;
        at_most("bytes of a field's name", add.field.len(), MAX_TALLY_NAME_BYTES)?;
        if add.by.unsigned_abs() > MAX_TALLY.unsigned_abs() {
            let why = format!("{} cannot be added: it is further from 0 than {MAX_TALLY}", add.by);
            return Err(StoreError::Invalid(why));
        }
    }
    Ok(())
}

fn at_most(what: &str, number: usize, limit: usize) -> Result<(), StoreError> {
    if number > limit {
        return Err(StoreError::Invalid(format!("{what}: {number} are more than {limit}")));
    }
    Ok(())
}
