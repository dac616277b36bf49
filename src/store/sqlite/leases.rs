//! Leases: taking payloads, holding them, and giving them back.

use std::time::Instant;

use rusqlite::{OptionalExtension, params};

use super::{
    claims,
    queues::{self, Place},
    step::Step,
};
use crate::store::{Claim, Delivery, LeaseInfo, Queue, Reserve, StoreError, Swept, Token};

/// Moves payloads from their queues into leases, for a call that was made at `asked_at`.
pub(super) fn reserve(
    step: &Step,
    request: &Reserve,
    asked_at: Instant,
) -> Result<Vec<Delivery>, StoreError> {
    let taken = queues::pop(step, &request.order, request.limit)?;
    let expires_at = step.after(request.lease_ms);
    let mut deliveries = Vec::with_capacity(taken.len());
    let mut insert = step.sql(
        "INSERT INTO leases (queue, payload, crashes, worker, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for ready in taken {
        insert.execute(params![ready.queue, ready.payload, ready.crashes, request.worker, expires_at])?;
        deliveries.push(Delivery {
            token: Token(step.last_id() as u64),
            queue: ready.queue,
            payload: ready.payload,
            crashes: ready.crashes,
            leased_at: asked_at,
        });
    }
    if !deliveries.is_empty() {
        queues::count(step, Place::Leased, deliveries.len() as i64);
    }
    Ok(deliveries)
}

/// Whether a lease is held: from its reservation until it ends or is swept, run out or not.
pub(super) fn is_held(step: &Step, token: Token) -> Result<bool, StoreError> {
    let mut select = step.sql("SELECT EXISTS (SELECT 1 FROM leases WHERE token = ?1)")?;
    Ok(select.query_row([token], |row| row.get(0))?)
}

/// Extends leases that are held; which of them were.
pub(super) fn renew(step: &Step, tokens: &[Token], lease_ms: u64) -> Result<Vec<bool>, StoreError> {
    let expires_at = step.after(lease_ms);
    let mut update = step.sql("UPDATE leases SET expires_at = ?2 WHERE token = ?1")?;
    tokens.iter().map(|token| Ok(update.execute(params![token, expires_at])? == 1)).collect()
}

/// Ends a lease, if it is held; its payload is gone.
pub(super) fn finish(step: &Step, token: Token) -> Result<(), StoreError> {
    if step.sql("DELETE FROM leases WHERE token = ?1")?.execute([token])? == 1 {
        queues::count(step, Place::Leased, -1);
        claims::free(step, token)?;
    }
    Ok(())
}

/// Ends a lease, if it is held; its payload goes back to the front with the crashes it had.
pub(super) fn requeue(step: &Step, token: Token) -> Result<(), StoreError> {
    if let Some((queue, payload, crashes)) = payload(step, token)? {
        finish(step, token)?;
        queues::push_front(step, queue, &payload, crashes)?;
    }
    Ok(())
}

/// Ends a lease, if it is held; its payload is parked with the crashes it had. What the lease held is
/// free by then.
pub(super) fn park(step: &Step, token: Token, claim: &Claim) -> Result<(), StoreError> {
    if let Some((queue, payload, crashes)) = payload(step, token)? {
        finish(step, token)?;
        claims::park(step, claim, queue, &payload, crashes)?;
    }
    Ok(())
}

fn payload(step: &Step, token: Token) -> Result<Option<(Queue, Vec<u8>, u32)>, StoreError> {
    let mut select = step.sql("SELECT queue, payload, crashes FROM leases WHERE token = ?1")?;
    Ok(select.query_row([token], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
}

/// Ends at most `limit` leases that have run out. The one that ran out first ends up foremost.
pub(super) fn sweep(step: &Step, limit: usize) -> Result<Vec<Swept>, StoreError> {
    let run_out: Vec<LeaseInfo> = select(step, "WHERE expires_at <= ?2", limit)?;
    for lease in run_out.iter().rev() {
        finish(step, lease.token)?;
        queues::push_front(step, lease.queue, &lease.payload, lease.crashes.saturating_add(1))?;
    }
    Ok(run_out
        .into_iter()
        .map(|lease| Swept {
            token: lease.token,
            worker: lease.worker,
            crashes: lease.crashes.saturating_add(1),
        })
        .collect())
}

/// At most `limit` leases, the next to run out first.
pub(super) fn list(step: &Step, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
    select(step, "WHERE ?2 IS NOT NULL", limit)
}

fn select(step: &Step, which: &str, limit: usize) -> Result<Vec<LeaseInfo>, StoreError> {
    let mut select = step.sql(&format!(
        "SELECT token, worker, queue, payload, crashes, expires_at FROM leases {which}
         ORDER BY expires_at, token LIMIT ?1"
    ))?;
    let rows = select.query_map([limit as i64, step.now], |row| {
        Ok(LeaseInfo {
            token: row.get(0)?,
            worker: row.get(1)?,
            queue: row.get(2)?,
            payload: row.get(3)?,
            crashes: row.get(4)?,
            expires_at: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
