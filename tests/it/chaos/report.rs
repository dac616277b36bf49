//! The table at the end of a run, printed also when all is well.

use std::{fmt, time::Duration};

use super::{
    board::{Accepted, Blows},
    contents::Contents,
    oracle::Verdict,
    plan::{Engine, Settings},
    watch::Seen,
};

pub struct Report<'a> {
    pub settings: Settings,
    pub accepted: &'a Accepted,
    pub blows: Blows,
    pub contents: &'a Contents,
    pub seen: &'a Seen,
    pub verdict: &'a Verdict,
    pub wall: Duration,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, contents) = (self.verdict, self.contents);
        let second_attempts = contents.jobs.values().filter(|job| job.attempts.len() > 1).count();
        let rows: [(&str, String); 18] = [
            ("engine", format!("{:?}", self.settings.engine).to_lowercase()),
            ("seed", self.settings.seed.to_string()),
            ("requests accepted", self.accepted.requests().to_string()),
            ("requests unsure", self.accepted.unsure.to_string()),
            ("jobs", contents.jobs.len().to_string()),
            ("results", contents.results.len().to_string()),
            ("jobs with several attempts", second_attempts.to_string()),
            ("jobs failed as poison", verdict.poisoned.to_string()),
            ("kills / stops / suspends", self.blows_to_processes()),
            ("store kills", self.blows.store_kills.to_string()),
            ("network faults", self.blows.network.to_string()),
            ("answers lost by crashes, paid again", verdict.paid_again.to_string()),
            ("lost", verdict.lost.len().to_string()),
            ("duplicates", verdict.duplicates.len().to_string()),
            ("stuck", self.stuck()),
            ("paid twice", verdict.paid_twice.len().to_string()),
            ("wrong otherwise", verdict.wrong.len().to_string()),
            ("wall time", format!("{:.1} s", self.wall.as_secs_f64())),
        ];
        for (what, number) in rows {
            writeln!(f, "  {what:<36} {number}")?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn blows_to_processes(&self) -> String {
        format!("{} / {} / {}", self.blows.kills, self.blows.stops, self.blows.suspends)
    }

    fn stuck(&self) -> String {
        let (lease, still) = (self.seen.worst_overdue, self.seen.worst_standstill);
        let still = format!("longest standstill {:.1} s", still.as_secs_f64());
        let worst = match self.settings.engine {
            Engine::Redis => format!("longest past its lease {:.1} s, {still}", lease.as_secs_f64()),
            Engine::Sqlite => still,
        };
        format!("{} ({worst})", self.verdict.stuck.len())
    }
}
