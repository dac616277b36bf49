//! Slows down guessing of keys, at the login and at the API alike. Bounded memory, no clock of its own.
//!
//! What counts is a *different* wrong key: a program that goes on with a key that was taken back makes the same
//! mistake again and again, guesses nothing, and must not shut out its neighbours. Right keys reset nothing:
//! whoever has one could otherwise guess at another for ever.
//!
//! A client that has shown a right key from its address goes on during a wait ([`GuessThrottle::is_known`]), so
//! that nobody behind the same address can shut it out. The price: whoever shares an address with such a client
//! can try keys there without a wait. Named keys (238 bits) cannot be guessed at any speed: texts of their form are
//! neither counted nor made to wait, so that nobody shuts out who has one.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::client_ip::network;

/// The most callers that are remembered.
const MAX_CALLERS: usize = 1024;
/// The most pairs of an address and a right key that are remembered.
const MAX_KNOWN: usize = 4096;
/// Wrong keys that cost nothing.
const FREE_FAILURES: u32 = 5;
/// The longest wait between two tries, in seconds.
const MAX_WAIT_SECONDS: i64 = 60;
/// A caller is forgotten this long after its last wrong key, in seconds.
const FORGET_SECONDS: i64 = 900;
/// How long a right key is remembered after it was last shown, in seconds.
const KNOWN_SECONDS: i64 = 3600;
/// How many wrong keys of one caller are told apart from new ones.
const REMEMBERED_KEYS: usize = 8;

/// The digest of a key, under a secret of this process.
type KeyDigest = u64;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: i64,
    /// The wrong keys that came last, the newest at `count % REMEMBERED_KEYS`.
    keys: [KeyDigest; REMEMBERED_KEYS],
}

impl Failures {
    fn open_again_at(&self) -> i64 {
        match self.count.checked_sub(FREE_FAILURES) {
            None => self.last,
            Some(over) => self.last + (1_i64 << over.min(6)).min(MAX_WAIT_SECONDS),
        }
    }
}

/// Wrong keys by caller: five are free, then the wait doubles from one second to one minute.
#[derive(Debug, Default)]
pub struct GuessThrottle {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    /// When an address has last shown a right key.
    known: Mutex<HashMap<KeyDigest, i64>>,
    secret: RandomState,
}

impl GuessThrottle {
    /// Seconds until this caller may try again; 0: now.
    pub fn wait_seconds(&self, caller: IpAddr, now: i64) -> i64 {
        let failures = lock(&self.failures);
        failures.get(&network(caller)).map_or(0, |f| (f.open_again_at() - now).clamp(0, MAX_WAIT_SECONDS))
    }

    /// Counts a wrong key, unless this caller has shown it before.
    pub fn failed(&self, caller: IpAddr, key: &[u8], now: i64) {
        let digest = self.secret.hash_one(key);
        let mut failures = lock(&self.failures);
        let caller = network(caller);
        if !failures.contains_key(&caller) && failures.len() >= MAX_CALLERS {
            failures.retain(|_, f| now - f.last < FORGET_SECONDS);
            let oldest = failures.iter().min_by_key(|(_, f)| f.last).map(|(ip, _)| *ip);
            if let Some(oldest) = oldest.filter(|_| failures.len() >= MAX_CALLERS) {
                failures.remove(&oldest);
            }
        }
        let fresh = Failures { count: 0, last: now, keys: [0; REMEMBERED_KEYS] };
        let entry = failures.entry(caller).or_insert(fresh);
        if now - entry.last >= FORGET_SECONDS {
            *entry = fresh;
        }
        if entry.count > 0 && entry.keys.contains(&digest) {
            return;
        }
        entry.keys[entry.count as usize % REMEMBERED_KEYS] = digest;
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
    }

    /// Remembers that a caller has shown a right key.
    pub fn remember(&self, caller: IpAddr, key: &[u8], now: i64) {
        let mut known = lock(&self.known);
        let pair = self.pair(caller, key);
        if known.len() >= MAX_KNOWN && !known.contains_key(&pair) {
            known.retain(|_, last| now - *last < KNOWN_SECONDS);
            if known.len() >= MAX_KNOWN {
                // They are remembered again with their next request.
                known.clear();
            }
        }
        known.insert(pair, now);
    }

    /// Whether this caller has shown this very key before, and it was right.
    pub fn is_known(&self, caller: IpAddr, key: &[u8], now: i64) -> bool {
        lock(&self.known).get(&self.pair(caller, key)).is_some_and(|last| now - *last < KNOWN_SECONDS)
    }

    /// Forgets that a key was right, because it is no more.
    pub fn forget(&self, caller: IpAddr, key: &[u8]) {
        lock(&self.known).remove(&self.pair(caller, key));
    }

    fn pair(&self, caller: IpAddr, key: &[u8]) -> KeyDigest {
        self.secret.hash_one((network(caller), key))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn guess(throttle: &GuessThrottle, caller: IpAddr, n: u32, now: i64) {
        throttle.failed(caller, &n.to_be_bytes(), now);
    }

    #[test]
    fn five_wrong_keys_are_free_then_the_wait_doubles() {
        let throttle = GuessThrottle::default();
        let mut waits = Vec::new();
        for n in 0..13 {
            guess(&throttle, ip(1), n, 100);
            waits.push(throttle.wait_seconds(ip(1), 100));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(throttle.wait_seconds(ip(1), 150), 10);
        assert_eq!(throttle.wait_seconds(ip(2), 100), 0, "others are not held up");
    }

    #[test]
    fn the_same_wrong_key_is_one_mistake_however_often_it_comes() {
        let throttle = GuessThrottle::default();
        for now in 0..5_000 {
            throttle.failed(ip(1), b"taken back", now);
            assert_eq!(throttle.wait_seconds(ip(1), now), 0);
        }
    }

    #[test]
    fn a_right_key_is_known_at_its_address_for_an_hour() {
        let throttle = GuessThrottle::default();
        throttle.remember(ip(1), b"right", 0);
        assert!(throttle.is_known(ip(1), b"right", KNOWN_SECONDS - 1));
        assert!(!throttle.is_known(ip(1), b"right", KNOWN_SECONDS));
        assert!(!throttle.is_known(ip(1), b"wrong", 0) && !throttle.is_known(ip(2), b"right", 0));
        throttle.forget(ip(1), b"right");
        assert!(!throttle.is_known(ip(1), b"right", 0));
    }

    #[test]
    fn a_caller_is_forgotten_and_memory_is_bounded() {
        let throttle = GuessThrottle::default();
        for n in 0..5000 {
            guess(&throttle, ip(n), n, i64::from(n) / 10);
            throttle.remember(ip(n), b"key", 0);
        }
        assert_eq!(lock(&throttle.failures).len(), MAX_CALLERS);
        assert!(lock(&throttle.known).len() <= MAX_KNOWN);
        guess(&throttle, ip(1), 1, 10_000);
        assert_eq!(lock(&throttle.failures).len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_caller() {
        let throttle = GuessThrottle::default();
        for host in 0..6_u32 {
            guess(&throttle, format!("2001:db8::{host}").parse().unwrap(), host, 0);
        }
        assert_eq!(throttle.wait_seconds("2001:db8::ffff".parse().unwrap(), 0), 2);
        assert_eq!(throttle.wait_seconds("2001:db8:0:1::1".parse().unwrap(), 0), 0);
    }
}
