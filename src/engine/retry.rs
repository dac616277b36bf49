//! When a failed attempt is tried again.
//!
//! Every class of failure has a curve of its own (see [`CURVES`]): the ceiling of the wait doubles
//! with every failure up to a cap, and the wait itself is drawn from the whole range below it
//! ("full jitter"), so that jobs that failed together do not come back together.

use std::time::Duration;

use crate::model::FailureClass;

/// What an attempt failed of, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// How long the other side asked to wait.
    pub retry_after: Option<Duration>,
}

/// How the waits of a class grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// The ceiling of the first wait, in parts of [`RetryPolicy::base`].
    pub first: f64,
    /// No wait of our own choosing is longer, unless the base is.
    pub cap: Duration,
}

/// The curves. A broken connection is worth a quick look; a limit takes a while to refill; a store
/// that is back is back at once.
pub const CURVES: [(FailureClass, Curve); 6] = [
    (FailureClass::Connection, Curve { first: 0.5, cap: Duration::from_secs(30) }),
    (FailureClass::Timeout, Curve { first: 1.0, cap: Duration::from_secs(60) }),
    (FailureClass::ServerError, Curve { first: 1.0, cap: Duration::from_secs(60) }),
    (FailureClass::RateLimited, Curve { first: 2.5, cap: Duration::from_secs(300) }),
    (FailureClass::Store, Curve { first: 0.1, cap: Duration::from_secs(5) }),
    (FailureClass::Other, Curve { first: 1.0, cap: Duration::from_secs(60) }),
];

/// The bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts before a job is dead; 1 never tries again.
    pub max_attempts: u32,
    /// What the first waits are measured in.
    pub base: Duration,
}

/// No wait is shorter: a failure that comes back at once must not spin.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait that another side may ask for; beyond it, it is cut.
pub const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    RetryAfter(Duration),
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the `failures`-th failure (the first is 1). `jitter` is a random number in 0..1.
    pub fn decide(&self, failures: u32, failure: Failure, jitter: f64) -> Decision {
        if !failure.retryable || failures >= self.max_attempts {
            return Decision::GiveUp;
        }
        let ceiling = self.ceiling(failure.class, failures);
        let own = ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(SHORTEST_WAIT);
        Decision::RetryAfter(match failure.retry_after {
            // Never before the asked time; a little later each, so that not all come at once.
            Some(asked) => asked.min(LONGEST_ASKED_WAIT) + own.mul_f64(0.1),
            None => own,
        })
    }

    /// The longest wait of our own choosing after so many failures of this class.
    pub fn ceiling(&self, class: FailureClass, failures: u32) -> Duration {
        let curve = curve(class);
        let first = self.base.mul_f64(curve.first);
        let doubled = first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        doubled.min(curve.cap.max(self.base))
    }
}

fn curve(class: FailureClass) -> Curve {
    let found = CURVES.iter().find(|(of, _)| *of == class);
    found.map_or(Curve { first: 1.0, cap: Duration::from_secs(60) }, |(_, curve)| *curve)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 4, base: Duration::from_secs(2) };
    const FAULT: Failure = Failure { class: FailureClass::ServerError, retryable: true, retry_after: None };

    fn wait(decision: Decision) -> Duration {
        match decision {
            Decision::RetryAfter(wait) => wait,
            Decision::GiveUp => panic!("gives up"),
        }
    }

    #[test]
    fn waits_double_and_stay_below_the_cap() {
        assert_eq!(POLICY.decide(1, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(2)));
        assert_eq!(POLICY.decide(2, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(4)));
        let many = RetryPolicy { max_attempts: 100, ..POLICY };
        assert_eq!(many.decide(99, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(60)));
    }

    #[test]
    fn a_rate_limit_waits_longer_and_a_busy_store_shorter_than_a_fault() {
        let first = |class| wait(POLICY.decide(1, Failure { class, ..FAULT }, 1.0));
        assert_eq!(first(FailureClass::RateLimited), Duration::from_secs(5));
        assert_eq!(first(FailureClass::Connection), Duration::from_secs(1));
        assert_eq!(first(FailureClass::Store), Duration::from_millis(200));
    }

    #[test]
    fn every_class_has_one_curve() {
        for class in FailureClass::ALL {
            assert_eq!(CURVES.iter().filter(|(of, _)| *of == class).count(), 1, "{class:?}");
        }
    }

    #[test]
    fn the_last_attempt_and_hopeless_failures_give_up() {
        assert_eq!(POLICY.decide(4, FAULT, 0.5), Decision::GiveUp);
        assert_eq!(POLICY.decide(1, Failure { retryable: false, ..FAULT }, 0.5), Decision::GiveUp);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_never_shortened() {
        let asked = Failure { retry_after: Some(Duration::from_secs(90)), ..FAULT };
        let wait = wait(POLICY.decide(1, asked, 0.0));
        assert!(wait >= Duration::from_secs(90) && wait < Duration::from_secs(91));
    }

    fn any_class() -> impl Strategy<Value = FailureClass> {
        (0..FailureClass::ALL.len()).prop_map(|i| FailureClass::ALL[i])
    }

    fn any_policy() -> impl Strategy<Value = RetryPolicy> {
        (1u32..200, 0u64..4_000_000)
            .prop_map(|(max_attempts, ms)| RetryPolicy { max_attempts, base: Duration::from_millis(ms) })
    }

    proptest! {
        #[test]
        fn a_wait_of_our_own_lies_between_the_shortest_and_the_ceiling(
            policy in any_policy(), class in any_class(), failures in 1u32.., jitter in 0.0f64..=1.0,
        ) {
            let failure = Failure { class, ..FAULT };
            match policy.decide(failures, failure, jitter) {
                Decision::GiveUp => prop_assert!(failures >= policy.max_attempts),
                Decision::RetryAfter(wait) => {
                    prop_assert!(failures < policy.max_attempts);
                    prop_assert!(wait >= SHORTEST_WAIT);
                    prop_assert!(wait <= policy.ceiling(class, failures).max(SHORTEST_WAIT));
                }
            }
        }

        #[test]
        fn the_ceiling_never_falls_and_never_passes_its_cap(
            policy in any_policy(), class in any_class(), failures in 1u32..60,
        ) {
            let (now, next) = (policy.ceiling(class, failures), policy.ceiling(class, failures + 1));
            prop_assert!(now <= next);
            prop_assert!(next <= curve(class).cap.max(policy.base));
        }

        #[test]
        fn an_asked_wait_is_kept_up_to_a_day_and_hardly_stretched(
            policy in any_policy(), class in any_class(), asked_s in 0u64..1_000_000, jitter in 0.0f64..=1.0,
        ) {
            let asked = Duration::from_secs(asked_s);
            let failure = Failure { class, retry_after: Some(asked), ..FAULT };
            if let Decision::RetryAfter(wait) = policy.decide(1, failure, jitter) {
                let kept = asked.min(LONGEST_ASKED_WAIT);
                prop_assert!(wait >= kept);
                prop_assert!(wait - kept <= policy.ceiling(class, 1).max(SHORTEST_WAIT).mul_f64(0.11));
            }
        }

        #[test]
        fn waits_spread_over_the_whole_range(class in any_class(), failures in 1u32..6) {
            let policy = RetryPolicy { max_attempts: 100, base: Duration::from_secs(4) };
            let at = |jitter| wait(policy.decide(failures, Failure { class, ..FAULT }, jitter));
            let ceiling = policy.ceiling(class, failures);
            prop_assert_eq!(at(1.0), ceiling);
            prop_assert_eq!(at(0.5), ceiling.mul_f64(0.5).max(SHORTEST_WAIT));
            prop_assert_eq!(at(0.0), SHORTEST_WAIT);
        }
    }
}
