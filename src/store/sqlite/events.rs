//! Events: appending, reading, and how long they are kept.
//!
//! An event is stored once and read both from its own stream and from [`ALL_EVENTS`], so it may only
//! be dropped when neither of the two has to keep it.

use rusqlite::{OptionalExtension, params};

use super::step::Step;
use crate::store::{
    ALL_EVENTS, EVENT_RETENTION_MS, Event, MAX_BATCH, MAX_EVENTS_PER_STREAM, NewEvent, RETIRED_MS,
    StoreError, UnixMs,
};

/// A stream that has grown too long is cut every so many events, at most twice as many at once.
const CUT_EVERY: i64 = 128;

/// Appends an event and gives its id.
pub(super) fn append(step: &Step, event: &NewEvent) -> Result<u64, StoreError> {
    step.sql("INSERT INTO events (stream, at, body) VALUES (?1, ?2, ?3)")?.execute(params![
        event.stream,
        step.now,
        event.body
    ])?;
    let id = step.last_id();
    let appended: i64 = step
        .sql(
            "INSERT INTO streams (stream, appended, last_id, last_at) VALUES (?1, 1, ?2, ?3)
             ON CONFLICT (stream) DO UPDATE SET appended = appended + 1, last_id = ?2, last_at = ?3
             RETURNING appended",
        )?
        .query_row(params![event.stream, id, step.now], |row| row.get(0))?;
    step.note_event(&event.stream);
    if appended > MAX_EVENTS_PER_STREAM as i64 && appended % CUT_EVERY == 0 {
        cut(step, &event.stream)?;
    }
    Ok(id as u64)
}

/// Puts an event back under its id, unless something later is in its stream.
pub(super) fn restore(step: &Step, event: &Event) -> Result<(), StoreError> {
    let id = i64::try_from(event.id).unwrap_or(i64::MAX);
    let taken = step
        .sql(
            "INSERT INTO events (id, stream, at, body) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM streams WHERE stream = ?2 AND last_id >= ?1)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![id, event.stream, event.at, event.body])?;
    if taken == 1 {
        step.sql(
            "INSERT INTO streams (stream, appended, last_id, last_at) VALUES (?1, 1, ?2, ?3)
             ON CONFLICT (stream) DO UPDATE SET appended = appended + 1, last_id = ?2, last_at = ?3",
        )?
        .execute(params![event.stream, id, event.at])?;
        step.note_event(&event.stream);
    }
    Ok(())
}

/// Events of a stream after an id, oldest first.
pub(super) fn read(step: &Step, stream: &str, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let (which, stream) =
        if stream == ALL_EVENTS { ("?1 IS NULL", None) } else { ("stream = ?1", Some(stream)) };
    let mut select = step.sql(&format!(
        "SELECT id, stream, at, body FROM events WHERE {which} AND id > ?2 ORDER BY id LIMIT ?3"
    ))?;
    let events = select.query_map(params![stream, after, limit as i64], |row| {
        Ok(Event {
            id: row.get::<_, i64>(0)? as u64,
            stream: row.get(1)?,
            at: row.get(2)?,
            body: row.get(3)?,
        })
    })?;
    Ok(events.collect::<Result<_, _>>()?)
}

/// The id of the newest event of a stream, 0 where it has none.
pub(super) fn newest(step: &Step, stream: &str) -> Result<u64, StoreError> {
    let newest: Option<i64> = match stream {
        ALL_EVENTS => step.sql("SELECT max(id) FROM events")?.query_row([], |row| row.get(0))?,
        _ => {
            step.sql("SELECT max(id) FROM events WHERE stream = ?1")?.query_row([stream], |row| row.get(0))?
        }
    };
    Ok(newest.and_then(|id| u64::try_from(id).ok()).unwrap_or(0))
}

/// Drops streams whose last event is long past, at most [`MAX_BATCH`] events at once; whether more are left.
pub(super) fn drop_old(step: &Step) -> Result<bool, StoreError> {
    let too_old = step.now.saturating_sub(EVENT_RETENTION_MS as i64);
    let Some(free_up_to) = not_needed_by_all(step, too_old)? else { return Ok(false) };
    let mut budget = MAX_BATCH as i64;
    while budget > 0 {
        // The stream that fell silent first. Ids and times rise together, so if it is not old
        // enough no other one is.
        let silent: Option<(String, UnixMs)> = step
            .sql("SELECT stream, last_at FROM streams WHERE last_id <= ?1 ORDER BY last_id LIMIT 1")?
            .query_row([free_up_to], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((stream, last_at)) = silent else { return Ok(false) };
        if last_at > too_old {
            return Ok(false);
        }
        let dropped = delete_first(step, &stream, i64::MAX, budget)?;
        budget -= dropped as i64;
        if budget > 0 {
            step.sql("DELETE FROM streams WHERE stream = ?1")?.execute([stream])?;
        }
    }
    Ok(true)
}

/// Notes that nothing more is expected in a stream.
pub(super) fn retire(step: &Step, stream: &str) -> Result<(), StoreError> {
    step.sql(
        "INSERT INTO retired_streams (stream, last_id, drop_at)
         SELECT stream, last_id, ?2 FROM streams WHERE stream = ?1
         ON CONFLICT (stream) DO UPDATE SET last_id = excluded.last_id, drop_at = excluded.drop_at",
    )?
    .execute(params![stream, step.now.saturating_add(RETIRED_MS as i64)])?;
    Ok(())
}

/// Drops streams that were retired long enough ago and went on no more, at most [`MAX_BATCH`] events at once; whether
/// more are left.
pub(super) fn drop_retired(step: &Step) -> Result<bool, StoreError> {
    let Some(free_up_to) = not_needed_by_all(step, UnixMs::MIN)? else { return Ok(false) };
    let mut budget = MAX_BATCH as i64;
    while budget > 0 {
        let due: Option<(String, i64, Option<i64>)> = step
            .sql(
                "SELECT r.stream, r.last_id, s.last_id FROM retired_streams r LEFT JOIN streams s ON s.stream = r.stream
                 WHERE r.drop_at <= ?1 AND r.last_id <= ?2 ORDER BY r.drop_at LIMIT 1",
            )?
            .query_row([step.now, free_up_to], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((stream, retired_at, last)) = due else { return Ok(false) };
        budget -= 1;
        if last == Some(retired_at) {
            budget -= delete_first(step, &stream, i64::MAX, budget)? as i64;
            if budget <= 0 {
                break;
            }
            step.sql("DELETE FROM streams WHERE stream = ?1")?.execute([&stream])?;
        }
        step.sql("DELETE FROM retired_streams WHERE stream = ?1")?.execute([&stream])?;
    }
    Ok(true)
}

/// Cuts a stream to its newest [`MAX_EVENTS_PER_STREAM`]. As many came after those that go, so
/// [`ALL_EVENTS`] does not have to keep them either.
fn cut(step: &Step, stream: &str) -> Result<(), StoreError> {
    let oldest_kept: Option<i64> = step
        .sql("SELECT id FROM events WHERE stream = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2")?
        .query_row(params![stream, MAX_EVENTS_PER_STREAM as i64 - 1], |row| row.get(0))
        .optional()?;
    if let Some(oldest_kept) = oldest_kept {
        delete_first(step, stream, oldest_kept, 2 * CUT_EVERY)?;
    }
    Ok(())
}

/// The highest id that [`ALL_EVENTS`] does not have to keep.
fn not_needed_by_all(step: &Step, too_old: UnixMs) -> Result<Option<i64>, StoreError> {
    let newest: Option<(i64, UnixMs)> = step
        .sql("SELECT id, at FROM events ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(newest.map(|(id, at)| if at <= too_old { id } else { id - MAX_EVENTS_PER_STREAM as i64 }))
}

fn delete_first(step: &Step, stream: &str, below: i64, limit: i64) -> Result<usize, StoreError> {
    let mut delete = step.sql(
        "DELETE FROM events WHERE id IN
         (SELECT id FROM events WHERE stream = ?1 AND id < ?2 ORDER BY id LIMIT ?3)",
    )?;
    Ok(delete.execute(params![stream, below, limit])?)
}
