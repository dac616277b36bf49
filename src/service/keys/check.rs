//! What a new key may look like: every bad field is named.

use chrono::TimeDelta;

use super::{NewKey, secret};
use crate::{
    model::{Timestamp, Usd, iso},
    service::FieldProblem,
};

/// The longest name.
pub const MAX_NAME_CHARS: usize = 64;
/// The longest life of a key that has an end.
pub const MAX_DAYS: u32 = 3_650;
/// The highest limit of requests a minute.
pub const MAX_REQUESTS_PER_MINUTE: u32 = 1_000_000;
/// What the key of `API_KEY` is called in records.
pub const DEFAULT_NAME: &str = "default";

/// When a new key ends, if all of it is as it should be.
pub(super) fn check(new: &NewKey, now: Timestamp) -> Result<Option<Timestamp>, Vec<FieldProblem>> {
    let mut problems: Vec<FieldProblem> = name_problem(&new.name).into_iter().collect();
    let end = end(new, now).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if new.requests_per_minute.is_some_and(|n| !(1..=MAX_REQUESTS_PER_MINUTE).contains(&n)) {
        let message = format!("Input should be a number of requests from 1 to {MAX_REQUESTS_PER_MINUTE}");
        problems.push(FieldProblem::body("requests_per_minute", "out_of_bounds", message));
    }
    if new.budget.is_some_and(|budget| budget.tokens == Some(0) || budget.usd == Some(Usd::ZERO)) {
        let message = "A budget of 0 lets nothing begin; leave it out for no limit";
        problems.push(FieldProblem::body("budget", "greater_than", message));
    }
    if problems.is_empty() { Ok(end) } else { Err(problems) }
}

fn name_problem(name: &str) -> Option<FieldProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        let message = format!(
            "A name has 1 to {MAX_NAME_CHARS} letters, digits, '.', '_' and '-', and begins with a letter or digit"
        );
        return Some(FieldProblem::body("name", "string_pattern", message));
    }
    let reserved = name.eq_ignore_ascii_case(DEFAULT_NAME)
        || name.eq_ignore_ascii_case("me")
        || name.to_ascii_lowercase().starts_with(secret::PREFIX);
    reserved.then(|| {
        let message = format!("'{name}' means something already: choose a name other than 'default' and 'me' that does not begin with 'pf_'");
        FieldProblem::body("name", "reserved", message)
    })
}

fn end(new: &NewKey, now: Timestamp) -> Result<Option<Timestamp>, FieldProblem> {
    match (&new.expires_at, new.expires_in_days) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let message = "Give expires_at or expires_in_days, not both";
            Err(FieldProblem::body("expires_in_days", "not_both", message))
        }
        (None, Some(days)) if (1..=MAX_DAYS).contains(&days) => Ok(Some(now + TimeDelta::days(days.into()))),
        (None, Some(_)) => {
            let message = format!("Input should be a number of days from 1 to {MAX_DAYS}");
            Err(FieldProblem::body("expires_in_days", "out_of_bounds", message))
        }
        (Some(text), None) => {
            let Some(at) = iso::parse(text) else {
                let message = "Input should be a time such as 2027-01-31T00:00:00Z";
                return Err(FieldProblem::body("expires_at", "datetime_parsing", message));
            };
            if at <= now || at - now > TimeDelta::days(MAX_DAYS.into()) {
                let message = format!("It should lie ahead, at most {MAX_DAYS} days");
                return Err(FieldProblem::body("expires_at", "out_of_bounds", message));
            }
            Ok(Some(at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Budget, Scope};

    fn now() -> Timestamp {
        iso::parse("2026-11-22T10:00:00Z").unwrap()
    }

    fn new(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            scope: Scope::Run,
            expires_at: None,
            expires_in_days: None,
            requests_per_minute: None,
            budget: None,
        }
    }

    fn kinds(new: &NewKey) -> Vec<&'static str> {
        check(new, now()).err().unwrap_or_default().iter().map(|problem| problem.kind).collect()
    }

    #[test]
    fn a_name_is_short_plain_and_not_taken_by_us() {
        for good in ["ci", "a", "nightly-build.2_x", "7", &"x".repeat(64)] {
            assert!(kinds(&new(good)).is_empty(), "{good}");
        }
        for bad in ["", "a b", "ü", "-a", ".", "a/b", "a:b", "<b>", "a\n", &"x".repeat(65)] {
            assert_eq!(kinds(&new(bad)), ["string_pattern"], "{bad}");
        }
        for taken in ["default", "Default", "me", "pf_x", "PF_abcdefgh"] {
            assert_eq!(kinds(&new(taken)), ["reserved"], "{taken}");
        }
    }

    #[test]
    fn an_end_lies_ahead_and_not_too_far() {
        let until = |text: &str| check(&NewKey { expires_at: Some(text.to_owned()), ..new("ci") }, now());
        assert_eq!(until("2026-11-22T10:00:01Z").unwrap(), iso::parse("2026-11-22T10:00:01Z"));
        for bad in ["2026-11-22T10:00:00Z", "2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z", "soon"] {
            assert_eq!(until(bad).unwrap_err().len(), 1, "{bad}");
        }
        let days = |days| check(&NewKey { expires_in_days: Some(days), ..new("ci") }, now());
        assert_eq!(days(30).unwrap(), iso::parse("2026-12-22T10:00:00Z"));
        assert!(days(0).is_err() && days(MAX_DAYS + 1).is_err());
        let both = NewKey {
            expires_at: Some("2027-01-01T00:00:00Z".to_owned()),
            expires_in_days: Some(1),
            ..new("ci")
        };
        assert_eq!(kinds(&both), ["not_both"]);
    }

    #[test]
    fn every_bad_field_is_named() {
        let all = NewKey {
            expires_in_days: Some(0),
            requests_per_minute: Some(0),
            budget: Some(Budget { tokens: Some(0), usd: None }),
            ..new("a b")
        };
        assert_eq!(kinds(&all), ["string_pattern", "out_of_bounds", "out_of_bounds", "greater_than"]);
    }
}
