//! Times as the API shows them: ISO 8601 with a zone, readable for every legacy client.

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time.
pub type Timestamp = DateTime<Utc>;

/// Serialises as `2026-11-22T10:17:24.520252+00:00`: the legacy form (microseconds) plus the zone.
///
/// That is the spelling that parsers without support for `Z` read too. Reads every ISO 8601 time;
/// one without a zone (legacy documents) counts as UTC.
pub mod iso {
    use chrono::{Datelike, NaiveDateTime};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{SecondsFormat, Timestamp, Utc};

    pub fn format(time: &Timestamp) -> String {
        time.to_rfc3339_opts(SecondsFormat::Micros, false)
    }

    /// Nothing for a time that [`format()`] would write in another form than this reads: `+10000-01-01T…`.
    pub fn parse(text: &str) -> Option<Timestamp> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|t| t.with_timezone(&Utc))
            .ok()
            .or_else(|| text.parse::<NaiveDateTime>().ok().map(|t| t.and_utc()))
            .filter(fits)
    }

    /// Whether a time has a form: its year has four digits.
    pub fn fits(time: &Timestamp) -> bool {
        (0..=9999).contains(&time.year())
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

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn what_is_read_is_read_again_as_it_is_written() {
        for text in [
            "2026-11-22T10:17:24.520252+00:00",
            "2026-11-22T10:17:24",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T22:59:59-01:00",
        ] {
            let read = iso::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert!(iso::parse(&iso::format(&read)).is_some(), "{text}");
        }
        for text in [
            "+56862-04-03T14:43:40.500000",
            "-0001-01-01T00:00:00",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
            "today",
        ] {
            assert_eq!(iso::parse(text), None, "{text}");
        }
    }
}
