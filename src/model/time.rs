//! Times as the API shows them: ISO 8601 with a zone, readable for every legacy client.

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time.
pub type Timestamp = DateTime<Utc>;

/// Serialises as `2026-11-22T10:17:24.520252+00:00`: the legacy form (microseconds) plus the zone.
///
/// That is the spelling that parsers without support for `Z` read too. Reads every ISO 8601 time;
/// one without a zone (legacy documents) counts as UTC.
pub mod iso {
    use chrono::NaiveDateTime;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{SecondsFormat, Timestamp, Utc};

    pub fn format(time: &Timestamp) -> String {
        time.to_rfc3339_opts(SecondsFormat::Micros, false)
    }

    pub fn parse(text: &str) -> Option<Timestamp> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|t| t.with_timezone(&Utc))
            .ok()
            .or_else(|| text.parse::<NaiveDateTime>().ok().map(|t| t.and_utc()))
    }

    pub fn serialize<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format(time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(d)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is not an ISO 8601 time")))
    }
}

/// The same for an optional time.
pub mod iso_option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{Timestamp, iso};

    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => iso::serialize(time, s),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
        iso::parse(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("'{text}' is not an ISO 8601 time")))
    }
}
