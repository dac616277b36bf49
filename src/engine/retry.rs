//! When a failed attempt is tried again.

use std::time::Duration;

/// What an attempt failed of, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Whether another attempt may help.
    pub retryable: bool,
    /// How long the other side asked to wait.
    pub retry_after: Option<Duration>,
}

/// The bounds of trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts before a job is dead; 1 never tries again.
    pub max_attempts: u32,
    /// The ceiling of the first wait; it doubles with every failure.
    pub base: Duration,
    /// No wait of our own choosing is longer.
    pub cap: Duration,
}

/// The longest wait that another side may ask for; beyond it, it is cut.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    RetryAfter(Duration),
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the `failures`-th failure (the first is 1). `jitter` is a random number in
    /// 0..1: the wait is drawn from the whole range ("full jitter"), so that jobs that failed
    /// together do not come back together.
    pub fn decide(&self, failures: u32, failure: Failure, jitter: f64) -> Decision {
        if !failure.retryable || failures >= self.max_attempts {
            return Decision::GiveUp;
        }
        let ceiling = self.base.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(self.cap);
        let own = ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(Duration::from_millis(50));
        Decision::RetryAfter(match failure.retry_after {
            // Never before the asked time; a little later each, so that not all come at once.
            Some(asked) => asked.min(LONGEST_ASKED_WAIT) + own.mul_f64(0.1),
            None => own,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { max_attempts: 4, base: Duration::from_secs(2), cap: Duration::from_secs(60) };
    const FAULT: Failure = Failure { retryable: true, retry_after: None };

    #[test]
    fn waits_double_and_stay_below_the_cap() {
        assert_eq!(POLICY.decide(1, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(2)));
        assert_eq!(POLICY.decide(2, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(4)));
        let many = RetryPolicy { max_attempts: 100, ..POLICY };
        assert_eq!(many.decide(99, FAULT, 1.0), Decision::RetryAfter(Duration::from_secs(60)));
    }

    #[test]
    fn the_last_attempt_and_hopeless_failures_give_up() {
        assert_eq!(POLICY.decide(4, FAULT, 0.5), Decision::GiveUp);
        assert_eq!(POLICY.decide(1, Failure { retryable: false, ..FAULT }, 0.5), Decision::GiveUp);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_never_shortened() {
        let asked = Failure { retry_after: Some(Duration::from_secs(90)), ..FAULT };
        let Decision::RetryAfter(wait) = POLICY.decide(1, asked, 0.0) else { panic!("gives up") };
        assert!(wait >= Duration::from_secs(90) && wait < Duration::from_secs(91));
    }
}
