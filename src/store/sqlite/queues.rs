//! Queues: what is ready, what waits for its time, what is paused, and how much of it there is.

use rusqlite::params;

use super::{claims, step::Step};
use crate::store::{Enqueue, Promoted, Queue, QueueDepth, StoreError, UnixMs};

/// How many places there are: the rows of `depths`.
pub(super) const PLACES: usize = 6;

/// Where a payload can be; its number is a row of `depths`.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Ready(Queue),
    Due,
    Leased,
    Parked,
}

impl Place {
    pub const ALL: [Place; PLACES] = [
        Place::Ready(Queue::High),
        Place::Ready(Queue::Normal),
        Place::Ready(Queue::Low),
        Place::Due,
        Place::Leased,
        Place::Parked,
    ];

    pub fn number(self) -> usize {
        match self {
            Place::Ready(queue) => queue.rank().into(),
            Place::Due => 3,
            Place::Leased => 4,
            Place::Parked => 5,
        }
    }
}

/// Counts payloads that came to a place or left it.
pub(super) fn count(step: &Step, place: Place, by: i64) {
    step.known.count(place.number(), by);
}

/// The numbers of all places.
pub(super) fn depth(step: &Step) -> Result<QueueDepth, StoreError> {
    let paused = step.known.paused(step.conn())?;
    let [high, normal, low, due, leased, parked] = amounts(step)?.map(|amount| amount as u64);
    Ok(QueueDepth { high, normal, low, due, parked, leased, paused })
}

/// The numbers of all places, by their own.
pub(super) fn amounts(step: &Step) -> Result<[i64; PLACES], StoreError> {
    let mut select = step.sql("SELECT amount FROM depths ORDER BY place")?;
    let written: Vec<i64> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut amounts: [i64; PLACES] = written.try_into().map_err(|_| StoreError::Corrupt {
        what: "depths".into(),
        why: format!("it has not {PLACES} rows"),
    })?;
    for (amount, counted) in amounts.iter_mut().zip(step.known.counted()) {
        *amount += counted;
    }
    Ok(amounts)
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
            count(step, Place::Due, 1);
            Ok(())
        }
        // A payload that comes from outside has never crashed.
        _ => push_back(step, enqueue.queue, &enqueue.payload, 0),
    }
}

/// Behind everything in the queue.
pub(super) fn push_back(step: &Step, queue: Queue, payload: &[u8], crashes: u32) -> Result<(), StoreError> {
    step.sql(
        "INSERT INTO ready (queue, position, payload, crashes)
         VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM ready WHERE queue = ?1), ?2, ?3)",
    )?
    .execute(params![queue, payload, crashes])?;
    step.note_ready();
    count(step, Place::Ready(queue), 1);
    Ok(())
}

/// Before everything in the queue.
pub(super) fn push_front(step: &Step, queue: Queue, payload: &[u8], crashes: u32) -> Result<(), StoreError> {
    step.sql(
        "INSERT INTO ready (queue, position, payload, crashes)
         VALUES (?1, (SELECT coalesce(min(position), 0) - 1 FROM ready WHERE queue = ?1), ?2, ?3)",
    )?
    .execute(params![queue, payload, crashes])?;
    step.note_ready();
    count(step, Place::Ready(queue), 1);
    Ok(())
}

/// A payload that was ready.
pub(super) struct Ready {
    pub queue: Queue,
    pub payload: Vec<u8>,
    pub crashes: u32,
}

/// Takes the first `limit` payloads out of the queues, all of one before the next, nothing out of one
/// that is paused.
pub(super) fn pop(step: &Step, order: &[Queue], limit: usize) -> Result<Vec<Ready>, StoreError> {
    let paused = step.known.paused(step.conn())?;
    let mut taken = Vec::new();
    for queue in order.iter().filter(|queue| !paused[usize::from(queue.rank())]) {
        if taken.len() == limit {
            break;
        }
        pop_from(step, *queue, limit, &mut taken)?;
    }
    Ok(taken)
}

fn pop_from(step: &Step, queue: Queue, limit: usize, taken: &mut Vec<Ready>) -> Result<(), StoreError> {
    let before = taken.len();
    let mut select =
        step.sql("SELECT position, payload, crashes FROM ready WHERE queue = ?1 ORDER BY position LIMIT ?2")?;
    let mut rows = select.query(params![queue, (limit - before) as i64])?;
    let mut last: i64 = 0;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        taken.push(Ready { queue, payload: row.get(1)?, crashes: row.get(2)? });
    }
    let number = taken.len() - before;
    if number > 0 {
        // They are the lowest positions, so one statement removes them all.
        step.sql("DELETE FROM ready WHERE queue = ?1 AND position <= ?2")?.execute(params![queue, last])?;
        count(step, Place::Ready(queue), -(number as i64));
    }
    Ok(())
}

/// Whether anything could be taken now.
pub(super) fn any_ready(step: &Step) -> Result<bool, StoreError> {
    let paused = step.known.paused(step.conn())?;
    let mut select = step.sql("SELECT EXISTS (SELECT 1 FROM ready WHERE queue = ?1)")?;
    for queue in Queue::ALL {
        if !paused[usize::from(queue.rank())] && select.query_row([queue], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The payloads that are ready in a queue, the next to be taken first.
pub(super) fn waiting(step: &Step, queue: Queue, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut select = step.sql("SELECT payload FROM ready WHERE queue = ?1 ORDER BY position LIMIT ?2")?;
    let payloads = select.query_map(params![queue, limit as i64], |row| row.get(0))?;
    Ok(payloads.collect::<Result<_, _>>()?)
}

/// Pauses a queue or lets it go on.
pub(super) fn pause(step: &Step, queue: Queue, paused: bool) -> Result<(), StoreError> {
    if paused {
        step.sql("INSERT INTO paused (queue) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([queue])?;
    } else {
        step.sql("DELETE FROM paused WHERE queue = ?1")?.execute([queue])?;
        step.note_ready();
    }
    step.known.forget_paused();
    Ok(())
}

/// Moves payloads whose time has come to the back of their queues, in order of their times; those of
/// the same time in the order they were put in. What is parked for nothing goes back to the front.
pub(super) fn promote(step: &Step, limit: usize) -> Result<Promoted, StoreError> {
    let come: Vec<(i64, Queue, Vec<u8>)> = step
        .sql("SELECT no, queue, payload FROM due WHERE due_at <= ?1 ORDER BY due_at, no LIMIT ?2")?
        .query_map(params![step.now, limit as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (no, queue, payload) in &come {
        step.sql("DELETE FROM due WHERE no = ?1")?.execute([no])?;
        push_back(step, *queue, payload, 0)?;
    }
    if !come.is_empty() {
        count(step, Place::Due, -(come.len() as i64));
    }
    claims::give_back_free(step, limit)?;
    let next_due: Option<UnixMs> =
        step.sql("SELECT min(due_at) FROM due")?.query_row([], |row| row.get(0))?;
    Ok(Promoted { moved: come.len(), next_due, now: step.now })
}
