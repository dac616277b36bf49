//! The attempts of a job on a line of time: pure geometry, drawn by its template, and the rows of its table.

use serde::Serialize;

use super::{throughput::percent, workflow_view::seconds_between};
use crate::model::{Attempt, AttemptOutcome, Job, Timestamp, iso};

/// The most attempts that are shown; the latest ones.
const MOST: usize = 50;
/// The height of one row, in pixels.
const ROW: usize = 24;
/// The least width of what has happened, in per cent.
const LEAST: f64 = 0.6;

/// One attempt.
#[derive(Debug, Serialize)]
pub struct AttemptView {
    pub number: u32,
    /// The class of its colour.
    pub kind: &'static str,
    pub outcome: &'static str,
    pub class: Option<&'static str>,
    pub worker: String,
    pub started_at: String,
    pub seconds: f64,
    /// How long it waited before it.
    pub waited: f64,
    pub error: Option<String>,
    pub y: usize,
    pub wait_x: String,
    pub wait_width: String,
    pub x: String,
    pub width: String,
}

/// The timeline.
#[derive(Debug, Serialize)]
pub struct Timeline {
    pub attempts: Vec<AttemptView>,
    pub height: usize,
    pub row: usize,
    pub seconds: f64,
    /// How many earlier ones are left out.
    pub left_out: usize,
    pub name: String,
}

impl Timeline {
    /// Nothing for a job without attempts.
    pub fn new(job: &Job, now: Timestamp) -> Option<Self> {
        let left_out = job.attempts.len().saturating_sub(MOST);
        let shown = &job.attempts[left_out..];
        let last = shown.last()?;
        let begin = match left_out.checked_sub(1).and_then(|before| job.attempts.get(before)) {
            Some(before) => ended(before, now),
            None => job.created_at,
        };
        let end = ended(last, now).max(begin);
        let whole = seconds_between(begin, end).max(0.001);
        let place = |at: Timestamp| seconds_between(begin, at) / whole * 100.0;
        let mut free_since = begin;
        let attempts = shown.iter().enumerate().map(|(n, attempt)| {
            // A job that was brought back had ended meanwhile, and waited for nobody.
            let back =
                job.replays.iter().map(|replay| replay.at).filter(|at| *at <= attempt.started_at).max();
            let since = free_since.max(back.unwrap_or(free_since));
            let until = ended(attempt, now);
            let x = place(attempt.started_at).min(100.0 - LEAST);
            let wait_x = place(since).min(x);
            free_since = until;
            AttemptView {
                number: attempt.number,
                kind: kind(attempt),
                outcome: outcome(attempt),
                class: attempt.class.map(class_word),
                worker: attempt.worker.clone(),
                started_at: iso::format(&attempt.started_at),
                seconds: seconds_between(attempt.started_at, until),
                waited: seconds_between(since, attempt.started_at),
                error: attempt.error.clone(),
                y: n * ROW,
                wait_x: percent(wait_x),
                wait_width: percent(x - wait_x),
                x: percent(x),
                width: percent((place(until).min(100.0) - x).max(LEAST)),
            }
        });
        let attempts: Vec<_> = attempts.collect();
        let name = match attempts.len() {
            1 => format!("One attempt, {}", outcome(last)),
            n => format!("{n} attempts, the last one {}", outcome(last)),
        };
        let height = attempts.len() * ROW;
        Some(Self { attempts, height, row: ROW, seconds: whole, left_out, name })
    }
}

fn ended(attempt: &Attempt, now: Timestamp) -> Timestamp {
    attempt.ended_at.unwrap_or(now).max(attempt.started_at)
}

/// The class of a failure in words.
pub fn class_word(class: crate::model::FailureClass) -> &'static str {
    use crate::model::FailureClass as Class;
    match class {
        Class::Connection => "connection",
        Class::Timeout => "time-out",
        Class::ServerError => "server error",
        Class::RateLimited => "rate limit",
        Class::Store => "store",
        Class::Other => "other",
    }
}

fn kind(attempt: &Attempt) -> &'static str {
    match attempt.outcome {
        None => "running",
        Some(AttemptOutcome::Completed) => "completed",
        Some(AttemptOutcome::Failed | AttemptOutcome::TimedOut | AttemptOutcome::Crashed) => "failed",
        Some(AttemptOutcome::Released | AttemptOutcome::Cancelled) => "cancelled",
        Some(AttemptOutcome::Postponed) => "retrying",
    }
}

fn outcome(attempt: &Attempt) -> &'static str {
    match attempt.outcome {
        None => "running",
        Some(AttemptOutcome::Completed) => "completed",
        Some(AttemptOutcome::Failed) => "failed",
        Some(AttemptOutcome::TimedOut) => "timed out",
        Some(AttemptOutcome::Released) => "given back",
        Some(AttemptOutcome::Crashed) => "crashed",
        Some(AttemptOutcome::Cancelled) => "cancelled",
        Some(AttemptOutcome::Postponed) => "put off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobState, Replay};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn attempt(number: u32, from: i64, to: Option<i64>, outcome: Option<AttemptOutcome>) -> Attempt {
        Attempt {
            number,
            worker: "w".to_owned(),
            token: None,
            started_at: at(from),
            ended_at: to.map(at),
            outcome,
            class: None,
            error: None,
        }
    }

    fn job(attempts: Vec<Attempt>) -> Job {
        let text = r#"{"job_id": "j", "mode": "task", "state": "running", "agent": "a", "priority": "normal",
            "task": "t", "created_at": "2026-09-21T14:13:20+00:00"}"#;
        let mut job: Job = serde_json::from_str(text).unwrap();
        job.created_at = at(0);
        job.attempts = attempts;
        job
    }

    fn number(text: &str) -> f64 {
        text.trim_end_matches('%').parse().unwrap()
    }

    #[test]
    fn waits_and_attempts_follow_one_another_over_the_whole_width() {
        let failed = Some(AttemptOutcome::Failed);
        let job = job(vec![attempt(1, 10, Some(20), failed), attempt(2, 50, None, None)]);
        let line = Timeline::new(&job, at(100)).unwrap();
        let spans: Vec<_> = line
            .attempts
            .iter()
            .map(|a| [&a.wait_x, &a.wait_width, &a.x, &a.width].map(|text| number(text)))
            .collect();
        assert_eq!(spans, [[0.0, 10.0, 10.0, 10.0], [20.0, 30.0, 50.0, 50.0]]);
        let waits: Vec<_> = line.attempts.iter().map(|a| (a.waited, a.seconds, a.kind)).collect();
        assert_eq!(waits, [(10.0, 10.0, "failed"), (30.0, 50.0, "running")]);
        assert_eq!((line.height, line.name.as_str()), (48, "2 attempts, the last one running"));
    }

    #[test]
    fn a_job_that_lay_dead_did_not_wait_for_its_replay() {
        let failed = Some(AttemptOutcome::Failed);
        let mut job = job(vec![attempt(1, 0, Some(10), failed), attempt(2, 95, Some(100), failed)]);
        job.replays.push(Replay { at: at(90), after_attempts: 1 });
        job.state = JobState::Failed;
        let line = Timeline::new(&job, at(500)).unwrap();
        assert_eq!(line.attempts[1].waited, 5.0);
    }

    #[test]
    fn clocks_that_differ_and_very_many_attempts_break_nothing() {
        let released = Some(AttemptOutcome::Released);
        let odd = job(vec![attempt(1, -50, Some(-60), released)]);
        let line = Timeline::new(&odd, at(-100)).unwrap();
        assert!(number(&line.attempts[0].x) + number(&line.attempts[0].width) <= 100.0 + 1e-9);
        let many: Vec<_> = (0..200u32)
            .map(|n| attempt(n + 1, i64::from(n) * 2, Some(i64::from(n) * 2 + 1), released))
            .collect();
        let line = Timeline::new(&job(many), at(1000)).unwrap();
        assert_eq!((line.attempts.len(), line.left_out, line.attempts[0].number), (50, 150, 151));
        assert!(Timeline::new(&job(Vec::new()), at(0)).is_none());
    }
}
