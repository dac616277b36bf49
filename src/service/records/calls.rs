//! Model calls: their journal, what they say so far, what is reserved for them, and what is known of providers.

use super::{CALL, DAY_MS, LANE, PARTIAL, RESERVATION};
use crate::{
    model::{Call, PartialAnswer, Step},
    service::{execution::Reservation, pacing::StoredLane},
    store::{DocKey, Put, Store, StoreError, UnixMs},
};

const CALL_TTL_MS: u64 = 30 * DAY_MS;
const PARTIAL_TTL_MS: u64 = 60_000;
const RESERVATION_TTL_MS: u64 = 30 * DAY_MS;
const LANE_TTL_MS: u64 = 7 * DAY_MS;

pub fn call_key(job_id: &str, number: u32) -> DocKey {
    DocKey::new(CALL, format!("{job_id}:{number}"))
}

pub fn put_call(call: &Call) -> Put {
    Put::json(call_key(&call.job_id, call.number), call).ttl_ms(CALL_TTL_MS)
}

/// Where the output of a step is.
pub fn output_key(step: &Step) -> DocKey {
    call_key(&step.job_id, step.calls)
}

/// The call that has the output of a step: other steps need it, and it goes with its workflow.
pub fn put_output(call: &Call) -> Put {
    Put::json(call_key(&call.job_id, call.number), call)
}

/// All journaled calls of a job, in order, read so many at a time.
pub async fn calls_of(
    store: &dyn Store,
    job_id: &str,
    page: u32,
    most: u32,
) -> Result<Vec<Call>, StoreError> {
    let mut calls = Vec::new();
    for first in (1..=most).step_by(page.max(1) as usize) {
        let keys: Vec<_> = (first..first + page).map(|number| call_key(job_id, number)).collect();
        for doc in store.get(&keys).await? {
            match doc {
                Some(doc) => calls.push(doc.parse::<Call>()?),
                None => return Ok(calls),
            }
        }
    }
    Ok(calls)
}

pub fn partial_key(job_id: &str) -> DocKey {
    DocKey::new(PARTIAL, job_id)
}

pub fn put_partial(partial: &PartialAnswer) -> Put {
    Put::json(partial_key(&partial.job_id), partial).ttl_ms(PARTIAL_TTL_MS)
}

pub fn reservation_key(job_id: &str) -> DocKey {
    DocKey::new(RESERVATION, job_id)
}

pub fn put_reservation(reservation: &Reservation) -> Put {
    Put::json(reservation_key(&reservation.job_id), reservation)
        .ttl_ms(RESERVATION_TTL_MS)
        .indexed(reservation.at_ms)
}

pub fn lane_key(id: &str) -> DocKey {
    DocKey::new(LANE, id)
}

pub fn put_lane(lane: &StoredLane, at: UnixMs) -> Put {
    Put::json(lane_key(&lane.id), lane).ttl_ms(LANE_TTL_MS).indexed(at)
}
