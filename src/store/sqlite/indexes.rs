//! Indexes: which documents stand in them, pages of them, and how many there are.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use super::{documents, step::Step};
use crate::store::{Cursor, Doc, DocKey, DocPage, IndexName, ListQuery, StoreError, UnixMs};

/// Makes a document stand in exactly these indexes. What already is as wanted is not written again:
/// most puts change a body and no index.
pub(super) fn stand_in(
    step: &Step,
    document: i64,
    id: &str,
    wanted: &[(IndexName, UnixMs)],
) -> Result<(), StoreError> {
    let mut wanted = last_said(wanted);
    for entry in entries_of(step, document)? {
        match wanted.get(entry.name.as_str()) {
            Some(at) if *at == entry.at => {
                wanted.remove(entry.name.as_str());
            }
            _ => leave(step, document, entry.index_no)?,
        }
    }
    for (name, at) in wanted {
        enter(step, document, id, name, at)?;
    }
    Ok(())
}

/// Makes a new document stand in these indexes.
pub(super) fn enter_all(
    step: &Step,
    document: i64,
    id: &str,
    wanted: &[(IndexName, UnixMs)],
) -> Result<(), StoreError> {
    last_said(wanted).into_iter().try_for_each(|(name, at)| enter(step, document, id, name, at))
}

/// Of an index that is named twice the last time counts.
fn last_said(wanted: &[(IndexName, UnixMs)]) -> BTreeMap<&str, UnixMs> {
    wanted.iter().map(|(name, at)| (name.as_str(), *at)).collect()
}

/// Takes a document out of every index.
pub(super) fn leave_all(step: &Step, document: i64) -> Result<(), StoreError> {
    for entry in entries_of(step, document)? {
        leave(step, document, entry.index_no)?;
    }
    Ok(())
}

/// How many living documents stand in an index, or `None` while dead ones are still to be removed:
/// only then is the stored number the true one.
pub(super) fn count(step: &Step, index: &IndexName) -> Result<Option<u64>, StoreError> {
    if documents::any_dead(step)? {
        return Ok(None);
    }
    Ok(Some(entries(step, index)?.map_or(0, |(_, entries)| entries as u64)))
}

/// The number of an index that is there, and of its entries as they are counted.
pub(super) fn entries(step: &Step, index: &IndexName) -> Result<Option<(i64, i64)>, StoreError> {
    let mut select = step.sql("SELECT no, entries FROM indexes WHERE name = ?1")?;
    let found: Option<(i64, i64)> =
        select.query_row([index.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.map(|(no, written)| (no, written + step.known.counted_entries(no))))
}

/// One page. It looks at no more entries than asked for, so dead documents make it short, not slow.
pub(super) fn list(step: &Step, query: &ListQuery) -> Result<DocPage, StoreError> {
    // One more than asked for tells whether another page follows.
    let look_at = query.limit as i64 + 1;
    let index = query.index.as_str();
    let after = query.after.as_ref().map(Place::parse).transpose()?;
    // No id comes before the empty one: behind it begins what is older.
    let until = query.until.filter(|_| !query.oldest_first);
    let until = until.map(|at| Place { at: at.saturating_add(1), id: "" });
    let (order, behind) = if query.oldest_first { ("ASC", ">") } else { ("DESC", "<") };
    let mut entries: Vec<Listed> = match after.or(until) {
        None => step
            .sql(&page_sql("", order))?
            .query_map(params![index, look_at], Listed::from_row)?
            .collect::<Result<_, _>>()?,
        Some(place) => step
            .sql(&page_sql(&format!("AND (entry.at, entry.id) {behind} (?3, ?4)"), order))?
            .query_map(params![index, look_at, place.at, place.id], Listed::from_row)?
            .collect::<Result<_, _>>()?,
    };
    let more = entries.len() > query.limit;
    entries.truncate(query.limit);
    let next = entries.last().filter(|_| more).map(|last| Place { at: last.at, id: &last.id }.cursor());
    let docs = entries
        .into_iter()
        .filter(|entry| entry.kind == query.kind.0 && entry.expires_at.is_none_or(|end| end > step.now))
        .map(|entry| Doc { key: DocKey::new(query.kind, entry.id), body: entry.body })
        .collect();
    Ok(DocPage { docs, next })
}

/// An entry as the audit looks at it.
pub(super) struct Standing {
    pub index_no: i64,
    pub id: String,
    pub document: i64,
    /// Whether the document is there.
    pub exists: bool,
}

/// At most `limit` entries of an index, newest first, whether or not their documents are there.
pub(super) fn documents_of(
    step: &Step,
    index: &IndexName,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<(Vec<Standing>, Option<Cursor>), StoreError> {
    let place = after.map(Place::parse).transpose()?.unwrap_or(Place { at: UnixMs::MAX, id: "\u{10ffff}" });
    let entries: Vec<(UnixMs, Standing)> = step
        .sql(
            "SELECT entry.at, entry.index_no, entry.id, entry.document, document.no IS NOT NULL
             FROM index_entries AS entry LEFT JOIN documents AS document ON document.no = entry.document
             WHERE entry.index_no = (SELECT no FROM indexes WHERE name = ?1)
               AND (entry.at, entry.id) < (?3, ?4)
             ORDER BY entry.at DESC, entry.id DESC LIMIT ?2",
        )?
        .query_map(params![index.as_str(), limit as i64, place.at, place.id], |row| {
            let standing = Standing {
                index_no: row.get(1)?,
                id: row.get(2)?,
                document: row.get(3)?,
                exists: row.get(4)?,
            };
            Ok((row.get(0)?, standing))
        })?
        .collect::<Result<_, _>>()?;
    let last = entries.last().filter(|_| entries.len() == limit);
    let next = last.map(|(at, last)| Place { at: *at, id: &last.id }.cursor());
    Ok((entries.into_iter().map(|(_, entry)| entry).collect(), next))
}

fn page_sql(place: &str, order: &str) -> String {
    format!(
        "SELECT entry.at, entry.id, document.kind, document.body, document.expires_at
         FROM index_entries AS entry JOIN documents AS document ON document.no = entry.document
         WHERE entry.index_no = (SELECT no FROM indexes WHERE name = ?1) {place}
         ORDER BY entry.at {order}, entry.id {order} LIMIT ?2"
    )
}

/// An entry with its document.
struct Listed {
    at: UnixMs,
    id: String,
    kind: String,
    body: Vec<u8>,
    expires_at: Option<UnixMs>,
}

impl Listed {
    fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            at: row.get(0)?,
            id: row.get(1)?,
            kind: row.get(2)?,
            body: row.get(3)?,
            expires_at: row.get(4)?,
        })
    }
}

/// A place in an index: behind this entry, be it still there or not.
struct Place<'a> {
    at: UnixMs,
    id: &'a str,
}

impl<'a> Place<'a> {
    fn cursor(&self) -> Cursor {
        Cursor(format!("{}:{}", self.at, self.id))
    }

    fn parse(cursor: &'a Cursor) -> Result<Self, StoreError> {
        cursor
            .0
            .split_once(':')
            .and_then(|(at, id)| Some(Self { at: at.parse().ok()?, id }))
            .ok_or_else(foreign_cursor)
    }
}

/// A cursor that no engine, or another one, has made.
pub(super) fn foreign_cursor() -> StoreError {
    StoreError::Invalid("the cursor is not one of this store".into())
}

/// The indexes that a document stands in, with its times there.
pub(super) fn standing_of(step: &Step, document: i64) -> Result<Vec<(String, UnixMs)>, StoreError> {
    Ok(entries_of(step, document)?.into_iter().map(|entry| (entry.name, entry.at)).collect())
}

/// One index that a document stands in.
struct Entry {
    index_no: i64,
    name: String,
    at: UnixMs,
}

fn entries_of(step: &Step, document: i64) -> Result<Vec<Entry>, StoreError> {
    let mut select = step.sql(
        "SELECT entry.index_no, indexes.name, entry.at
         FROM index_entries AS entry JOIN indexes ON indexes.no = entry.index_no
         WHERE entry.document = ?1",
    )?;
    let entries = select.query_map([document], |row| {
        Ok(Entry { index_no: row.get(0)?, name: row.get(1)?, at: row.get(2)? })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

fn enter(step: &Step, document: i64, id: &str, name: &str, at: UnixMs) -> Result<(), StoreError> {
    let index_no = number(step, name)?;
    step.sql("INSERT INTO index_entries (index_no, at, id, document) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![index_no, at, id, document])?;
    step.known.count_entries(index_no, 1);
    Ok(())
}

/// The number of an index, which is made if it is not there. Its entries are counted by [`Known`].
///
/// [`Known`]: super::known::Known
fn number(step: &Step, name: &str) -> Result<i64, StoreError> {
    if let Some(no) = step.known.index(name) {
        return Ok(no);
    }
    let found =
        step.sql("SELECT no FROM indexes WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()?;
    let no = match found {
        Some(no) => no,
        None => {
            step.sql("INSERT INTO indexes (name, entries) VALUES (?1, 0)")?.execute([name])?;
            step.last_id()
        }
    };
    step.known.note_index(name, no);
    Ok(no)
}

/// Takes a document out of one index.
pub(super) fn leave(step: &Step, document: i64, index_no: i64) -> Result<(), StoreError> {
    step.sql("DELETE FROM index_entries WHERE document = ?1 AND index_no = ?2")?
        .execute([document, index_no])?;
    step.known.count_entries(index_no, -1);
    Ok(())
}
