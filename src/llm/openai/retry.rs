//! When a failed request is made again, and how long the client waits before it.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

use crate::llm::{ModelError, ModelErrorKind};

/// The bounds of trying again inside one call. What outlasts them is the business of the job's own retries.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The backoff before the second request; it doubles with every further one.
    pub base: Duration,
    /// The longest backoff.
    pub cap: Duration,
    /// The most requests of one call.
    pub max_requests: u32,
    /// A provider that asks for a longer wait than this gets no sleeping client: the error goes back at
    /// once with its `retry_after`, so that the job can be put off and its slot used.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
            max_requests: 4,
            longest_wait: Duration::from_secs(20),
        }
    }
}

/// A completion that cannot be used was paid for, so it is asked for once more and not as often as a
/// request that cost nothing.
const MAX_REQUESTS_FOR_AN_ANSWER: u32 = 2;

/// The most that a wait may be longer than asked for.
const LONGEST_DELAY: Duration = Duration::from_millis(50);

/// No provider means it when it asks for more.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(86_400);

impl RetryPolicy {
    /// How long to wait before the next request; `None`: the error is final for this call.
    /// `random` is evenly spread over 0 to 1.
    pub(super) fn wait(
        &self,
        error: &ModelError,
        should_retry: Option<bool>,
        requests: u32,
        random: f64,
    ) -> Option<Duration> {
        let max_requests = match error.kind {
            ModelErrorKind::BadAnswer => self.max_requests.min(MAX_REQUESTS_FOR_AN_ANSWER),
            _ => self.max_requests,
        };
        if requests >= max_requests || !may_repeat(error.kind, should_retry) {
            return None;
        }
        match error.retry_after {
            Some(asked) if asked > self.longest_wait => None,
            // A little later than asked for: everybody who was refused now was told the same moment.
            Some(asked) => Some(asked + (asked / 10).min(LONGEST_DELAY).mul_f64(random)),
            None => {
                let doubled = self.base.saturating_mul(1u32.checked_shl(requests - 1).unwrap_or(u32::MAX));
                Some(doubled.min(self.cap).mul_f64(random))
            }
        }
    }
}

/// The provider's own word counts more than the class of the error, except where a repeated request
/// would only spend money or lock an account.
fn may_repeat(kind: ModelErrorKind, should_retry: Option<bool>) -> bool {
    use ModelErrorKind::{Auth, Billing, ContextTooLong, Refused};
    match should_retry {
        Some(true) => !matches!(kind, Auth | Billing | ContextTooLong | Refused),
        Some(false) => false,
        None => kind.is_retryable(),
    }
}

/// What the headers of an answer say about trying again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Hints {
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
    /// Whether a limit per minute is shown to be used up, which tells a full minute from an empty account.
    pub minute_limit: bool,
    /// How many requests are still allowed before the limit refills, and when that is.
    pub remaining: Option<(u64, Duration)>,
    /// `x-request-id`, by which the provider's support finds the request.
    pub request_id: Option<String>,
}

impl Hints {
    pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let get = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let exhausted = |what: &str| get(&format!("x-ratelimit-remaining-{what}")) == Some("0");
        let reset = |what: &str| {
            exhausted(what).then(|| get(&format!("x-ratelimit-reset-{what}")).and_then(span)).flatten()
        };
        let remaining = get("x-ratelimit-remaining-requests").and_then(|v| v.parse().ok());
        let refilled = get("x-ratelimit-reset-requests").and_then(span);
        let millis = get("retry-after-ms").and_then(|v| v.parse::<f64>().ok()).map(|ms| ms / 1000.0);
        let retry_after = millis
            .and_then(seconds)
            .or_else(|| get("retry-after").and_then(|v| moment(v, now)))
            .or_else(|| reset("requests").max(reset("tokens")));
        Self {
            retry_after: retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER)),
            should_retry: match get("x-should-retry") {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
            minute_limit: exhausted("requests") || exhausted("tokens"),
            remaining: remaining.zip(refilled.map(|wait| wait.min(LONGEST_RETRY_AFTER))),
            request_id: get("x-request-id").map(str::to_owned),
        }
    }
}

/// A number of seconds or an HTTP date.
fn moment(text: &str, now: SystemTime) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok().filter(|d| !d.is_zero()),
    }
}

/// A wait that makes sense: zero and nonsense count as none, so that the backoff applies.
fn seconds(number: f64) -> Option<Duration> {
    let makes_sense = number > 0.0;
    makes_sense.then(|| Duration::try_from_secs_f64(number).unwrap_or(LONGEST_RETRY_AFTER))
}

/// The wait that an error text asks for: `Please try again in 7m12s.`, `retry after 26 seconds`.
pub(super) fn span_in_words(words: &str) -> Option<Duration> {
    let leads = ["try again in ", "retry in ", "retry after ", "try again after "];
    let after = leads.iter().find_map(|lead| Some(words.split_once(lead)?.1))?;
    let mut after = after.split_whitespace().map(|word| word.trim_end_matches(['.', ',', ';']));
    let number = span(after.next()?)?;
    let wait = match after.next() {
        Some("milliseconds") => number / 1_000,
        Some("minutes" | "minute") => number.saturating_mul(60),
        Some("hours" | "hour") => number.saturating_mul(3_600),
        _ => number,
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// A span as the rate limit headers write it: `6m0s`, `1h2m3.5s`, `20ms`, or plain seconds.
fn span(text: &str) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        let unit_end = rest[unit_at..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| unit_at + n);
        total += number
            * match &rest[unit_at..unit_end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    seconds(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(pairs: &[(&'static str, &str)]) -> Hints {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        // 2026-11-22 12:00:00 UTC
        Hints::read(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800))
    }

    fn error(kind: ModelErrorKind, retry_after: Option<Duration>) -> ModelError {
        ModelError { retry_after, ..ModelError::new(kind, "") }
    }

    #[test]
    fn every_way_to_ask_for_a_wait_is_read() {
        let ms = |n| Some(Duration::from_millis(n));
        for (pairs, wait) in [
            (&[("retry-after-ms", "1500"), ("retry-after", "9")][..], ms(1_500)),
            (&[("retry-after", "2")], ms(2_000)),
            (&[("retry-after", "0.25")], ms(250)),
            (&[("retry-after", "Sun, 22 Nov 2026 12:00:30 GMT")], ms(30_000)),
            (&[("retry-after", "Sun, 22 Nov 2026 11:59:00 GMT")], None),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "1e300")], ms(86_400_000)),
            (&[("retry-after-ms", "x"), ("retry-after", "3")], ms(3_000)),
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")], ms(360_000)),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20ms")], ms(20)),
            (&[("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-reset-tokens", "20ms")], None),
            (
                &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1h2m3.5s")],
                ms(3_723_500),
            ),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "20 parsecs")], None),
            (&[], None),
        ] {
            assert_eq!(hints(pairs).retry_after, wait, "{pairs:?}");
        }
    }

    #[test]
    fn a_wait_is_found_in_words() {
        let ms = |n| Some(Duration::from_millis(n));
        for (words, wait) in [
            ("please try again in 7m12s. visit us", ms(432_000)),
            ("please retry after 26 seconds.", ms(26_000)),
            ("please retry in 32.4s.", ms(32_400)),
            ("try again in 5 seconds. passed model=x", ms(5_000)),
            ("try again in 250 milliseconds", ms(250)),
            ("try again in 2 minutes", ms(120_000)),
            ("try again in 1e300", ms(86_400_000)),
            ("please try again later", None),
            ("try again in a while", None),
        ] {
            assert_eq!(span_in_words(words), wait, "{words}");
        }
    }

    #[test]
    fn what_is_left_of_a_limit_is_read_where_it_is_said() {
        let left = "x-ratelimit-remaining-requests";
        let reset = "x-ratelimit-reset-requests";
        for (pairs, remaining) in [
            (&[(left, "59"), (reset, "1s")][..], Some((59, Duration::from_secs(1)))),
            (&[(left, "0"), (reset, "2m59.56s")], Some((0, Duration::from_millis(179_560)))),
            (&[(left, "-1"), (reset, "1s")], None),
            (&[(left, "59")], None),
            (&[(reset, "1s")], None),
        ] {
            assert_eq!(hints(pairs).remaining, remaining, "{pairs:?}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        let policy = RetryPolicy { max_requests: 99, ..RetryPolicy::default() };
        let down = error(ModelErrorKind::Unavailable, None);
        let waits: Vec<u128> =
            (1..=6).map(|n| policy.wait(&down, None, n, 1.0).unwrap().as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
        assert_eq!(policy.wait(&down, None, 98, 1.0).unwrap().as_secs(), 8);
        assert_eq!(policy.wait(&down, None, 3, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn an_asked_wait_is_kept_and_a_long_one_is_handed_back() {
        let policy = RetryPolicy::default();
        let limited = |s| error(ModelErrorKind::RateLimited, Some(Duration::from_secs(s)));
        assert_eq!(policy.wait(&limited(20), None, 1, 0.0), Some(Duration::from_secs(20)));
        assert_eq!(policy.wait(&limited(10), None, 1, 1.0), Some(Duration::from_millis(10_050)));
        let soon = error(ModelErrorKind::RateLimited, Some(Duration::from_millis(200)));
        assert_eq!(policy.wait(&soon, None, 1, 1.0), Some(Duration::from_millis(220)));
        assert_eq!(policy.wait(&limited(21), None, 1, 0.0), None);
    }

    #[test]
    fn what_cannot_succeed_is_not_repeated() {
        use ModelErrorKind::*;
        let policy = RetryPolicy::default();
        let repeats = |kind, should, n| policy.wait(&error(kind, None), should, n, 0.5).is_some();
        for kind in [Auth, Billing, UnknownModel, ContextTooLong, BadRequest, Refused] {
            assert!(!repeats(kind, None, 1), "{kind:?}");
        }
        for kind in [Connection, Timeout, RateLimited, Unavailable] {
            assert!(repeats(kind, None, 3) && !repeats(kind, None, 4), "{kind:?}");
            assert!(!repeats(kind, Some(false), 1), "{kind:?}");
        }
        assert!(repeats(BadAnswer, None, 1) && !repeats(BadAnswer, None, 2));
        assert!(repeats(BadRequest, Some(true), 1));
        assert!(!repeats(Auth, Some(true), 1) && !repeats(Billing, Some(true), 1));
    }
}
