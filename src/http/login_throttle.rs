//! Slows down guessing at the login. Bounded memory, no clock of its own.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

/// The most callers that are remembered.
const MAX_CALLERS: usize = 1024;
/// Wrong keys that cost nothing.
const FREE_FAILURES: u32 = 5;
/// The longest wait between two tries, in seconds.
const MAX_WAIT_SECONDS: i64 = 60;
/// A caller is forgotten this long after its last wrong key, in seconds.
const FORGET_SECONDS: i64 = 900;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: i64,
}

impl Failures {
    fn open_again_at(self) -> i64 {
        match self.count.checked_sub(FREE_FAILURES) {
            None => self.last,
            Some(over) => self.last + (1_i64 << over.min(6)).min(MAX_WAIT_SECONDS),
        }
    }
}

/// Wrong keys by caller: five are free, then the wait doubles from one second to one minute.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

impl LoginThrottle {
    /// Seconds until this caller may try again; 0: now.
    pub fn wait_seconds(&self, caller: IpAddr, now: i64) -> i64 {
        let failures = self.lock();
        failures.get(&network(caller)).map_or(0, |f| (f.open_again_at() - now).clamp(0, MAX_WAIT_SECONDS))
    }

    /// Counts a wrong key.
    pub fn failed(&self, caller: IpAddr, now: i64) {
        let mut failures = self.lock();
        failures.retain(|_, f| now - f.last < FORGET_SECONDS);
        let caller = network(caller);
        if failures.len() >= MAX_CALLERS && !failures.contains_key(&caller) {
            let oldest = failures.iter().min_by_key(|(_, f)| f.last).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest {
                failures.remove(&oldest);
            }
        }
        let entry = failures.entry(caller).or_insert(Failures { count: 0, last: now });
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
    }

    /// Forgets a caller that knew the key.
    pub fn succeeded(&self, caller: IpAddr) {
        self.lock().remove(&network(caller));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One person has a whole /64 of IPv6 addresses.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn five_wrong_keys_are_free_then_the_wait_doubles() {
        let throttle = LoginThrottle::default();
        let mut waits = Vec::new();
        for _ in 0..13 {
            throttle.failed(ip(1), 100);
            waits.push(throttle.wait_seconds(ip(1), 100));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(throttle.wait_seconds(ip(1), 150), 10);
        assert_eq!(throttle.wait_seconds(ip(2), 100), 0, "others are not held up");
        throttle.succeeded(ip(1));
        assert_eq!(throttle.wait_seconds(ip(1), 100), 0);
    }

    #[test]
    fn a_caller_is_forgotten_and_memory_is_bounded() {
        let throttle = LoginThrottle::default();
        for n in 0..5000 {
            throttle.failed(ip(n), i64::from(n) / 10);
        }
        assert_eq!(throttle.lock().len(), MAX_CALLERS);
        throttle.failed(ip(1), 10_000);
        assert_eq!(throttle.lock().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_caller() {
        let throttle = LoginThrottle::default();
        for host in 0..6_u32 {
            throttle.failed(format!("2001:db8::{host}").parse().unwrap(), 0);
        }
        assert_eq!(throttle.wait_seconds("2001:db8::ffff".parse().unwrap(), 0), 2);
        assert_eq!(throttle.wait_seconds("2001:db8:0:1::1".parse().unwrap(), 0), 0);
    }
}
