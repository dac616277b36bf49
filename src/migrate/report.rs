//! What a migration did or would do, in numbers and sentence by sentence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Migration;

/// The most changes, and the most keys left alone, that are told one by one.
const MOST_TOLD: usize = 1_000;
/// The longest name of a key that is told.
const LONGEST_NAME: usize = 200;

/// The state of a database and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub engine: &'static str,
    /// The version of the database; after `apply` the one it has come to.
    pub version: u32,
    /// The newest version that this program knows.
    pub known: u32,
    /// The lowest version that a program must know to use the database.
    pub min_reader: u32,
    /// True when nothing was changed.
    pub checked: bool,
    pub migrations: Vec<MigrationReport>,
}

impl Report {
    /// Whether there is something to do.
    pub fn is_pending(&self) -> bool {
        self.migrations.iter().any(|migration| migration.state == State::Pending)
    }
}

/// Where a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It would make the changes that are told.
    Pending,
    /// It was made by this call.
    Applied,
    /// It had been made before.
    Earlier,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    pub number: u32,
    pub name: String,
    pub state: State,
    /// Who made it and when; null while it is pending.
    pub applied: Option<Applied>,
    /// What it does or did; null where it was made before.
    pub work: Option<Work>,
}

impl MigrationReport {
    pub(super) fn pending(migration: &Migration, work: Work) -> Self {
        Self::new(migration, State::Pending, None, Some(work))
    }

    pub(super) fn applied(migration: &Migration, work: Work, applied: Applied) -> Self {
        Self::new(migration, State::Applied, Some(applied), Some(work))
    }

    pub(super) fn earlier(migration: &Migration, applied: Option<Applied>) -> Self {
        Self::new(migration, State::Earlier, applied, None)
    }

    fn new(migration: &Migration, state: State, applied: Option<Applied>, work: Option<Work>) -> Self {
        Self { number: migration.number, name: migration.name.clone(), state, applied, work }
    }
}

/// Who made a migration, when, and how much it changed. Stored beside the version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The program and its process.
    pub by: String,
    /// By Redis' clock, ISO 8601.
    pub at: String,
    pub took_ms: u64,
    pub changes: BTreeMap<String, u64>,
    /// How many keys were left as they are.
    pub left: u64,
}

/// What is changed: the words of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An agent that was in no index, or not in all of its own, is in all of them.
    AgentIndexed,
    /// An agent stored as a hash became a document; the hash is kept.
    AgentConverted,
    WorkflowIndexed,
    /// A workflow that was said to run has got its results, its lost jobs again, or its end.
    WorkflowSettled,
    ResultIndexed,
    UploadIndexed,
    /// An index entry without a document was removed.
    EntryRemoved,
    /// A job came from a list that nobody takes from into a queue.
    JobMoved,
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentIndexed => "agent_indexed",
            Self::AgentConverted => "agent_converted",
            Self::WorkflowIndexed => "workflow_indexed",
            Self::WorkflowSettled => "workflow_settled",
            Self::ResultIndexed => "result_indexed",
            Self::UploadIndexed => "upload_indexed",
            Self::EntryRemoved => "entry_removed",
            Self::JobMoved => "job_moved",
        }
    }
}

/// A key that is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    pub key: String,
    pub why: String,
}

/// What a migration changes, and what it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// How many keys were looked at.
    pub looked_at: u64,
    /// How many changes of each kind.
    pub changes: BTreeMap<&'static str, u64>,
    /// The first 1,000 changes, a sentence each.
    pub told: Vec<String>,
    /// How many keys that belong to us by their names are left as they are.
    pub left_count: u64,
    /// The first 1,000 of them.
    pub left: Vec<Left>,
    /// The zone of times that say none, by the documents whose index knows better: `+02:00`. Null: UTC.
    pub zone: Option<String>,
    /// What is to be looked at by a person.
    pub warnings: Vec<String>,
}

impl Work {
    pub(super) fn change(&mut self, change: Change, told: impl FnOnce() -> String) {
        *self.changes.entry(change.as_str()).or_default() += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(printable(&told()));
        }
    }

    pub(super) fn leave(&mut self, key: &str, why: impl Into<String>) {
        self.left_count += 1;
        if self.left.len() < MOST_TOLD {
            self.left.push(Left { key: printable(key), why: printable(&why.into()) });
        }
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// In one line.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = self
            .changes
            .iter()
            .map(|(what, number)| format!("{number} {}", what.replace('_', " ")))
            .collect();
        if parts.is_empty() {
            parts.push("nothing to change".to_owned());
        }
        if self.left_count > 0 {
            parts.push(format!("{} keys left as they are", self.left_count));
        }
        parts.join(", ")
    }
}

/// A text of a stranger's, fit for a terminal and not too long.
fn printable(text: &str) -> String {
    let safe = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut safe: String = safe.take(2 * LONGEST_NAME).collect();
    if text.chars().nth(2 * LONGEST_NAME).is_some() {
        safe.push('…');
    }
    safe
}
