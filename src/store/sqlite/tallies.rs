//! Tallies: reading, conditions, adding, and the end of their lives.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::step::Step;
use crate::store::{Add, MAX_TALLY, StoreError, Tally, UnixMs, tally};

/// The fields of the tallies under these names, in the same order.
pub(super) fn read(step: &Step, names: &[String]) -> Result<Vec<BTreeMap<String, i64>>, StoreError> {
    let mut select = step.sql(
        "SELECT field, value FROM tallies JOIN tally_fields ON tally = no
         WHERE name = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
    )?;
    let mut tallies = Vec::with_capacity(names.len());
    for name in names {
        let fields = select.query_map(params![name, step.now], |row| Ok((row.get(0)?, row.get(1)?)))?;
        tallies.push(fields.collect::<Result<_, _>>()?);
    }
    Ok(tallies)
}

/// The first of these adds whose field is not below its bound.
pub(super) fn first_refused<'a>(step: &Step, adds: &'a [Add]) -> Result<Option<&'a Add>, StoreError> {
    for add in adds {
        if let Some(below) = add.below
            && value(step, &add.tally, &add.field)? >= below
        {
            return Ok(Some(add));
        }
    }
    Ok(None)
}

/// Adds all of it; the lives that are said begin when all is added.
pub(super) fn add(step: &Step, adds: &[Add]) -> Result<(), StoreError> {
    let mut lives = Vec::new();
    for run in tally::by_tally(adds) {
        let tally = living(step, &run[0].tally)?;
        for add in run {
            // Neither the sum of two such numbers nor the first of them goes beyond what a column holds.
            step.sql(
                "INSERT INTO tally_fields (tally, field, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (tally, field) DO UPDATE SET value = max(-?4, min(?4, value + ?3))",
            )?
            .execute(params![tally, add.field, add.by, MAX_TALLY])?;
        }
        lives.extend(tally::life(run).map(|keep_ms| (tally, step.after(keep_ms))));
    }
    for (tally, expires_at) in lives {
        step.sql("UPDATE tallies SET expires_at = ?2 WHERE no = ?1")?.execute([tally, expires_at])?;
    }
    Ok(())
}

/// Makes a tally what it was where it was dumped.
pub(super) fn restore(step: &Step, tally: &Tally) -> Result<(), StoreError> {
    let no = living(step, &tally.name)?;
    empty(step, no)?;
    for (field, value) in &tally.fields {
        step.sql("INSERT INTO tally_fields (tally, field, value) VALUES (?1, ?2, ?3)")?
            .execute(params![no, field, value])?;
    }
    step.sql("UPDATE tallies SET expires_at = ?2 WHERE no = ?1")?
        .execute(params![no, tally.ttl_ms.map(|ttl_ms| step.after(ttl_ms))])?;
    Ok(())
}

/// Removes at most `limit` tallies whose life has ended, the longest dead first.
pub(super) fn expire(step: &Step, limit: usize) -> Result<usize, StoreError> {
    let dead: Vec<i64> = step
        .sql("SELECT no FROM tallies WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2")?
        .query_map(params![step.now, limit as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for tally in &dead {
        empty(step, *tally)?;
        step.sql("DELETE FROM tallies WHERE no = ?1")?.execute([tally])?;
    }
    Ok(dead.len())
}

fn value(step: &Step, name: &str, field: &str) -> Result<i64, StoreError> {
    let mut select = step.sql(
        "SELECT value FROM tallies JOIN tally_fields ON tally = no
         WHERE name = ?1 AND field = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    let found = select.query_row(params![name, field, step.now], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

/// The number of a tally, which is made if it is not there and begins anew if its life has ended.
fn living(step: &Step, name: &str) -> Result<i64, StoreError> {
    let found: Option<(i64, Option<UnixMs>)> = step
        .sql("SELECT no, expires_at FROM tallies WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((tally, expires_at)) => {
            if expires_at.is_some_and(|end| end <= step.now) {
                empty(step, tally)?;
                step.sql("UPDATE tallies SET expires_at = NULL WHERE no = ?1")?.execute([tally])?;
            }
            Ok(tally)
        }
        None => {
            step.sql("INSERT INTO tallies (name) VALUES (?1)")?.execute([name])?;
            Ok(step.last_id())
        }
    }
}

fn empty(step: &Step, tally: i64) -> Result<(), StoreError> {
    step.sql("DELETE FROM tally_fields WHERE tally = ?1")?.execute([tally])?;
    Ok(())
}
