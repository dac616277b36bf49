//! How fast requests begin: the rate that a provider bore before it refused, tried upwards while it refuses nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::LaneState;

/// So much of the rate that was borne is used.
const MARGIN: f64 = 0.95;
/// After a refusal at that rate.
const SLOWER: f64 = 0.85;
const FASTER: f64 = 1.05;
/// How long nothing has to be refused before the rate is tried upwards: first, and at the most.
const HOLD_MS: (i64, i64) = (5_000, 300_000);
/// From one step upwards to the next.
const STEP_MS: i64 = 1_000;
/// After so long without a refusal nothing is paced any more.
const QUIET_MS: i64 = 600_000;
/// Requests are counted by the second for as long as the longest window of common limits, and the last of
/// them by the tenth of a second.
const COARSE: (i64, usize) = (1_000, 60);
const FINE: (i64, usize) = (100, 20);
/// A provider that asks for a longer wait than this counts by the minute, else by the second.
const SHORT_WAIT_MS: i64 = 5_000;
/// No rate is slower: one request in a minute and a half.
const SLOWEST: f64 = 1.0 / 90.0;

/// Requests that began in a span of time from `at` on, and those that were refused for a limit in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    at: i64,
    begun: u32,
    refused: u32,
}

/// Spans in a row: how long each is and how many there are at the most.
fn count(spans: &mut VecDeque<Span>, (length, most): (i64, usize), now: i64, begun: u32, refused: u32) {
    match spans.back_mut() {
        Some(span) if span.at + length > now => {
            span.begun = span.begun.saturating_add(begun);
            span.refused = span.refused.saturating_add(refused);
        }
        _ => spans.push_back(Span { at: now, begun, refused }),
    }
    while spans.len() > most {
        spans.pop_front();
    }
}

impl LaneState {
    /// Keeps the rate within what the configuration allows, in requests a minute.
    pub fn allow(&mut self, requests_per_minute: Option<u32>) {
        if let Some(allowed) = requests_per_minute {
            let allowed = f64::from(allowed.max(1)) / 60.0;
            self.rate = Some(self.rate.map_or(allowed, |rate| rate.min(allowed)));
        }
    }

    /// Requests that have begun without a slot of their own.
    pub fn begun(&mut self, now: i64, number: u32) {
        self.count(now, number, 0);
    }

    /// Gives out times at which requests may begin: at least one, and not far ahead.
    pub fn slots(&mut self, now: i64, wanted: usize) -> Vec<i64> {
        let Some(rate) = self.rate else { return vec![now; wanted] };
        let step = 1_000.0 / rate.max(SLOWEST);
        let ahead = ((250.0 / step) as usize).max(1);
        let number = wanted.clamp(1, ahead);
        let mut slots = Vec::with_capacity(number);
        for _ in 0..number {
            let at = self.next_slot.max(now as f64).max(self.blocked_until as f64);
            self.next_slot = at + step;
            slots.push(at.ceil() as i64);
        }
        self.count(now, number as u32, 0);
        slots
    }

    /// The rate that the provider bore before it refused.
    pub(super) fn borne(&self, now: i64, wait: i64) -> f64 {
        let (spans, window) = match wait {
            ..=1_500 => (&self.fine, 1_000),
            1_501..=SHORT_WAIT_MS => (&self.coarse, wait),
            _ => (&self.coarse, 60_000),
        };
        // A window that has only begun was used up in its beginning; the rest of it brings nothing more.
        let borne: i64 = spans
            .iter()
            .filter(|span| span.at > now - window)
            .map(|span| i64::from(span.begun) - i64::from(span.refused))
            .sum();
        (borne.max(1) as f64 * 1_000.0 / window as f64 * MARGIN).max(SLOWEST)
    }

    /// After one more hit: slower, unless the rate is only being learned, and longer without trying upwards.
    pub(super) fn slow_down(&mut self) {
        let (first, most) = HOLD_MS;
        self.hold_ms = if self.hold_ms == 0 { first } else { (self.hold_ms * 2).min(most) };
        if !self.learning {
            self.rate = self.rate.map(|rate| (rate * SLOWER).max(SLOWEST));
        }
    }

    pub(super) fn speed_up(&mut self, now: i64) {
        let Some(rate) = self.rate else { return };
        if now - self.limited_at >= QUIET_MS {
            self.rate = None;
            self.hold_ms = 0;
        } else if self.may_step(now) {
            self.rate = Some(rate * FASTER);
            self.stepped_at = now;
        }
    }

    /// Whether it is time to try the rate upwards.
    pub(super) fn may_step(&self, now: i64) -> bool {
        now - self.stepped_at.max(self.limited_at + self.hold_ms) >= STEP_MS
    }

    pub(super) fn count(&mut self, now: i64, begun: u32, refused: u32) {
        count(&mut self.coarse, COARSE, now, begun, refused);
        count(&mut self.fine, FINE, now, begun, refused);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn the_rate_is_what_was_borne_stragglers_counted() {
        let mut state = LaneState::default();
        // 74 began within 300 ms, of which 24 are refused one after the other.
        state.begun(NOW, 40);
        state.begun(NOW + 200, 34);
        for n in 0..24 {
            state.limited(NOW + 300 + n, Some(Duration::from_secs(1)));
        }
        let rate = state.rate.unwrap();
        assert!((47.0..48.0).contains(&rate), "{rate}");
        // 500 in 20 s of a minute that allows no more.
        let mut state = LaneState::default();
        for n in 0..20 {
            state.begun(NOW + n * 1_000, 25);
        }
        state.begun(NOW + 20_000, 1);
        state.limited(NOW + 20_000, Some(Duration::from_secs(40)));
        let rate = state.rate.unwrap() * 60.0;
        assert!((470.0..480.0).contains(&rate), "{rate} a minute");
    }

    #[test]
    fn slots_follow_the_rate_across_those_who_ask() {
        let mut state = LaneState { rate: Some(50.0), ..LaneState::default() };
        let mut slots = Vec::new();
        while slots.len() < 100 {
            slots.extend(state.slots(NOW, 7));
        }
        assert_eq!(slots[0], NOW);
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 20), "{slots:?}");
        let mut slow = LaneState { rate: Some(0.5), ..LaneState::default() };
        assert_eq!((slow.slots(NOW, 9), slow.slots(NOW, 9)), (vec![NOW], vec![NOW + 2_000]));
        assert_eq!(LaneState::default().slots(NOW, 3), [NOW; 3]);
    }

    #[test]
    fn a_rate_that_is_refused_falls_and_one_that_is_not_rises_slowly_until_it_is_forgotten() {
        let mut state = LaneState::default();
        state.begun(NOW, 50);
        state.limited(NOW + 100, Some(Duration::from_secs(1)));
        let learned = state.rate.unwrap();
        state.answered(NOW + 4_000, None);
        assert_eq!(state.rate, Some(learned), "not so soon");
        state.limited(NOW + 6_000, Some(Duration::from_secs(1)));
        state.limited(NOW + 6_005, Some(Duration::from_secs(1)));
        let fallen = state.rate.unwrap();
        assert!((fallen - learned * SLOWER).abs() < 1e-9, "one hit, one step");
        let quiet = NOW + 6_000 + 10_000;
        assert!(!state.is_news(quiet, None));
        let mut now = quiet + STEP_MS;
        assert!(state.is_news(now, None));
        state.answered(now, None);
        assert!((state.rate.unwrap() - fallen * FASTER).abs() < 1e-9);
        state.answered(now + 100, None);
        assert!((state.rate.unwrap() - fallen * FASTER).abs() < 1e-9, "a step at a time");
        now += QUIET_MS;
        state.answered(now, None);
        assert_eq!(state.rate, None);
    }

    #[test]
    fn what_the_configuration_allows_is_never_passed() {
        let mut state = LaneState::default();
        state.allow(Some(120));
        assert_eq!(state.rate, Some(2.0));
        state.rate = Some(0.5);
        state.allow(Some(120));
        assert_eq!(state.rate, Some(0.5));
        state.allow(None);
        assert_eq!(state.rate, Some(0.5));
    }
}
