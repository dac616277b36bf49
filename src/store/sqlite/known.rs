//! What the writer knows without asking the tables: the hot path takes no statement for what nobody uses.
//!
//! It is true of the transaction under way. What a step or a group that was undone has changed is put
//! back or forgotten, and read again when next needed.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
};

use rusqlite::Connection;

use super::queues::PLACES;
use crate::store::{Queue, StoreError};

/// Kept by the writer's thread over all steps; a reader begins with one that knows nothing.
#[derive(Default)]
pub(super) struct Known {
    paused: Cell<Option<[bool; 3]>>,
    claims: Cell<Option<bool>>,
    /// By how much the numbers of `depths` have changed since they were written.
    counted: Cell<[i64; PLACES]>,
    /// Indexes that this group has to do with, by name. Forgotten with its commit: only as long as the
    /// transaction lasts can no foreign hand remove one.
    indexes: RefCell<HashMap<String, i64>>,
    /// By how much the numbers of entries have changed, one after another: the group adds them up.
    entries: RefCell<Vec<(i64, i64)>>,
}

/// What was counted before a step, so that the step can be undone.
pub(super) struct Mark {
    counted: [i64; PLACES],
    entries: usize,
}

impl Known {
    /// Which queues are paused, by rank.
    pub fn paused(&self, conn: &Connection) -> Result<[bool; 3], StoreError> {
        if let Some(paused) = self.paused.get() {
            return Ok(paused);
        }
        let mut paused = [false; 3];
        let mut select = conn.prepare_cached("SELECT queue FROM paused")?;
        for queue in select.query_map([], |row| row.get::<_, Queue>(0))? {
            paused[usize::from(queue?.rank())] = true;
        }
        self.paused.set(Some(paused));
        Ok(paused)
    }

    /// Whether anything may be claimed or parked. It may say so for a while after the last one has gone.
    pub fn claims(&self, conn: &Connection) -> Result<bool, StoreError> {
        if let Some(claims) = self.claims.get() {
            return Ok(claims);
        }
        let claims = conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM claims)")?
            .query_row([], |row| row.get::<_, bool>(0))?;
        self.claims.set(Some(claims));
        Ok(claims)
    }

    /// A queue was paused or goes on.
    pub fn forget_paused(&self) {
        self.paused.set(None);
    }

    /// Something is claimed or parked from now on.
    pub fn note_claim(&self) {
        self.claims.set(Some(true));
    }

    /// To be looked up again: the last claim may have gone.
    pub fn forget_claims(&self) {
        self.claims.set(None);
    }

    /// Counts payloads that came to a place or left it.
    pub fn count(&self, place: usize, by: i64) {
        let mut counted = self.counted.get();
        counted[place] += by;
        self.counted.set(counted);
    }

    /// What was counted and is not in `depths` yet.
    pub fn counted(&self) -> [i64; PLACES] {
        self.counted.get()
    }

    /// The number of an index, if this group had to do with it.
    pub fn index(&self, name: &str) -> Option<i64> {
        self.indexes.borrow().get(name).copied()
    }

    /// An index is there and has this number.
    pub fn note_index(&self, name: &str, no: i64) {
        self.indexes.borrow_mut().insert(name.to_owned(), no);
    }

    /// Counts entries that came to an index or left it.
    pub fn count_entries(&self, index_no: i64, by: i64) {
        self.entries.borrow_mut().push((index_no, by));
    }

    /// What was counted of an index and is not in `indexes` yet.
    pub fn counted_entries(&self, index_no: i64) -> i64 {
        self.entries.borrow().iter().filter(|(no, _)| *no == index_no).map(|(_, by)| by).sum()
    }

    /// To be called before a step that may have to be undone.
    pub fn mark(&self) -> Mark {
        Mark { counted: self.counted.get(), entries: self.entries.borrow().len() }
    }

    /// A step was undone: only what was counted before it still is.
    pub fn undo_to(&self, mark: &Mark) {
        self.paused.set(None);
        self.claims.set(None);
        self.counted.set(mark.counted);
        self.indexes.borrow_mut().clear();
        self.entries.borrow_mut().truncate(mark.entries);
    }

    /// A group was undone.
    pub fn undo_all(&self) {
        self.undo_to(&Mark { counted: Default::default(), entries: 0 });
    }

    /// Writes what was counted into `depths` and `indexes`, once for all steps of a group.
    pub fn write_counted(&self, conn: &Connection) -> Result<(), StoreError> {
        let mut entries: BTreeMap<i64, i64> = BTreeMap::new();
        for (index_no, by) in self.entries.borrow_mut().drain(..) {
            *entries.entry(index_no).or_default() += by;
        }
        for (index_no, by) in entries {
            conn.prepare_cached("UPDATE indexes SET entries = entries + ?2 WHERE no = ?1")?
                .execute([index_no, by])?;
            if by <= 0 {
                // Narrow indexes come and go with what they are named after; an empty one leaves no row behind.
                conn.prepare_cached("DELETE FROM indexes WHERE no = ?1 AND entries = 0")?
                    .execute([index_no])?;
            }
        }
        self.indexes.borrow_mut().clear();
        let counted = self.counted.replace(Default::default());
        for (place, by) in counted.into_iter().enumerate().filter(|(_, by)| *by != 0) {
            conn.prepare_cached("UPDATE depths SET amount = amount + ?2 WHERE place = ?1")?
                .execute([place as i64, by])?;
        }
        Ok(())
    }
}
