//! What a provider lets through, as every process that asks it knows it: waits it asked for, the rate it
//! bears, and the circuit that opens when asking is pointless.
//!
//! ```text
//! free ──refused for a limit──▶ blocked until the time it asked for, then paced at the rate it bore
//!  ▲                              │  refused again: slower        nothing refused for a while: faster
//!  └──── ten quiet minutes ◀──────┘
//! closed ──no money, no right──▶ open ──its time is over──▶ one request tries ──answered──▶ closed
//!    └──eight failures in a row──▶ ▲                            └──failed: twice as long──▶ open
//! ```
//!
//! Times are the store's, in milliseconds.

mod pace;

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use pace::Span;

/// Failures in a row, with no answer between them, after which a provider counts as down.
const FAILURES_TO_OPEN: u32 = 8;
/// How long a circuit is open that opened for failures: first, and at the most.
const DOWN_MS: (i64, i64) = (2_000, 60_000);
/// The same for accounts without money and keys without right: a person has to act.
const SHUT_MS: (i64, i64) = (30_000, 900_000);
/// How long the one request that tries an open circuit may take before another one tries.
const TRIAL_MS: i64 = 120_000;
/// How long others wait before they look again whether it succeeded.
const LOOK_AGAIN_MS: i64 = 1_000;
/// How long a limit without a time of its own blocks.
const UNKNOWN_WAIT_MS: i64 = 1_000;

/// Why a lane is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Too many requests.
    Limit,
    /// The key has no right.
    Auth,
    /// The account has no money.
    Billing,
    /// It does not answer, or answers with faults.
    Down,
}

/// A circuit that is open, or was and has not been tried yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    pub cause: Cause,
    /// What the provider said.
    pub why: String,
    pub since: i64,
    /// When it is tried next.
    pub until: i64,
    /// How often it opened in a row.
    pub times: u32,
    /// Whether a request tries it now.
    #[serde(default)]
    trial: bool,
}

/// What is known of a lane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LaneState {
    /// No request begins before this time.
    #[serde(default)]
    pub blocked_until: i64,
    /// How many requests a second begin at the most; `None`: as many as come.
    #[serde(default)]
    pub rate: Option<f64>,
    /// When the next request may begin, where there is a rate. Fractions of a millisecond add up.
    #[serde(default)]
    next_slot: f64,
    /// When the last limit was hit.
    #[serde(default)]
    limited_at: i64,
    /// What is refused until then belongs to the same hit.
    #[serde(default)]
    limited_until: i64,
    /// Whether the rate was learned in that hit, so that its stragglers make it more exact.
    #[serde(default)]
    learning: bool,
    #[serde(default)]
    hold_ms: i64,
    #[serde(default)]
    stepped_at: i64,
    #[serde(default)]
    coarse: VecDeque<Span>,
    #[serde(default)]
    fine: VecDeque<Span>,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    #[serde(default)]
    pub circuit: Option<Circuit>,
}

/// Whether a request may begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    Open,
    /// Not before this time.
    Until {
        at: i64,
        cause: Cause,
        why: String,
    },
    /// The circuit was open; one request may try it.
    Trial,
}

impl LaneState {
    pub fn gate(&self, now: i64) -> Gate {
        if let Some(circuit) = &self.circuit {
            if now >= circuit.until {
                return Gate::Trial;
            }
            // While one request tries, the others look again soon whether it succeeded.
            let at = if circuit.trial { circuit.until.min(now + LOOK_AGAIN_MS) } else { circuit.until };
            return Gate::Until { at, cause: circuit.cause, why: circuit.why.clone() };
        }
        match now < self.blocked_until {
            true => {
                let why = "the provider asked to wait".to_owned();
                Gate::Until { at: self.blocked_until, cause: Cause::Limit, why }
            }
            false => Gate::Open,
        }
    }

    /// Somebody tries the open circuit: the others wait for what comes of it.
    pub fn begin_trial(&mut self, now: i64) {
        if let Some(circuit) = &mut self.circuit {
            circuit.until = now + TRIAL_MS;
            circuit.trial = true;
        }
        self.count(now, 1, 0);
    }

    /// A request was answered. `remaining`: how many more the provider allows, and in how many milliseconds
    /// that is refilled.
    pub fn answered(&mut self, now: i64, remaining: Option<(u64, i64)>) {
        self.failures = 0;
        self.circuit = None;
        if let Some((0, reset_ms)) = remaining {
            self.blocked_until = self.blocked_until.max(now + reset_ms.clamp(0, SHUT_MS.1));
        }
        self.speed_up(now);
    }

    /// Whether an answer is worth being written down.
    pub fn is_news(&self, now: i64, remaining: Option<(u64, i64)>) -> bool {
        self.failures > 0
            || self.circuit.is_some()
            || matches!(remaining, Some((0, _)))
            || (self.rate.is_some() && self.may_step(now))
    }

    /// A request was refused for a limit.
    pub fn limited(&mut self, now: i64, retry_after: Option<Duration>) {
        let wait = retry_after.map_or(UNKNOWN_WAIT_MS, |wait| millis(wait).max(1));
        self.count(now, 0, 1);
        // It answers, if only that, and a key without right or money gets another answer.
        self.failures = 0;
        if self.circuit.as_ref().is_some_and(|circuit| circuit.trial || circuit.cause == Cause::Down) {
            self.circuit = None;
        }
        self.blocked_until = self.blocked_until.max(now + wait);
        let same = now < self.limited_until;
        if !same {
            self.learning = self.rate.is_none();
            self.limited_at = now;
            self.slow_down();
        }
        if self.learning {
            self.rate = Some(self.borne(now, wait));
        }
        self.limited_until = self.limited_until.max(now + wait.max(UNKNOWN_WAIT_MS));
    }

    /// A request failed, and not for a limit.
    pub fn failed(&mut self, now: i64, cause: Cause, retry_after: Option<Duration>, why: &str) {
        self.failures = self.failures.saturating_add(1);
        if let Some(wait) = retry_after {
            self.blocked_until = self.blocked_until.max(now + millis(wait));
        }
        let times = match &self.circuit {
            // What was under way when it opened says nothing new.
            Some(circuit) if !circuit.trial => return,
            Some(circuit) => circuit.times + 1,
            None if cause == Cause::Down && self.failures < FAILURES_TO_OPEN => return,
            None => 1,
        };
        let (first, most) = if cause == Cause::Down { DOWN_MS } else { SHUT_MS };
        let open_for = first.saturating_mul(1 << (times - 1).min(16)).min(most);
        let since = self.circuit.as_ref().map_or(now, |circuit| circuit.since);
        let why = why.to_owned();
        self.circuit = Some(Circuit { cause, why, since, until: now + open_for, times, trial: false });
    }

    /// Forgets whatever keeps requests back.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000;

    fn shut_until(state: &LaneState, now: i64) -> Option<(i64, Cause)> {
        match state.gate(now) {
            Gate::Until { at, cause, .. } => Some((at, cause)),
            Gate::Open | Gate::Trial => None,
        }
    }

    #[test]
    fn an_asked_wait_is_kept_to_the_millisecond() {
        let mut state = LaneState::default();
        state.begun(NOW, 10);
        state.limited(NOW, Some(Duration::from_millis(1_500)));
        assert_eq!(shut_until(&state, NOW + 1_499), Some((NOW + 1_500, Cause::Limit)));
        assert_eq!(state.gate(NOW + 1_500), Gate::Open);
        // A shorter one that comes later does not shorten it.
        state.limited(NOW + 10, Some(Duration::from_millis(100)));
        assert_eq!(shut_until(&state, NOW + 1_000), Some((NOW + 1_500, Cause::Limit)));
    }

    #[test]
    fn a_billing_error_opens_the_circuit_at_once_and_one_request_tries_it() {
        let mut state = LaneState::default();
        state.failed(NOW, Cause::Billing, None, "no credit left");
        assert_eq!(shut_until(&state, NOW + 29_999), Some((NOW + 30_000, Cause::Billing)));
        // Requests under way when it opened change nothing.
        state.failed(NOW + 50, Cause::Billing, None, "no credit left");
        assert_eq!(shut_until(&state, NOW + 60), Some((NOW + 30_000, Cause::Billing)));
        let later = NOW + 30_000;
        assert_eq!(state.gate(later), Gate::Trial);
        state.begin_trial(later);
        assert_eq!(shut_until(&state, later), Some((later + LOOK_AGAIN_MS, Cause::Billing)));
        state.failed(later + 100, Cause::Billing, None, "no credit left");
        assert_eq!(shut_until(&state, later + 100), Some((later + 100 + 60_000, Cause::Billing)));
        let mut state = state.clone();
        state.begin_trial(later + 60_100);
        state.answered(later + 60_200, None);
        assert_eq!(state.gate(later + 60_200), Gate::Open);
    }

    #[test]
    fn a_trial_that_is_never_heard_of_again_is_followed_by_another() {
        let mut state = LaneState::default();
        state.failed(NOW, Cause::Auth, None, "no such key");
        state.begin_trial(NOW + 30_000);
        assert_eq!(state.gate(NOW + 30_000 + TRIAL_MS), Gate::Trial);
    }

    #[test]
    fn eight_failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let mut state = LaneState::default();
        for n in 0..7 {
            state.failed(NOW + n, Cause::Down, None, "bad gateway");
        }
        assert_eq!(state.gate(NOW + 7), Gate::Open);
        assert!(state.is_news(NOW + 7, None));
        state.answered(NOW + 7, None);
        for n in 0..8 {
            assert_eq!(state.gate(NOW + n), Gate::Open);
            state.failed(NOW + n, Cause::Down, None, "bad gateway");
        }
        assert_eq!(shut_until(&state, NOW + 8), Some((NOW + 7 + 2_000, Cause::Down)));
        for times in 1..12 {
            let now = NOW + times * 100_000;
            state.begin_trial(now);
            state.failed(now, Cause::Down, None, "bad gateway");
        }
        let now = NOW + 1_100_000;
        assert_eq!(shut_until(&state, now), Some((now + 60_000, Cause::Down)));
        state.reset();
        assert_eq!(state.gate(now), Gate::Open);
    }

    #[test]
    fn the_last_request_that_is_allowed_blocks_until_the_refill() {
        let mut state = LaneState::default();
        assert!(!state.is_news(NOW, Some((3, 900))) && state.is_news(NOW, Some((0, 900))));
        state.answered(NOW, Some((3, 900)));
        assert_eq!(state.gate(NOW), Gate::Open);
        state.answered(NOW, Some((0, 900)));
        assert_eq!(shut_until(&state, NOW + 899), Some((NOW + 900, Cause::Limit)));
    }

    #[test]
    fn what_is_stored_stays_small() {
        let mut state = LaneState::default();
        for n in 0..500 {
            state.begun(NOW + n * 1_000, 3);
        }
        let json = serde_json::to_string(&state).unwrap();
        assert!(json.len() < 6_000, "{}", json.len());
        assert_eq!(serde_json::from_str::<LaneState>(&json).unwrap(), state);
    }
}
