//! Documents get into the indexes that they belong to. Their bodies and their lives stay as they are.

use futures_util::future::join_all;
use serde_json::Value;

use super::{Adoption, LISTS, Made, look::Found};
use crate::{
    migrate::{MigrateError, report::Change as Word},
    model::{Agent, JobResult, Workflow, WorkflowStatus},
    service::records,
    store::{
        Change, DocKey, IndexName, Kind, MAX_BATCH, MAX_DOCUMENT_BYTES, Put, Queue, Revision, StoreError,
        UnixMs,
    },
};

/// What the earlier system stored, and is adopted.
const KINDS: [Kind; 4] = [records::AGENT, records::WORKFLOW, records::RESULT, records::UPLOAD];
/// How often a document that others change at the same time is looked at again.
const TRIES: usize = 3;
/// Where an upload says when it came, the word of the earlier system first.
const UPLOAD_TIMES: [&str; 4] = ["uploaded_at", "created_at", "timestamp", "uploaded"];

/// What is to be done about a document.
enum Need {
    /// It stands where it belongs.
    Nothing,
    Index(Word, Put),
    Leave(String),
}

impl Adoption<'_> {
    /// Walks through all keys once, and takes notes of what the later steps need.
    pub(super) async fn adopt_documents(&mut self) -> Result<(), MigrateError> {
        let pattern = format!("{}*", escaped(self.raw.prefix()));
        let mut cursor = "0".to_owned();
        loop {
            self.may_go_on()?;
            let (next, keys) = self.scan(&cursor, &pattern).await?;
            self.work.looked_at += keys.len() as u64;
            let documents: Vec<DocKey> = keys.iter().filter_map(|key| self.sort(key)).collect();
            for piece in documents.chunks(MAX_BATCH) {
                self.adopt_piece(piece.to_vec()).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The document that a key is of; notes a list of jobs.
    fn sort(&mut self, key: &[u8]) -> Option<DocKey> {
        let name = key.strip_prefix(self.raw.prefix().as_bytes())?;
        let kind = KINDS.into_iter().find(|kind| {
            name.strip_prefix(kind.0.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'))
        });
        let Ok(name) = std::str::from_utf8(name) else {
            if kind.is_some() {
                self.work.leave(&String::from_utf8_lossy(name), "its name is not UTF-8");
            }
            return None;
        };
        if let Some(kind) = kind {
            return Some(DocKey::new(kind, &name[kind.0.len() + 1..]));
        }
        if name.starts_with(LISTS) && !Queue::ALL.iter().any(|queue| queue.name() == name) {
            self.lists.insert(name.to_owned());
        }
        None
    }

    async fn adopt_piece(&mut self, mut keys: Vec<DocKey>) -> Result<(), MigrateError> {
        for _ in 0..TRIES {
            let mut puts = Vec::new();
            for found in self.look(&keys).await? {
                if found.kind == "hash" && found.key.kind == records::AGENT {
                    self.convert_agent(&found.key).await?;
                    continue;
                }
                match self.need(&found) {
                    Need::Nothing => {}
                    Need::Leave(why) => self.work.leave(&found.key.to_string(), why),
                    Need::Index(word, put) => puts.push((word, put)),
                }
            }
            let changes = puts.iter().map(|(_, put)| {
                let revision = Revision::of(&put.body);
                self.make(Change::new().expect(put.key.clone(), Some(revision)).put(put.clone()))
            });
            let made: Vec<Result<Made, StoreError>> = join_all(changes).await;
            keys.clear();
            for ((word, put), made) in puts.into_iter().zip(made) {
                match made? {
                    Made::Yes => self.work.change(word, || told(&put)),
                    Made::Changed => keys.push(put.key),
                    Made::Misfit(why) => self.work.leave(&put.key.to_string(), why),
                }
            }
            if keys.is_empty() {
                return Ok(());
            }
        }
        for key in keys {
            self.work.leave(&key.to_string(), "it kept being changed by others; what changes it indexes it");
        }
        Ok(())
    }

    fn need(&mut self, found: &Found) -> Need {
        if found.kind != "string" {
            return Need::Leave(format!("it is a {}, not a document", found.kind));
        }
        let Some(body) = &found.body else {
            return Need::Leave(format!("it has {} bytes, the most is {MAX_DOCUMENT_BYTES}", found.bytes));
        };
        let value: Value = match serde_json::from_slice(body) {
            Ok(value @ Value::Object(_)) => value,
            Ok(_) => return Need::Leave("it is not a JSON object".to_owned()),
            Err(error) => return Need::Leave(format!("it is not JSON: {error}")),
        };
        let need = match found.key.kind {
            records::AGENT => self.agent(found, &value),
            records::WORKFLOW => self.workflow(found, &value),
            records::RESULT => self.result(found, &value),
            _ => self.upload(found, &value),
        };
        need.unwrap_or_else(|error| Need::Leave(format!("it is no {}: {error}", found.key.kind.0)))
    }

    fn agent(&self, found: &Found, value: &Value) -> Result<Need, serde_json::Error> {
        let agent: Agent = serde::Deserialize::deserialize(value)?;
        if found.score.is_some() {
            return Ok(Need::Nothing);
        }
        let at = self.zone.instant(text(value, "created_at"), agent.created_at).timestamp_millis();
        Ok(Need::Index(Word::AgentIndexed, put(found).indexed(at)))
    }

    fn workflow(&mut self, found: &Found, value: &Value) -> Result<Need, serde_json::Error> {
        let workflow: Workflow = serde::Deserialize::deserialize(value)?;
        if workflow.status == WorkflowStatus::Running {
            self.running.insert(found.key.id.clone());
        }
        if found.score.is_some() && found.narrower {
            return Ok(Need::Nothing);
        }
        let at = self.zone.instant(text(value, "created_at"), workflow.created_at).timestamp_millis();
        let at = place(found, at);
        let put = put(found).indexed(at).index(records::workflows_by_status(workflow.status), at);
        Ok(Need::Index(Word::WorkflowIndexed, put))
    }

    fn result(&self, found: &Found, value: &Value) -> Result<Need, serde_json::Error> {
        let result: JobResult = serde::Deserialize::deserialize(value)?;
        if found.score.is_some() && found.narrower {
            return Ok(Need::Nothing);
        }
        let at = self.zone.instant(text(value, "timestamp"), result.timestamp).timestamp_millis();
        let at = place(found, at);
        let put = records::index_result(put(found), &result, at);
        Ok(Need::Index(Word::ResultIndexed, put))
    }

    /// An upload of whichever form: what it consists of is for those to judge who show it.
    fn upload(&self, found: &Found, value: &Value) -> Result<Need, serde_json::Error> {
        if found.score.is_some() {
            return Ok(Need::Nothing);
        }
        let said = UPLOAD_TIMES.iter().find_map(|field| {
            let time = value.get(field)?;
            match time.as_f64() {
                Some(seconds) => chrono::DateTime::from_timestamp_millis((seconds * 1000.0) as i64),
                None => self.zone.read(time.as_str()?),
            }
        });
        // Without a time it is older than everything that says one.
        let at = said.map_or(0, |time| time.timestamp_millis());
        Ok(Need::Index(Word::UploadIndexed, put(found).indexed(at)))
    }
}

/// The document as it is, for as long as it lives on.
fn put(found: &Found) -> Put {
    let mut put = Put::raw(found.key.clone(), found.body.clone().unwrap_or_default());
    put.ttl_ms = found.ttl_ms.map(|left| left.max(1));
    put
}

/// Where it stands already, else the time that it says.
fn place(found: &Found, said: UnixMs) -> UnixMs {
    match found.score {
        Some(seconds) if seconds.is_finite() => (seconds * 1000.0).round() as UnixMs,
        _ => said,
    }
}

fn told(put: &Put) -> String {
    let indexes: Vec<&str> = put.indexes.iter().map(|(index, _)| IndexName::as_str(index)).collect();
    format!("{} into {}", put.key, indexes.join(", "))
}

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field)?.as_str()
}

/// A prefix as part of a pattern: what means something there means itself.
fn escaped(prefix: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    prefix.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(escaped("{pf}:"), "{pf}:");
        assert_eq!(escaped("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }
}
