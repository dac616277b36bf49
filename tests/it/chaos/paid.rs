//! No answer is paid for twice.
//!
//! The promise: an answer is journaled before it is used, and whoever comes later uses the journal's. A
//! process that dies between the last byte of an answer and the journal takes it with it: that one has to
//! be paid for again, and nobody could have known. Held against what the model server saw, exactly:
//!
//! 1. **Who begins after an answer was journaled does not ask.** An attempt whose begin (as its job
//!    says) lies after the moment when the answer was certainly in the journal made no request. That
//!    moment is the earlier of two: when the store told a listener of the write, and when the process
//!    that made the journaled attempt was dead. Each comes after the write itself, so this accuses nobody
//!    wrongly; all processes share one clock.
//! 2. **An attempt is answered once.** A process got at most as many whole answers for a job as it made
//!    attempts at it. An answer is whole when all its bytes were written to a client that was there.
//! 3. **Who asks has an attempt.** Every request follows the begin of an attempt of its process.
//! 4. **What is in the journal is what is used.** Every answer is unlike every other, and the result's
//!    text is the journal's.
//!
//! It follows that a job with n attempts was paid for at most n times, and once more only for an attempt
//! that lost its answer before the journal had it. Those are counted as paid again.

use std::collections::{BTreeMap, BTreeSet};

use productforge::model::{Attempt, Job, JobState};

use super::{
    board::Start,
    contents::Contents,
    model::{Asked, fingerprint},
    oracle::Verdict,
    watch::Seen,
};

/// What a dead process had sent is with the store by then, or never.
const ON_ITS_WAY_US: i64 = 50_000;
/// How late a request can leave a process that has lost its attempt already.
const LATE_US: i64 = 500_000;

pub fn judge(contents: &Contents, seen: &Seen, asked: &[Asked], starts: &[Start], verdict: &mut Verdict) {
    let mut by_prompt: BTreeMap<u64, Vec<&Asked>> = BTreeMap::new();
    for ask in asked {
        by_prompt.entry(ask.prompt).or_default().push(ask);
    }
    for (id, job) in &contents.jobs {
        let Some(call) = contents.calls.get(id) else {
            if job.state == JobState::Completed {
                verdict.wrong.push(format!("job {id} is completed and nothing is in the journal"));
            }
            continue;
        };
        if job.state == JobState::Completed
            && contents.results.get(id).is_some_and(|result| result.output != call.answer)
        {
            verdict
                .paid_twice
                .push(format!("paid twice: the result of job {id} is not the journal's answer"));
        }
        let asks = by_prompt.remove(&fingerprint(&call.messages)).unwrap_or_default();
        let answered = asks.iter().filter(|ask| ask.answered_us.is_some()).count();
        verdict.paid_again += answered.saturating_sub(1);
        let maker = job.attempts.iter().find(|a| a.number == call.attempt).and_then(pid);
        let died = starts.iter().filter(|s| Some(s.pid) == maker).find_map(|s| s.dead_us);
        let journaled = seen.journaled.get(id).copied().into_iter().chain(died.map(|us| us + ON_ITS_WAY_US));
        let journaled = journaled.min().unwrap_or(i64::MAX);
        look_at(job, &asks, starts, journaled, verdict);
    }
    // What is left belongs to jobs that ended before any answer was journaled.
    let unanswered = contents.jobs.keys().filter(|id| !contents.calls.contains_key(*id)).count();
    if by_prompt.len() > unanswered {
        let prompts = by_prompt.len();
        verdict.wrong.push(format!("{prompts} prompts were asked for only {unanswered} jobs without a call"));
    }
}

fn look_at(job: &Job, asks: &[&Asked], starts: &[Start], journaled: i64, verdict: &mut Verdict) {
    let id = &job.job_id;
    let processes: BTreeSet<usize> = asks.iter().map(|ask| ask.process).collect();
    for process in processes {
        let number = starts.iter().find(|s| s.number == process).map(|s| s.pid);
        let attempts: Vec<&Attempt> = job.attempts.iter().filter(|a| pid(a) == number).collect();
        let asks: Vec<_> = asks.iter().filter(|ask| ask.process == process).collect();
        let answered = asks.iter().filter(|ask| ask.answered_us.is_some()).count();
        if answered > attempts.len() {
            let made = attempts.len();
            verdict
                .paid_twice
                .push(format!("paid twice: {made} attempts at job {id} got {answered} answers"));
        }
        for ask in asks {
            let begun = |a: &&&Attempt| a.started_at.timestamp_micros() <= ask.at_us;
            let running = |a: &&&Attempt| {
                begun(a) && a.ended_at.is_none_or(|end| ask.at_us <= end.timestamp_micros() + LATE_US)
            };
            // A process that was frozen may ask for an attempt that was given up long ago.
            let first = attempts.iter().find(running).or_else(|| attempts.iter().rfind(begun));
            let Some(first) = first else {
                verdict
                    .paid_twice
                    .push(format!("paid twice: {ask:?} for job {id} has no attempt: {attempts:?}"));
                continue;
            };
            if first.started_at.timestamp_micros() > journaled {
                let late = first.started_at.timestamp_micros() - journaled;
                verdict.paid_twice.push(format!(
                    "paid twice: attempt {} at job {id} asked, and its answer was in the journal {late} µs before it began",
                    first.number
                ));
            }
        }
    }
}

/// The process of an attempt: `host-pid-…`.
fn pid(attempt: &Attempt) -> Option<u32> {
    attempt.worker.rsplit('-').nth(1)?.parse().ok()
}
