//! Index entries whose documents are gone: deleting an agent left its entry behind, and nothing ever took
//! uploads out of theirs.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{Adoption, Made};
use crate::{
    migrate::{MigrateError, report::Change as Word},
    service::records,
    store::{
        Change, DocKey, IndexName,
        redis::{Lua, Reply},
    },
};

static ENTRIES: LazyLock<Lua> =
    LazyLock::new(|| Lua::reading(include_str!("../../../migrations-redis/0001_adopt_legacy/entries.lua")));

impl Adoption<'_> {
    /// Walks through the main indexes of what the earlier system stored.
    pub(super) async fn remove_entries(&mut self) -> Result<(), MigrateError> {
        for kind in [records::AGENT, records::WORKFLOW, records::RESULT, records::UPLOAD] {
            let index = IndexName::all(kind);
            let key = self.raw.index(&index);
            let document = self.raw.key(&format!("{}:", kind.0));
            // A walk may come to an entry twice.
            let mut seen = BTreeSet::new();
            let mut cursor = "0".to_owned();
            loop {
                self.may_go_on()?;
                let value = self
                    .raw
                    .run(&ENTRIES, &[&key], |command| _ = command.arg(&document).arg(&cursor))
                    .await?;
                let mut reply = Reply::of("an index", value)?;
                if reply.is_empty() {
                    self.work.leave(index.as_str(), "it is no sorted set, so nothing can stand in it");
                    break;
                }
                cursor = reply.text()?;
                self.work.looked_at += reply.number::<u64>()?;
                while !reply.is_empty() {
                    let Ok(id) = String::from_utf8(reply.bytes()?) else {
                        self.work.leave(index.as_str(), "an entry without a document is not UTF-8");
                        continue;
                    };
                    if !seen.insert(id.clone()) {
                        continue;
                    }
                    let key = DocKey::new(kind, id);
                    // A delete of what is not there takes it out of its indexes.
                    let change = Change::new().expect(key.clone(), None).delete(key.clone());
                    match self.make(change).await? {
                        Made::Yes => self.work.change(Word::EntryRemoved, || {
                            format!("the entry of {key}, which is gone, out of {}", index.as_str())
                        }),
                        Made::Changed => {}
                        Made::Misfit(why) => self.work.leave(&key.to_string(), why),
                    }
                }
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }
}
