//! Documents: reading, writing, removing, and the end of their lives.

use rusqlite::{OptionalExtension, params};

use super::{indexes, step::Step};
use crate::store::{Doc, DocKey, Put, StoreError, UnixMs};

/// The documents under these keys, in the same order.
pub(super) fn get(step: &Step, keys: &[DocKey]) -> Result<Vec<Option<Doc>>, StoreError> {
    keys.iter().map(|key| Ok(body(step, key)?.map(|body| Doc { key: key.clone(), body }))).collect()
}

/// The body of a living document.
pub(super) fn body(step: &Step, key: &DocKey) -> Result<Option<Vec<u8>>, StoreError> {
    let mut select = step.sql(
        "SELECT body FROM documents
         WHERE kind = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    Ok(select.query_row(params![key.kind.0, key.id, step.now], |row| row.get(0)).optional()?)
}

/// Writes a document and makes its indexes what the put says. A document whose life has ended but
/// which is not removed yet is simply written over. `absent` says that there is likely none.
pub(super) fn put(step: &Step, put: &Put, absent: bool) -> Result<(), StoreError> {
    let expires_at = put.ttl_ms.map(|ttl_ms| step.after(ttl_ms));
    if absent && insert(step, put, expires_at)? {
        return indexes::enter_all(step, step.last_id(), &put.key.id, &put.indexes);
    }
    match number(step, &put.key)? {
        Some(document) => {
            step.sql("UPDATE documents SET body = ?2, expires_at = ?3 WHERE no = ?1")?
                .execute(params![document, put.body, expires_at])?;
            indexes::stand_in(step, document, &put.key.id, &put.indexes)
        }
        None => {
            insert(step, put, expires_at)?;
            indexes::enter_all(step, step.last_id(), &put.key.id, &put.indexes)
        }
    }
}

/// Whether the document was not there and now is.
fn insert(step: &Step, put: &Put, expires_at: Option<UnixMs>) -> Result<bool, StoreError> {
    let mut insert = step.sql(
        "INSERT INTO documents (kind, id, body, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, id) DO NOTHING",
    )?;
    Ok(insert.execute(params![put.key.kind.0, put.key.id, put.body, expires_at])? == 1)
}

/// Removes a document if it is there.
pub(super) fn delete(step: &Step, key: &DocKey) -> Result<(), StoreError> {
    match number(step, key)? {
        Some(document) => remove(step, document),
        None => Ok(()),
    }
}

/// Removes at most `limit` documents whose life has ended, the longest dead first.
pub(super) fn expire(step: &Step, limit: usize) -> Result<usize, StoreError> {
    let dead: Vec<i64> = step
        .sql("SELECT no FROM documents WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2")?
        .query_map(params![step.now, limit as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for document in &dead {
        remove(step, *document)?;
    }
    Ok(dead.len())
}

/// Whether a document is still stored whose life has ended.
pub(super) fn any_dead(step: &Step) -> Result<bool, StoreError> {
    let mut select = step.sql("SELECT EXISTS (SELECT 1 FROM documents WHERE expires_at <= ?1)")?;
    Ok(select.query_row([step.now], |row| row.get(0))?)
}

fn number(step: &Step, key: &DocKey) -> Result<Option<i64>, StoreError> {
    let mut select = step.sql("SELECT no FROM documents WHERE kind = ?1 AND id = ?2")?;
    Ok(select.query_row(params![key.kind.0, key.id], |row| row.get(0)).optional()?)
}

fn remove(step: &Step, document: i64) -> Result<(), StoreError> {
    indexes::leave_all(step, document)?;
    step.sql("DELETE FROM documents WHERE no = ?1")?.execute([document])?;
    Ok(())
}
