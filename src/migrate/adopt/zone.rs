//! The zone of legacy times, which say none: local time of whatever machine wrote them.
//!
//! Where the earlier system put a document into an index, the score is the same moment in seconds since the
//! epoch. The difference to the time in the document, taken as UTC, is the zone. The documents are not
//! rewritten for it; it counts where a time becomes a place in an index, or a document is written anyway.

use chrono::TimeDelta;
use deadpool_redis::redis::{Value, cmd};

use crate::{
    model::{Timestamp, iso},
    service::records,
    store::{DocKey, IndexName, Kind, Store, StoreError, redis::RawRedis, redis::RedisStore},
};

/// How many of the newest documents of each kind are looked at.
const SAMPLES: usize = 40;
/// Zones are whole multiples of this.
const QUARTER_SECONDS: f64 = 900.0;
/// How far a document's time and its score may be apart beyond that: two readings of one clock.
const SLACK_SECONDS: f64 = 5.0;
/// No zone is further from UTC.
const FURTHEST_SECONDS: f64 = 14.0 * 3600.0;

/// What is to be taken off a time without a zone to have it in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Zone {
    seconds: Option<i64>,
}

impl Zone {
    /// So many hours ahead of UTC.
    pub fn hours(hours: i64) -> Self {
        Self { seconds: Some(hours * 3600) }
    }

    /// `+02:00`; nothing where no document tells.
    pub fn shown(self) -> Option<String> {
        let seconds = self.seconds?;
        let minutes = seconds.abs() / 60;
        Some(format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60))
    }

    /// A time as a document says it, which was read as UTC where it says no zone.
    pub fn instant(self, text: Option<&str>, parsed: Timestamp) -> Timestamp {
        match text {
            Some(text) if !has_zone(text) => {
                let utc = parsed.checked_sub_signed(TimeDelta::seconds(self.seconds.unwrap_or(0)));
                utc.filter(iso::fits).unwrap_or(parsed)
            }
            _ => parsed,
        }
    }

    /// The same for a time that has not been read; nothing if it cannot be.
    pub fn read(self, text: &str) -> Option<Timestamp> {
        iso::parse(text).map(|parsed| self.instant(Some(text), parsed))
    }

    /// The zone that most samples tell: pairs of a time and its seconds since the epoch.
    fn of(samples: impl Iterator<Item = (String, f64)>) -> Self {
        let mut votes = std::collections::BTreeMap::<i64, usize>::new();
        for (text, score) in samples.filter(|(text, _)| !has_zone(text)) {
            let Some(time) = iso::parse(&text) else { continue };
            let apart = time.timestamp_millis() as f64 / 1000.0 - score;
            let zone = (apart / QUARTER_SECONDS).round() * QUARTER_SECONDS;
            if (apart - zone).abs() <= SLACK_SECONDS && zone.abs() <= FURTHEST_SECONDS {
                *votes.entry(zone as i64).or_default() += 1;
            }
        }
        Self { seconds: votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(zone, _)| zone) }
    }
}

fn has_zone(text: &str) -> bool {
    chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// Asks the newest documents that stand in an index.
pub(super) async fn find(store: &RedisStore, raw: &RawRedis) -> Result<Zone, StoreError> {
    let mut samples = Vec::new();
    for (kind, field) in
        [(records::WORKFLOW, "created_at"), (records::AGENT, "created_at"), (records::UPLOAD, "uploaded_at")]
    {
        samples.extend(sample(store, raw, kind, field).await?);
    }
    Ok(Zone::of(samples.into_iter()))
}

async fn sample(
    store: &RedisStore,
    raw: &RawRedis,
    kind: Kind,
    field: &str,
) -> Result<Vec<(String, f64)>, StoreError> {
    let mut command = cmd("ZREVRANGE");
    command.arg(raw.index(&IndexName::all(kind))).arg(0).arg(SAMPLES - 1).arg("WITHSCORES");
    let entries = match raw.read(&command).await {
        Ok(Value::Array(entries)) => entries,
        // A key that is no index has nothing to tell.
        Ok(_) | Err(StoreError::Corrupt { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut samples = Vec::new();
    for (id, score) in entries.chunks_exact(2).filter_map(pair) {
        let doc = match store.get(&[DocKey::new(kind, id)]).await {
            Ok(mut docs) => docs.pop().flatten(),
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let time = doc.and_then(|doc| {
            let body: serde_json::Value = serde_json::from_slice(&doc.body).ok()?;
            Some(body.get(field)?.as_str()?.to_owned())
        });
        samples.extend(time.map(|time| (time, score)));
    }
    Ok(samples)
}

fn pair(entry: &[Value]) -> Option<(String, f64)> {
    match entry {
        [Value::BulkString(id), Value::BulkString(score)] => {
            Some((String::from_utf8(id.clone()).ok()?, std::str::from_utf8(score).ok()?.parse().ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(samples: &[(&str, f64)]) -> Zone {
        Zone::of(samples.iter().map(|(text, score)| ((*text).to_owned(), *score)))
    }

    #[test]
    fn most_samples_decide() {
        let two_hours_east = zone(&[
            ("2026-11-22T12:17:24.7", 1_795_342_644.7),
            ("2026-11-22T12:17:30", 1_795_342_650.2),
            ("2026-11-22T10:17:24", 1_795_342_644.0),
        ]);
        assert_eq!(two_hours_east.shown().as_deref(), Some("+02:00"));
        let west = zone(&[("2026-11-22T06:47:24", 1_795_342_644.0)]);
        assert_eq!(west.shown().as_deref(), Some("-03:30"));
    }

    #[test]
    fn times_with_a_zone_and_nonsense_tell_nothing() {
        assert_eq!(
            zone(&[("2026-11-22T12:17:24Z", 1_795_342_644.0), ("soon", 1.0), ("2026-11-22T12:17:24", 5.0)]),
            Zone::default()
        );
        assert_eq!(Zone::default().shown(), None);
    }

    #[test]
    fn only_times_without_a_zone_are_moved() {
        let east = Zone { seconds: Some(7200) };
        assert_eq!(east.read("2026-11-22T12:00:00").unwrap().to_rfc3339(), "2026-11-22T10:00:00+00:00");
        assert_eq!(east.read("2026-11-22T12:00:00+00:00").unwrap().to_rfc3339(), "2026-11-22T12:00:00+00:00");
        assert_eq!(east.read("never"), None);
    }
}
