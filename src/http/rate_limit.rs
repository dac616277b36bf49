//! How many requests a minute somebody may send: the generic cell rate algorithm, one number a caller.
//!
//! A caller has a minute's worth at once and gets it back evenly: with 60 a minute, 60 requests may come in one
//! moment, and then one a second. Every process counts for itself. Bounded memory, no clock of its own.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The names of the headers, for browsers on other sites.
pub const HEADERS: [HeaderName; 2] = [RATE_LIMIT, RATE_LIMIT_POLICY];

const MINUTE: Duration = Duration::from_secs(60);

/// What a caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Whose quota it is: `address` or `key`.
    pub of: &'static str,
    pub per_minute: u32,
    /// How many requests may come at once now.
    pub left: u32,
    /// When all of it is back.
    pub whole_in: Duration,
    /// When the next request may come, if this one was one too many.
    pub wait: Option<Duration>,
}

impl Quota {
    /// Says it in the fields `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    pub fn put(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
    }

    /// The fields.
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let policy = format!("\"{}\";q={};w={}", self.of, self.per_minute, MINUTE.as_secs());
        let limit = format!("\"{}\";r={};t={}", self.of, self.left, seconds(self.whole_in));
        let values = [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, limit)];
        values.into_iter().filter_map(|(n, v)| Some((n, HeaderValue::from_str(&v).ok()?))).collect()
    }

    /// Whole seconds to wait, at least one.
    pub fn retry_after(&self) -> u64 {
        self.wait.map_or(1, seconds).max(1)
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The callers of one kind.
#[derive(Debug)]
pub struct RateLimiter<K> {
    of: &'static str,
    most: usize,
    /// When all that a caller has used is back.
    whole_at: Mutex<HashMap<K, Duration>>,
}

impl<K: Hash + Eq> RateLimiter<K> {
    /// `of` is the name in the headers; no more than `most` callers are remembered.
    pub fn new(of: &'static str, most: usize) -> Self {
        Self { of, most, whole_at: Mutex::default() }
    }

    /// Takes one request out of a caller's minute; `now` is a time that only goes forward.
    pub fn take(&self, caller: K, per_minute: u32, now: Duration) -> Quota {
        let per_minute = per_minute.max(1);
        let each = MINUTE / per_minute;
        let mut all = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.most && !all.contains_key(&caller) {
            make_room(&mut all, self.most, now);
        }
        let whole_at = all.entry(caller).or_insert(now);
        let before = (*whole_at).max(now);
        let after = before + each;
        let quota = |whole_at: Duration, wait| {
            let used = whole_at - now;
            let left = MINUTE.saturating_sub(used).as_nanos() / each.as_nanos().max(1);
            let left = u32::try_from(left).unwrap_or(per_minute).min(per_minute);
            Quota { of: self.of, per_minute, left, whole_in: used, wait }
        };
        // The last share of a minute that does not divide evenly belongs to it.
        let over = (after - now).saturating_sub(each * per_minute);
        if over > Duration::ZERO {
            return quota(before, Some(over));
        }
        *whole_at = after;
        quota(after, None)
    }

    /// Gives one request back.
    pub fn give_back(&self, caller: &K, per_minute: u32) {
        let mut all = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole_at) = all.get_mut(caller) {
            *whole_at = whole_at.saturating_sub(MINUTE / per_minute.max(1));
        }
    }
}

/// Forgets callers that have used nothing, then those that have used little, then all of them.
fn make_room<K>(all: &mut HashMap<K, Duration>, most: usize, now: Duration) {
    for used in [Duration::ZERO, MINUTE / 2] {
        all.retain(|_, whole_at| *whole_at > now + used);
        if all.len() < most {
            return;
        }
    }
    all.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_minutes_worth_comes_at_once_and_then_evenly() {
        let limiter = RateLimiter::new("address", 10);
        for n in 1..=60 {
            let quota = limiter.take("a", 60, at(5));
            assert_eq!((quota.left, quota.wait), (60 - n, None));
        }
        let refused = limiter.take("a", 60, at(5));
        assert_eq!((refused.wait, refused.left, refused.retry_after()), (Some(at(1_000)), 0, 1));
        assert_eq!(limiter.take("b", 60, at(5)).wait, None, "others have their own");
        assert_eq!(limiter.take("a", 60, at(1_005)).wait, None);
        assert!(limiter.take("a", 60, at(1_006)).wait.is_some());
        let later = limiter.take("a", 60, at(200_000));
        assert_eq!((later.left, later.whole_in), (59, at(1_000)));
    }

    #[test]
    fn odd_numbers_are_not_one_short() {
        for per_minute in [1, 7, 59, 61, 997, 999_999] {
            let limiter = RateLimiter::new("key", 10);
            let taken =
                (0..per_minute).filter(|_| limiter.take("a", per_minute, at(9)).wait.is_none()).count();
            assert_eq!(taken, per_minute as usize);
            assert!(limiter.take("a", per_minute, at(9)).wait.is_some());
        }
    }

    #[test]
    fn what_is_given_back_can_be_used_again() {
        let limiter = RateLimiter::new("address", 10);
        assert!(limiter.take("a", 1, at(0)).wait.is_none());
        limiter.give_back(&"a", 1);
        assert!(limiter.take("a", 1, at(0)).wait.is_none());
        assert!(limiter.take("a", 1, at(0)).wait.is_some());
    }

    #[test]
    fn memory_is_bounded_and_who_uses_most_is_forgotten_last() {
        let limiter = RateLimiter::new("address", 100);
        for _ in 0..60 {
            limiter.take(0, 60, at(0));
        }
        for n in 1..10_000 {
            limiter.take(n, 60, at(0));
            assert!(limiter.whole_at.lock().unwrap().len() <= 100);
        }
        assert!(limiter.take(0, 60, at(0)).wait.is_some());
    }

    #[test]
    fn the_fields_are_those_of_the_draft() {
        let limiter = RateLimiter::new("key", 10);
        let mut headers = HeaderMap::new();
        limiter.take("a", 120, at(0)).put(&mut headers);
        assert_eq!(headers.get("ratelimit-policy").unwrap(), "\"key\";q=120;w=60");
        assert_eq!(headers.get("ratelimit").unwrap(), "\"key\";r=119;t=1");
    }
}
