//! A job as lists show it: what it is, and why it is where it is.

use serde::Serialize;

use super::step_view::title_of;
use crate::{
    http::render::first_line,
    model::{DeadReason, JobMode, JobState, Priority, iso},
    service::jobs::JobRow,
};

/// A row of a list of jobs.
#[derive(Debug, Serialize)]
pub struct JobLine {
    pub id: String,
    pub title: String,
    pub state: &'static str,
    /// What kind of work it is.
    pub kind: String,
    pub agent: String,
    pub priority: &'static str,
    pub attempts: usize,
    /// Why it waits, or what it failed of.
    pub why: String,
    /// When it falls due.
    pub due_at: Option<String>,
    pub workflow_id: Option<String>,
    pub dead: Option<&'static str>,
    pub created_at: String,
    pub ended_at: Option<String>,
}

impl JobLine {
    /// `paused`: which queues are paused, most urgent first.
    pub fn new(row: &JobRow, paused: [bool; 3]) -> Self {
        let title = first_line(&row.task);
        Self {
            id: row.job_id.clone(),
            title: if row.task.trim().is_empty() { row.job_id.clone() } else { title },
            state: row.state.as_str(),
            kind: kind_of(row.mode, row.step.as_deref(), row.round),
            agent: row.agent.clone(),
            priority: priority_word(row.priority),
            attempts: row.attempts,
            why: why(row, paused),
            due_at: row.due_at.map(|at| iso::format(&at)),
            workflow_id: row.workflow_id.clone(),
            dead: row.dead_reason.map(dead_word),
            created_at: iso::format(&row.created_at),
            ended_at: row.ended_at.map(|at| iso::format(&at)),
        }
    }
}

/// What kind of work a job is, in words.
pub fn kind_of(mode: JobMode, step: Option<&str>, round: Option<u32>) -> String {
    match (mode, step) {
        (JobMode::Step, Some(step)) => match round {
            Some(round) if round > 1 => format!("{}, round {round}", title_of(step)),
            _ => title_of(step),
        },
        (JobMode::Step, None) => "Step".to_owned(),
        (JobMode::Task, _) => "Task".to_owned(),
        (JobMode::Review, _) => "Review".to_owned(),
        (JobMode::Analyze, _) => "Analysis of an upload".to_owned(),
    }
}

pub fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// Why a job is dead, in words.
pub fn dead_word(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Unreadable => "unreadable",
        DeadReason::Poison => "poison",
        DeadReason::Exhausted => "attempts used up",
        DeadReason::Permanent => "cannot work",
    }
}

fn why(row: &JobRow, paused: [bool; 3]) -> String {
    let queue = match row.priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    };
    match (row.state, &row.waits_for) {
        (JobState::Queued | JobState::Scheduled, Some(what)) => waits_for(what),
        (JobState::Queued, None) if paused[queue] => {
            format!("the {} queue is paused", priority_word(row.priority))
        }
        (JobState::Queued, None) => "waits for a free slot".to_owned(),
        (JobState::Scheduled, None) if row.attempts > 0 => format!("attempt {} failed", row.attempts),
        (JobState::Scheduled, None) => "begins at its time".to_owned(),
        (JobState::Running, _) => format!("attempt {}", row.attempts.max(1)),
        (JobState::Failed | JobState::Cancelled, _) => first_line(row.error.as_deref().unwrap_or("–")),
        (JobState::Completed, _) => match row.attempts {
            0 | 1 => String::new(),
            n => format!("after {n} attempts"),
        },
    }
}

/// What a job waits for beside a free slot, in words.
fn waits_for(what: &str) -> String {
    match what.split_once(':') {
        Some(("agent", name)) => format!("{name} runs as many jobs as it may"),
        Some(("model", name)) => format!("{name} runs as many jobs as it may"),
        Some(("provider", name)) => format!("{name} asked to wait, or is not asked"),
        Some(("budget", whose)) => format!("the budget of its {whose} is used up"),
        _ => format!("waits for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_waits_for_is_said_in_words() {
        assert_eq!(waits_for("agent:qa_bot"), "qa_bot runs as many jobs as it may");
        assert_eq!(waits_for("provider:groq"), "groq asked to wait, or is not asked");
        assert_eq!(waits_for("budget:workflow"), "the budget of its workflow is used up");
        assert_eq!(waits_for("rain"), "waits for rain");
    }
}
