//! Named keys, sessions that were ended, and the audit log.

use std::time::Duration;

use super::{AUDIT_ENTRY, DAY_MS, ENDED_SESSION, KEY, KEY_NAME, KEY_USE, SESSION_SECRET, millis};
use crate::{
    model::{AuditEntry, Key},
    service::sessions::SessionSecret,
    store::{DocKey, IndexName, Put, UnixMs},
};

const REVOKED_KEY_TTL_MS: u64 = 180 * DAY_MS;
const KEY_USE_TTL_MS: u64 = 400 * DAY_MS;

pub fn ended_session_key(id: &str) -> DocKey {
    DocKey::new(ENDED_SESSION, id)
}

pub fn put_ended_session(id: &str, left: Duration) -> Put {
    Put::raw(ended_session_key(id), "{}").ttl_ms(millis(left))
}

pub fn session_secret_key() -> DocKey {
    DocKey::new(SESSION_SECRET, "current")
}

pub fn put_session_secret(secret: &SessionSecret) -> Put {
    Put::json(session_secret_key(), secret)
}

pub fn key_key(id: &str) -> DocKey {
    DocKey::new(KEY, id)
}

pub fn key_name_key(name: &str) -> DocKey {
    DocKey::new(KEY_NAME, name)
}

pub fn key_use_key(id: &str) -> DocKey {
    DocKey::new(KEY_USE, id)
}

/// A key, and who has its name: both live as long.
pub fn put_key(key: &Key) -> [Put; 2] {
    let at = key.created_at.timestamp_millis();
    let puts = [
        Put::json(key_key(&key.id), key).indexed(at),
        Put::json(key_name_key(&key.name), &serde_json::json!({"id": key.id})),
    ];
    if key.revoked_at.is_some() { puts.map(|put| put.ttl_ms(REVOKED_KEY_TTL_MS)) } else { puts }
}

/// When a key was used: milliseconds since the epoch.
pub fn put_key_use(id: &str, at: UnixMs) -> Put {
    Put::json(key_use_key(id), &serde_json::json!({"last_used": at})).ttl_ms(KEY_USE_TTL_MS)
}

pub fn audit_entries() -> IndexName {
    IndexName::all(AUDIT_ENTRY)
}

pub fn audit_entries_by_key(name: &str) -> IndexName {
    IndexName::by(AUDIT_ENTRY, "key", name)
}

pub fn put_audit_entry(entry: &AuditEntry, kept_for: Duration) -> Put {
    let at = entry.at.timestamp_millis();
    let put =
        Put::json(DocKey::new(AUDIT_ENTRY, &entry.audit_id), entry).ttl_ms(millis(kept_for)).indexed(at);
    match &entry.key {
        Some(key) => put.index(audit_entries_by_key(key), at),
        None => put,
    }
}
