//! A limit of requests as providers have it: so many in every span of time, wherever it begins.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Reply;

/// Counts the requests that were let through.
#[derive(Debug)]
pub(super) struct Limit {
    most: usize,
    window: Duration,
    let_through: VecDeque<Instant>,
    pub refused: usize,
}

impl Limit {
    pub(super) fn new(most: usize, window: Duration) -> Self {
        Self { most, window, let_through: VecDeque::new(), refused: 0 }
    }

    /// The refusal of a request that comes now, if it is one too many.
    pub(super) fn refuse(&mut self, now: Instant) -> Option<Reply> {
        while self.let_through.front().is_some_and(|at| now.duration_since(*at) >= self.window) {
            self.let_through.pop_front();
        }
        if self.let_through.len() < self.most {
            self.let_through.push_back(now);
            return None;
        }
        self.refused += 1;
        let wait = self.let_through.front().map_or(self.window, |at| self.window - now.duration_since(*at));
        // The exact wait, rounded up to what the header can say.
        let millis = wait.as_micros().div_ceil(1_000);
        Some(
            Reply::rate_limited()
                .header("retry-after-ms", &millis.to_string())
                .header("retry-after", &millis.div_ceil(1_000).to_string())
                .header("x-ratelimit-limit-requests", &self.most.to_string())
                .header("x-ratelimit-remaining-requests", "0")
                .header("x-ratelimit-reset-requests", &format!("{millis}ms")),
        )
    }
}
