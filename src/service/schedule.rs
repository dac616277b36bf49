//! When a job is to begin and how long it may take: the fields, their bounds, and what they come to.

use chrono::TimeDelta;

use crate::{
    model::{Timestamp, iso},
    store::{Store, UnixMs},
};

use super::{FieldProblem, ServiceError};

/// How far ahead a job may be planned.
pub const MAX_DELAY_DAYS: u64 = 365;
/// The same in seconds.
pub const MAX_DELAY_SECONDS: u64 = MAX_DELAY_DAYS * 86_400;
/// The longest that one attempt may take, in seconds.
pub const MAX_TIMEOUT_SECONDS: u32 = 86_400;

/// The time, on the store's clock, before which a job is not to begin; `None`: at once. The store is
/// asked only if one of the fields is given.
pub(super) async fn begin(
    store: &dyn Store,
    run_at: Option<&str>,
    delay_seconds: Option<f64>,
) -> Result<Option<Timestamp>, ServiceError> {
    if run_at.is_none() && delay_seconds.is_none() {
        return Ok(None);
    }
    let now = store.now().await?;
    resolve(run_at, delay_seconds, now).map_err(|problem| ServiceError::Invalid(vec![problem]))
}

fn resolve(
    run_at: Option<&str>,
    delay_seconds: Option<f64>,
    now: UnixMs,
) -> Result<Option<Timestamp>, FieldProblem> {
    let now = Timestamp::from_timestamp_millis(now).unwrap_or_default();
    let too_far = |field| {
        let message = format!("It lies too far ahead: at most {MAX_DELAY_DAYS} days");
        FieldProblem::body(field, "less_than_equal", message)
    };
    let (field, at) = match (run_at, delay_seconds) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let message = "Give run_at or delay_seconds, not both";
            return Err(FieldProblem::body("delay_seconds", "not_both", message));
        }
        (Some(text), None) => {
            let at = iso::parse(text).ok_or_else(|| {
                let message = "Input should be a time such as 2026-11-22T10:17:24Z or \
                               2026-11-22T10:17:24+01:00; one without a zone counts as UTC";
                FieldProblem::body("run_at", "datetime_parsing", message)
            })?;
            ("run_at", at)
        }
        (None, Some(seconds)) => {
            if seconds.is_nan() || seconds < 0.0 {
                let message = "Input should be a number of seconds greater than or equal to 0";
                return Err(FieldProblem::body("delay_seconds", "greater_than_equal", message));
            }
            if seconds > MAX_DELAY_SECONDS as f64 {
                return Err(too_far("delay_seconds"));
            }
            ("delay_seconds", now + TimeDelta::milliseconds((seconds * 1000.0) as i64))
        }
    };
    if at - now > TimeDelta::days(MAX_DELAY_DAYS as i64) {
        return Err(too_far(field));
    }
    // Whole milliseconds: what the store plans with is what the client is told. What has passed
    // already means "at once".
    Ok(Timestamp::from_timestamp_millis(at.timestamp_millis()).filter(|at| *at > now))
}

/// What is wrong with a time-out, if something is.
pub(super) fn timeout_problem(field: &str, seconds: Option<u32>) -> Option<FieldProblem> {
    seconds.filter(|s| !(1..=MAX_TIMEOUT_SECONDS).contains(s)).map(|_| {
        let message = format!("Input should be a number of seconds from 1 to {MAX_TIMEOUT_SECONDS}");
        FieldProblem::body(field, "out_of_bounds", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = 1_790_000_000_000;

    fn ahead(run_at: Option<&str>, delay: Option<f64>) -> Result<Option<i64>, &'static str> {
        let found = resolve(run_at, delay, NOW).map_err(|p| p.kind)?;
        Ok(found.map(|t| t.timestamp_millis() - NOW))
    }

    #[test]
    fn a_time_with_a_zone_or_without_is_understood() {
        let at = |ms: i64| Timestamp::from_timestamp_millis(NOW + ms).unwrap();
        let naive = at(5_000).format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
        assert_eq!(ahead(Some(&naive), None), Ok(Some(5_000)));
        assert_eq!(ahead(Some(&format!("{naive}Z")), None), Ok(Some(5_000)));
        assert_eq!(ahead(Some(&format!("{naive}-01:00")), None), Ok(Some(3_605_000)));
    }

    #[test]
    fn what_has_passed_is_at_once() {
        assert_eq!(ahead(Some("2001-01-01T00:00:00Z"), None), Ok(None));
        assert_eq!(ahead(None, Some(0.0)), Ok(None));
        assert_eq!(ahead(None, None), Ok(None));
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(ahead(None, Some(0.25)), Ok(Some(250)));
        assert_eq!(ahead(None, Some(MAX_DELAY_SECONDS as f64)), Ok(Some(365 * 86_400_000)));
        assert_eq!(ahead(None, Some(MAX_DELAY_SECONDS as f64 + 1.0)), Err("less_than_equal"));
        assert_eq!(ahead(None, Some(-1.0)), Err("greater_than_equal"));
        assert_eq!(ahead(Some("2101-01-01T00:00:00Z"), None), Err("less_than_equal"));
        assert_eq!(ahead(Some("tomorrow"), None), Err("datetime_parsing"));
        assert_eq!(ahead(Some("2026-11-22T10:00:00Z"), Some(1.0)), Err("not_both"));
    }
}
