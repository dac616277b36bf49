//! Queues: what is ready, what waits for its time, and how much of it there is.

use rusqlite::params;

use super::step::Step;
use crate::store::{Enqueue, Promoted, Queue, QueueDepth, StoreError, UnixMs};

/// Where a payload can be; its number is a row of `depths`.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Ready(Queue),
    Due,
    Leased,
}

impl Place {
    fn number(self) -> i64 {
        match self {
            Place::Ready(queue) => queue.rank().into(),
            Place::Due => 3,
            Place::Leased => 4,
        }
    }
}

/// Counts payloads that came to a place or left it.
pub(super) fn count(step: &Step, place: Place, by: i64) -> Result<(), StoreError> {
    step.sql("UPDATE depths SET amount = amount + ?2 WHERE place = ?1")?.execute([place.number(), by])?;
    Ok(())
}

/// The numbers of all places.
pub(super) fn depth(step: &Step) -> Result<QueueDepth, StoreError> {
    let mut select = step.sql("SELECT amount FROM depths ORDER BY place")?;
    let amounts: Vec<i64> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    match amounts.iter().map(|amount| *amount as u64).collect::<Vec<_>>()[..] {
        [high, normal, low, due, leased] => {
            Ok(QueueDepth { high, normal, low, due, leased, ..QueueDepth::default() })
        }
        _ => Err(StoreError::Corrupt { what: "depths".into(), why: "it has not five rows".into() }),
    }
}

/// Puts a payload where it belongs: a time that has come already is no time to wait for.
pub(super) fn enqueue(step: &Step, enqueue: &Enqueue) -> Result<(), StoreError> {
    match enqueue.due_at {
        Some(due_at) if due_at > step.now => {
            step.sql("INSERT INTO due (due_at, queue, payload) VALUES (?1, ?2, ?3)")?.execute(params![
                due_at,
                enqueue.queue,
                enqueue.payload
            ])?;
            count(step, Place::Due, 1)
        }
        _ => push_back(step, enqueue.queue, &enqueue.payload),
    }
}

/// Behind everything in the queue; a payload that comes from outside has never crashed.
fn push_back(step: &Step, queue: Queue, payload: &[u8]) -> Result<(), StoreError> {
    step.sql(
        "INSERT INTO ready (queue, position, payload, crashes)
         VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM ready WHERE queue = ?1), ?2, 0)",
    )?
    .execute(params![queue, payload])?;
    step.note_ready();
    count(step, Place::Ready(queue), 1)
}

/// Before everything in the queue.
pub(super) fn push_front(step: &Step, queue: Queue, payload: &[u8], crashes: u32) -> Result<(), StoreError> {
    step.sql(
        "INSERT INTO ready (queue, position, payload, crashes)
         VALUES (?1, (SELECT coalesce(min(position), 0) - 1 FROM ready WHERE queue = ?1), ?2, ?3)",
    )?
    .execute(params![queue, payload, crashes])?;
    step.note_ready();
    count(step, Place::Ready(queue), 1)
}

/// A payload that was ready.
pub(super) struct Ready {
    pub queue: Queue,
    pub position: i64,
    pub payload: Vec<u8>,
    pub crashes: u32,
}

/// Takes the first `limit` payloads out of the queues.
pub(super) fn pop(step: &Step, limit: usize) -> Result<Vec<Ready>, StoreError> {
    let taken: Vec<Ready> = step
        .sql("SELECT queue, position, payload, crashes FROM ready ORDER BY queue, position LIMIT ?1")?
        .query_map([limit as i64], |row| {
            Ok(Ready {
                queue: row.get(0)?,
                position: row.get(1)?,
                payload: row.get(2)?,
                crashes: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    for queue in Queue::ALL {
        let from_here = taken.iter().filter(|ready| ready.queue == queue);
        if let Some(last) = from_here.clone().next_back() {
            // They are the lowest positions, so one statement removes them all.
            step.sql("DELETE FROM ready WHERE queue = ?1 AND position <= ?2")?
                .execute(params![queue, last.position])?;
            count(step, Place::Ready(queue), -(from_here.count() as i64))?;
        }
    }
    Ok(taken)
}

/// Whether anything could be taken now.
pub(super) fn any_ready(step: &Step) -> Result<bool, StoreError> {
    Ok(step.sql("SELECT EXISTS (SELECT 1 FROM ready)")?.query_row([], |row| row.get(0))?)
}

/// Moves payloads whose time has come to the back of their queues, in order of their times; those of
/// the same time in the order they were put in.
pub(super) fn promote(step: &Step, limit: usize) -> Result<Promoted, StoreError> {
    let come: Vec<(i64, Queue, Vec<u8>)> = step
        .sql("SELECT no, queue, payload FROM due WHERE due_at <= ?1 ORDER BY due_at, no LIMIT ?2")?
        .query_map(params![step.now, limit as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (no, queue, payload) in &come {
        step.sql("DELETE FROM due WHERE no = ?1")?.execute([no])?;
        push_back(step, *queue, payload)?;
    }
    if !come.is_empty() {
        count(step, Place::Due, -(come.len() as i64))?;
    }
    let next_due: Option<UnixMs> =
        step.sql("SELECT min(due_at) FROM due")?.query_row([], |row| row.get(0))?;
    Ok(Promoted { moved: come.len(), next_due, now: step.now })
}
