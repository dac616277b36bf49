//! Agents that a late version of the earlier system stored as hashes.
//!
//! The hash is kept whole as `pf:adopted:agent:{name}`, for ever: it may have fields that nobody knows.

use std::{collections::BTreeMap, sync::LazyLock};

use deadpool_redis::redis::Value;

use super::{Adoption, zone::Zone};
use crate::{
    migrate::{MigrateError, report::Change as Word},
    model::{Agent, NewAgent, Timestamp, iso},
    service::records,
    store::{
        DocKey, IndexName, Store,
        redis::{Lua, Reply},
    },
};

static HASH: LazyLock<Lua> =
    LazyLock::new(|| Lua::reading(include_str!("../../../migrations-redis/0001_adopt_legacy/hash.lua")));
static CONVERT: LazyLock<Lua> = LazyLock::new(|| {
    Lua::writing(include_str!("../../../migrations-redis/0001_adopt_legacy/convert_agent.lua"))
});

/// A hash beyond these is no agent.
const MAX_FIELDS: usize = 64;
const MAX_VALUE_BYTES: usize = 64 << 10;

impl Adoption<'_> {
    /// Turns the hash under this key into a document, if it is an agent.
    pub(super) async fn convert_agent(&mut self, key: &DocKey) -> Result<(), MigrateError> {
        let name = self.raw.key(&key.to_string());
        let value =
            self.raw.run(&HASH, &[&name], |command| _ = command.arg(MAX_FIELDS).arg(MAX_VALUE_BYTES)).await?;
        let mut reply = Reply::of("a hash", value)?;
        let mut fields = Vec::with_capacity(reply.len());
        while !reply.is_empty() {
            fields.push(reply.bytes()?);
        }
        if fields.is_empty() {
            self.work.leave(&key.to_string(), "it is a hash that is too large for an agent");
            return Ok(());
        }
        let now = chrono::DateTime::from_timestamp_millis(self.store.now().await?).unwrap_or_default();
        let Some(agent) = agent_of(self.zone, &key.id, &fields, now) else {
            self.work.leave(&key.to_string(), "it is a hash without the role of an agent, or not of text");
            return Ok(());
        };
        let kept = format!("pf:adopted:{key}");
        if self.applies() {
            let body = serde_json::to_vec(&agent).expect("an agent has only plain fields");
            let keys = [name, self.raw.key(&kept), self.raw.index(&IndexName::all(records::AGENT))];
            let converted = self
                .raw
                .run(&CONVERT, &keys, |command| {
                    let score = agent.created_at.timestamp_millis() as f64 / 1000.0;
                    command.arg(&body).arg(score.to_string()).arg(&key.id);
                    for field in &fields {
                        command.arg(field);
                    }
                })
                .await?;
            if converted != Value::Int(1) {
                self.work.leave(
                    &key.to_string(),
                    format!("it is a hash that others changed at the same time, or {kept} is taken"),
                );
                return Ok(());
            }
        }
        self.work.change(Word::AgentConverted, || format!("{key} from a hash, which is kept as {kept}"));
        Ok(())
    }
}

/// The agent that a hash describes: at least its role is said.
pub(super) fn agent_of(zone: Zone, name: &str, fields: &[Vec<u8>], now: Timestamp) -> Option<Agent> {
    let texts: Vec<&str> =
        fields.iter().map(|field| std::str::from_utf8(field)).collect::<Result<_, _>>().ok()?;
    let fields: BTreeMap<&str, &str> = texts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let said = |field: &str| fields.get(field).copied().filter(|text| !text.is_empty() && *text != "None");
    let time = |field: &str| {
        let text = said(field)?;
        match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => {
                chrono::DateTime::from_timestamp_millis((seconds * 1000.0) as i64).filter(iso::fits)
            }
            _ => zone.read(text),
        }
    };
    let new = NewAgent {
        name: name.to_owned(),
        role: (*fields.get("role")?).to_owned(),
        description: said("description").map(str::to_owned),
        skills: said("skills").map(skills).unwrap_or_default(),
        model: said("model").map_or_else(|| NewAgent::default().model, str::to_owned),
        ..NewAgent::default()
    };
    let mut agent = Agent::register(new, time("created_at").unwrap_or(now));
    agent.task_count = said("task_count").and_then(|count| count.parse().ok()).unwrap_or(0);
    agent.last_assigned = time("last_assigned");
    Some(agent)
}

/// A list as JSON, or with commas between.
fn skills(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        text.split(',').map(|skill| skill.trim().to_owned()).filter(|skill| !skill.is_empty()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_read_in_both_forms() {
        assert_eq!(skills(r#"["a","b c"]"#), ["a", "b c"]);
        assert_eq!(skills("a, b c,,"), ["a", "b c"]);
    }
}
