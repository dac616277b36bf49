//! Claims: who holds what, and the payloads that are parked until a claim can be had.

use rusqlite::{OptionalExtension, params};

use super::{
    queues::{self, Place},
    step::Step,
};
use crate::store::{Claim, Queue, StoreError, Token};

/// The first of these claims that a lease cannot have. What it holds already, or by an earlier one of
/// them, it can.
pub(super) fn first_refused(
    step: &Step,
    token: Token,
    claims: &[Claim],
) -> Result<Option<Claim>, StoreError> {
    for (number, claim) in claims.iter().enumerate() {
        let granted = claims[..number].iter().any(|earlier| earlier.name == claim.name)
            || holds(step, token, &claim.name)?
            || can_be_had(step, claim)?;
        if !granted {
            return Ok(Some(claim.clone()));
        }
    }
    Ok(None)
}

/// Gives a claim to a lease that is held and may have it.
pub(super) fn grant(step: &Step, token: Token, claim: &Claim) -> Result<(), StoreError> {
    let new = step
        .sql("INSERT INTO holders (token, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![token, claim.name])?;
    step.sql(
        "INSERT INTO claims (name, most, held, parked) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT (name) DO UPDATE SET most = ?2, held = held + ?3",
    )?
    .execute(params![claim.name, claim.limit, new as i64])?;
    step.known.note_claim();
    Ok(())
}

/// Frees what a lease held that has ended: of each name the payload that was parked first goes back.
pub(super) fn free(step: &Step, token: Token) -> Result<(), StoreError> {
    if !step.known.claims(step.conn())? {
        return Ok(());
    }
    let names: Vec<String> = step
        .sql("DELETE FROM holders WHERE token = ?1 RETURNING name")?
        .query_map([token], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        step.sql("UPDATE claims SET held = held - 1 WHERE name = ?1")?.execute([&name])?;
        give_back(step, &name, 1)?;
        forget_unused(step, &name)?;
    }
    Ok(())
}

/// Parks a payload, or puts it to the front of its queue if the claim can be had.
pub(super) fn park(
    step: &Step,
    claim: &Claim,
    queue: Queue,
    payload: &[u8],
    crashes: u32,
) -> Result<(), StoreError> {
    let free = can_be_had(step, claim)?;
    let parked = i64::from(!free);
    step.sql(
        "INSERT INTO claims (name, most, held, parked) VALUES (?1, ?2, 0, ?3)
         ON CONFLICT (name) DO UPDATE SET most = ?2, parked = parked + ?3",
    )?
    .execute(params![claim.name, claim.limit, parked])?;
    if free {
        forget_unused(step, &claim.name)?;
        return queues::push_front(step, queue, payload, crashes);
    }
    step.sql("INSERT INTO parked (name, queue, payload, crashes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![claim.name, queue, payload, crashes])?;
    step.known.note_claim();
    queues::count(step, Place::Parked, 1);
    Ok(())
}

/// Gives back at most `limit` payloads that are parked although their claim could be had, of each name
/// no more than could have it.
pub(super) fn give_back_free(step: &Step, limit: usize) -> Result<(), StoreError> {
    if !step.known.claims(step.conn())? {
        return Ok(());
    }
    let to_be_had: Vec<(String, i64)> = step
        .sql("SELECT name, most - held FROM claims WHERE parked > 0 AND held < most ORDER BY name LIMIT ?1")?
        .query_map([limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut left = limit as i64;
    for (name, free) in to_be_had {
        left -= give_back(step, &name, free.min(left))?;
        forget_unused(step, &name)?;
    }
    step.known.forget_claims();
    Ok(())
}

/// Moves the first payloads that are parked for a name to the front of their queues, the first one
/// foremost; how many there were.
pub(super) fn give_back(step: &Step, name: &str, limit: i64) -> Result<i64, StoreError> {
    let first: Vec<(i64, Queue, Vec<u8>, u32)> = step
        .sql("SELECT no, queue, payload, crashes FROM parked WHERE name = ?1 ORDER BY no LIMIT ?2")?
        .query_map(params![name, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    for (no, queue, payload, crashes) in first.iter().rev() {
        step.sql("DELETE FROM parked WHERE no = ?1")?.execute([no])?;
        queues::push_front(step, *queue, payload, *crashes)?;
    }
    let number = first.len() as i64;
    if number > 0 {
        step.sql("UPDATE claims SET parked = parked - ?2 WHERE name = ?1")?.execute(params![name, number])?;
        queues::count(step, Place::Parked, -number);
    }
    Ok(number)
}

/// A name that nobody holds or waits for leaves no row behind.
pub(super) fn forget_unused(step: &Step, name: &str) -> Result<(), StoreError> {
    step.sql("DELETE FROM claims WHERE name = ?1 AND held = 0 AND parked = 0")?.execute([name])?;
    Ok(())
}

fn holds(step: &Step, token: Token, name: &str) -> Result<bool, StoreError> {
    let mut select = step.sql("SELECT EXISTS (SELECT 1 FROM holders WHERE token = ?1 AND name = ?2)")?;
    Ok(select.query_row(params![token, name], |row| row.get(0))?)
}

/// Whether fewer leases hold the name than the claim says may.
fn can_be_had(step: &Step, claim: &Claim) -> Result<bool, StoreError> {
    let held: Option<i64> = step
        .sql("SELECT held FROM claims WHERE name = ?1")?
        .query_row([&claim.name], |row| row.get(0))
        .optional()?;
    Ok(held.unwrap_or(0) < claim.limit.into())
}
