//! Giving all that is kept, and taking it.

use rusqlite::{Row, params};

use super::{
    documents, indexes,
    queues::{self, Place},
    step::Step,
    tallies,
};
use crate::store::{
    Cursor, DocKey, Dump, Event, IndexName, Item, Kind, Payload, Put, Queue, StoreError, UnixMs,
    dump::PIECE_BYTES,
};

/// What is given, in this order: payloads of one queue stand in the order in which they are to be taken.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Documents,
    Leased,
    Parked,
    Ready,
    Due,
    Tallies,
    Events,
    Paused,
}

const STAGES: [Stage; 8] = [
    Stage::Documents,
    Stage::Leased,
    Stage::Parked,
    Stage::Ready,
    Stage::Due,
    Stage::Tallies,
    Stage::Events,
    Stage::Paused,
];

/// A place in a stage: behind the row with these two numbers.
#[derive(Clone, Copy)]
struct Position {
    stage: usize,
    major: i64,
    minor: i64,
}

impl Position {
    fn parse(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split(':');
        let (stage, major, minor) =
            (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (stage < STAGES.len()).then_some(Self { stage, major, minor })
    }

    fn cursor(self) -> Cursor {
        Cursor(format!("{}:{}:{}", self.stage, self.major, self.minor))
    }

    fn beginning_of(stage: usize) -> Self {
        Self { stage, major: i64::MIN, minor: i64::MIN }
    }
}

/// A row of a stage: its place and what it is; nothing if that has ended.
type Found = ((i64, i64), Option<Item>);

/// One piece.
pub(super) fn dump(step: &Step, after: Option<&Cursor>, limit: usize) -> Result<Dump, StoreError> {
    let mut place = match after {
        Some(cursor) => Position::parse(cursor).ok_or_else(indexes::foreign_cursor)?,
        None => Position::beginning_of(0),
    };
    let mut dump = Dump::default();
    let mut bytes = 0;
    loop {
        let rows = rows(step, place, limit - dump.items.len())?;
        let whole_stage = rows.len() < limit - dump.items.len();
        for ((major, minor), item) in rows {
            (place.major, place.minor) = (major, minor);
            let Some(item) = item else { continue };
            bytes += item.bytes();
            dump.items.push(item);
            if bytes >= PIECE_BYTES || dump.items.len() == limit {
                dump.next = Some(place.cursor());
                return Ok(dump);
            }
        }
        if !whole_stage {
            continue;
        }
        if place.stage + 1 == STAGES.len() {
            return Ok(dump);
        }
        place = Position::beginning_of(place.stage + 1);
    }
}

fn rows(step: &Step, place: Position, limit: usize) -> Result<Vec<Found>, StoreError> {
    let limit = limit as i64;
    match STAGES[place.stage] {
        Stage::Documents => document_rows(step, place.major, limit),
        Stage::Leased => payload_rows(
            step,
            "SELECT token, 0, queue, payload, crashes, NULL FROM leases
             WHERE token > ?1 AND ?2 = ?2 ORDER BY token LIMIT ?3",
            place,
            limit,
        ),
        Stage::Parked => payload_rows(
            step,
            "SELECT no, 0, queue, payload, crashes, NULL FROM parked
             WHERE no > ?1 AND ?2 = ?2 ORDER BY no LIMIT ?3",
            place,
            limit,
        ),
        Stage::Ready => payload_rows(
            step,
            "SELECT queue, position, queue, payload, crashes, NULL FROM ready
             WHERE (queue, position) > (?1, ?2) ORDER BY queue, position LIMIT ?3",
            place,
            limit,
        ),
        Stage::Due => payload_rows(
            step,
            "SELECT due_at, no, queue, payload, 0, due_at FROM due
             WHERE (due_at, no) > (?1, ?2) ORDER BY due_at, no LIMIT ?3",
            place,
            limit,
        ),
        Stage::Tallies => tally_rows(step, place.major, limit),
        Stage::Events => event_rows(step, place.major, limit),
        Stage::Paused => paused_rows(step, place.major, limit),
    }
}

fn document_rows(step: &Step, after: i64, limit: i64) -> Result<Vec<Found>, StoreError> {
    // Each row can be as large as a document: they are read one by one, and no further than needed.
    let mut select =
        step.sql("SELECT no, kind, id, body, expires_at FROM documents WHERE no > ?1 ORDER BY no LIMIT ?2")?;
    let mut rows = select.query(params![after, limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let no: i64 = row.get(0)?;
        let expires_at: Option<UnixMs> = row.get(4)?;
        if expires_at.is_some_and(|end| end <= step.now) {
            found.push(((no, 0), None));
            continue;
        }
        let (kind, id, body): (String, String, Vec<u8>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        bytes += body.len();
        let mut put = Put::raw(DocKey::new(Kind::named(&kind)?, id), body);
        put.ttl_ms = left(step, expires_at);
        put.indexes = indexes::standing_of(step, no)?
            .into_iter()
            .map(|(name, at)| (IndexName::named(name), at))
            .collect();
        found.push(((no, 0), Some(Item::Document(put))));
        if bytes >= PIECE_BYTES {
            break;
        }
    }
    Ok(found)
}

fn payload_rows(step: &Step, sql: &str, place: Position, limit: i64) -> Result<Vec<Found>, StoreError> {
    let mut select = step.sql(sql)?;
    let mut rows = select.query(params![place.major, place.minor, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(payload_row(row)?);
    }
    Ok(found)
}

fn payload_row(row: &Row) -> rusqlite::Result<Found> {
    let payload =
        Payload { queue: row.get(2)?, payload: row.get(3)?, crashes: row.get(4)?, due_at: row.get(5)? };
    Ok(((row.get(0)?, row.get(1)?), Some(Item::Payload(payload))))
}

fn tally_rows(step: &Step, after: i64, limit: i64) -> Result<Vec<Found>, StoreError> {
    let rows: Vec<(i64, String, Option<UnixMs>)> = step
        .sql("SELECT no, name, expires_at FROM tallies WHERE no > ?1 ORDER BY no LIMIT ?2")?
        .query_map([after, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(no, name, expires_at)| {
            if expires_at.is_some_and(|end| end <= step.now) {
                return Ok(((no, 0), None));
            }
            let fields = tallies::read(step, std::slice::from_ref(&name))?.pop().unwrap_or_default();
            let tally = crate::store::Tally { name, ttl_ms: left(step, expires_at), fields };
            Ok(((no, 0), Some(Item::Tally(tally))))
        })
        .collect()
}

fn event_rows(step: &Step, after: i64, limit: i64) -> Result<Vec<Found>, StoreError> {
    let mut select =
        step.sql("SELECT id, stream, at, body FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let found = select.query_map([after, limit], |row| {
        let id: i64 = row.get(0)?;
        let event = Event { id: id as u64, stream: row.get(1)?, at: row.get(2)?, body: row.get(3)? };
        Ok(((id, 0), Some(Item::Event { event, in_all: true })))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn paused_rows(step: &Step, after: i64, limit: i64) -> Result<Vec<Found>, StoreError> {
    let mut select = step.sql("SELECT queue FROM paused WHERE queue > ?1 ORDER BY queue LIMIT ?2")?;
    let found = select.query_map([after, limit], |row| {
        let queue: Queue = row.get(0)?;
        Ok(((queue.rank().into(), 0), Some(Item::Paused(queue))))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What is left of a life.
fn left(step: &Step, expires_at: Option<UnixMs>) -> Option<u64> {
    expires_at.map(|end| end.saturating_sub(step.now).max(1) as u64)
}

/// Takes what was given, in this order.
pub(super) fn restore(step: &Step, items: &[Item]) -> Result<(), StoreError> {
    for item in items {
        match item {
            Item::Document(put) => documents::put(step, put, true)?,
            Item::Payload(payload) => match payload.due_at {
                Some(due_at) => restore_due(step, payload, due_at)?,
                None => queues::push_back(step, payload.queue, &payload.payload, payload.crashes)?,
            },
            Item::Tally(tally) => tallies::restore(step, tally)?,
            Item::Event { event, .. } => super::events::restore(step, event)?,
            Item::Paused(queue) => queues::pause(step, *queue, true)?,
        }
    }
    Ok(())
}

/// Also one whose time has come waits for its promotion: so it keeps its place among its like.
fn restore_due(step: &Step, payload: &Payload, due_at: UnixMs) -> Result<(), StoreError> {
    step.sql("INSERT INTO due (due_at, queue, payload) VALUES (?1, ?2, ?3)")?.execute(params![
        due_at,
        payload.queue,
        payload.payload
    ])?;
    queues::count(step, Place::Due, 1);
    Ok(())
}
