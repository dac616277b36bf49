//! The limits of the contract, held by both engines in the same words.

use super::{ALL_EVENTS, Change, MAX_BATCH, MAX_DOCUMENT_BYTES, MAX_PAYLOAD_BYTES, StoreError};

/// At most [`MAX_BATCH`] of something.
pub(super) fn at_most_a_batch(what: &str, count: usize) -> Result<(), StoreError> {
    if count > MAX_BATCH {
        return Err(StoreError::Invalid(format!("{count} {what} at once, the most is {MAX_BATCH}")));
    }
    Ok(())
}

/// 1 to [`MAX_BATCH`] of something.
pub(super) fn one_to_a_batch(what: &str, count: usize) -> Result<(), StoreError> {
    if count == 0 {
        return Err(StoreError::Invalid(format!("at least one of {what} must be asked for")));
    }
    at_most_a_batch(what, count)
}

/// Whether an engine may try this change.
pub(super) fn check(change: &Change) -> Result<(), StoreError> {
    at_most_a_batch("expectations", change.expect.len())?;
    at_most_a_batch("puts", change.put.len())?;
    at_most_a_batch("deletes", change.delete.len())?;
    at_most_a_batch("payloads", change.enqueue.len())?;
    at_most_a_batch("events", change.events.len())?;
    for put in &change.put {
        at_most_a_batch("indexes of a document", put.indexes.len())?;
        let size = put.body.len();
        if size > MAX_DOCUMENT_BYTES {
            let key = &put.key;
            return Err(StoreError::Invalid(format!(
                "{key} has {size} bytes, the most is {MAX_DOCUMENT_BYTES}"
            )));
        }
    }
    for entry in &change.enqueue {
        let size = entry.payload.len();
        if size > MAX_PAYLOAD_BYTES {
            return Err(StoreError::Invalid(format!(
                "a payload has {size} bytes, the most is {MAX_PAYLOAD_BYTES}"
            )));
        }
    }
    if change.events.iter().any(|event| event.stream == ALL_EVENTS) {
        return Err(StoreError::Invalid(format!("the stream {ALL_EVENTS:?} is written by all others only")));
    }
    Ok(())
}
