//! What a process remembers of keys for a moment, so that not every request asks the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::Key;

/// How long what was read counts, in milliseconds: so long may another node take to notice a revocation.
const FRESH_MS: i64 = 3_000;
/// How many keys that are there, and how many that are not, are remembered.
const MOST: usize = 1_024;
/// How often the use of a key is noted, in milliseconds.
const USE_MS: i64 = 60_000;

/// Keys by id, those that are not there apart: who guesses ids pushes only other guesses out.
#[derive(Default)]
pub(super) struct Known(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    there: Table<Arc<Key>>,
    missing: Table<()>,
    /// The id of the newest key of a name.
    names: Table<Option<String>>,
    /// When the use of a key was last noted by this process.
    noted: Table<()>,
}

/// A bounded map with the time of each entry, by the clock of the services.
struct Table<T>(HashMap<String, (i64, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Table<T> {
    /// What stands there, unless it is older than that. A clock that was put back makes everything old.
    fn get(&self, id: &str, now: i64, life: i64) -> Option<T> {
        let (at, value) = self.0.get(id)?;
        (0..life).contains(&(now - at)).then(|| value.clone())
    }

    /// Whether something newer stands there. What lies far ahead is of a clock that was put back.
    fn has_later(&self, id: &str, now: i64) -> bool {
        self.0.get(id).is_some_and(|(at, _)| (1..FRESH_MS).contains(&(at - now)))
    }

    fn put(&mut self, id: &str, value: T, now: i64, life: i64) {
        if self.0.len() >= MOST && !self.0.contains_key(id) {
            self.0.retain(|_, (at, _)| (0..life).contains(&(now - *at)));
            if self.0.len() >= MOST {
                let oldest = self.0.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| id.clone());
                self.0.remove(&oldest.unwrap_or_default());
            }
        }
        self.0.insert(id.to_owned(), (now, value));
    }
}

impl Known {
    /// What was read of a key a moment ago: `Some(None)` when it was not there.
    pub(super) fn get(&self, id: &str, now: i64) -> Option<Option<Arc<Key>>> {
        let tables = self.lock();
        let there = tables.there.get(id, now, FRESH_MS).map(Some);
        there.or_else(|| tables.missing.get(id, now, FRESH_MS).map(|()| None))
    }

    /// Remembers what was read, the reading begun at this time. What was read later counts more.
    pub(super) fn put(&self, id: &str, found: Option<Arc<Key>>, now: i64) {
        let mut tables = self.lock();
        if tables.there.has_later(id, now) || tables.missing.has_later(id, now) {
            return;
        }
        // A revoked key is never given back: what says otherwise was read before.
        let is_revoked = |key: &Arc<Key>| key.revoked_at.is_some();
        if found.as_ref().is_some_and(|key| !is_revoked(key))
            && tables.there.get(id, now, FRESH_MS).as_ref().is_some_and(is_revoked)
        {
            return;
        }
        match found {
            Some(key) => {
                tables.missing.0.remove(id);
                tables.there.put(id, key, now, FRESH_MS);
            }
            None => {
                tables.there.0.remove(id);
                tables.missing.put(id, (), now, FRESH_MS);
            }
        }
    }

    /// Which key a name was read to have a moment ago.
    pub(super) fn named(&self, name: &str, now: i64) -> Option<Option<String>> {
        self.lock().names.get(name, now, FRESH_MS)
    }

    pub(super) fn put_name(&self, name: &str, id: Option<String>, now: i64) {
        self.lock().names.put(name, id, now, FRESH_MS);
    }

    /// Whether the use of a key is to be noted now; then it counts as noted.
    pub(super) fn is_to_be_noted(&self, id: &str, now: i64) -> bool {
        let mut tables = self.lock();
        let due = tables.noted.get(id, now, USE_MS).is_none();
        if due {
            tables.noted.put(id, (), now, USE_MS);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Scope, Timestamp};

    fn key(id: &str) -> Arc<Key> {
        Arc::new(Key {
            id: id.to_owned(),
            name: id.to_owned(),
            scope: Scope::Read,
            digest: String::new(),
            created_at: Timestamp::default(),
            created_by: "default".to_owned(),
            expires_at: None,
            requests_per_minute: None,
            budget: None,
            revoked_at: None,
            request_digest: None,
        })
    }

    #[test]
    fn what_was_read_counts_for_a_moment() {
        let known = Known::default();
        known.put("a", Some(key("a")), 1_000);
        known.put("b", None, 1_000);
        assert!(matches!(known.get("a", 3_999), Some(Some(_))));
        assert!(matches!(known.get("b", 3_999), Some(None)));
        for late in [4_000, 999, 0] {
            assert!(known.get("a", late).is_none() && known.get("b", late).is_none(), "{late}");
        }
        known.put("a", None, 2_000);
        assert!(matches!(known.get("a", 2_001), Some(None)), "the newest counts");
        known.put("b", Some(key("b")), 2_000);
        assert!(matches!(known.get("b", 2_001), Some(Some(_))));
        known.put("b", None, 1_999);
        assert!(matches!(known.get("b", 2_001), Some(Some(_))), "what was read earlier came late");
    }

    #[test]
    fn guesses_take_bounded_room_and_no_room_of_keys() {
        let known = Known::default();
        known.put("a", Some(key("a")), 0);
        for n in 0..10_000 {
            known.put(&format!("guess-{n}"), None, 1);
            known.is_to_be_noted(&format!("key-{n}"), 1);
        }
        assert!(matches!(known.get("a", 2), Some(Some(_))));
        let tables = known.lock();
        assert_eq!((tables.missing.0.len(), tables.noted.0.len()), (MOST, MOST));
    }

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let known = Known::default();
        let noted: Vec<bool> =
            [0, 1, 59_999, 60_000, 60_001].iter().map(|now| known.is_to_be_noted("a", *now)).collect();
        assert_eq!(noted, [true, false, false, true, false]);
        assert!(known.is_to_be_noted("b", 1));
    }
}
