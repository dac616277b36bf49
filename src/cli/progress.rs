//! A run in the terminal: one line a step, live where stderr is a terminal, else a line a change.

use std::{collections::HashMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::{Step, StepStatus, Workflow};

use super::note;

/// How the progress of one workflow is shown on stderr.
pub(super) enum Progress {
    Live(Live),
    Plain(Plain),
}

impl Progress {
    pub(super) fn new(terminal: bool) -> Self {
        if terminal { Self::Live(Live::default()) } else { Self::Plain(Plain::default()) }
    }

    /// Shows the workflow as it is now.
    pub(super) fn update(&mut self, workflow: &Workflow) {
        for step in &workflow.steps {
            match self {
                Self::Live(live) => live.show(step),
                Self::Plain(plain) => plain.show(step),
            }
        }
    }

    /// Lets something else have the terminal meanwhile.
    pub(super) async fn suspended<T>(&self, what: impl Future<Output = T>) -> T {
        let Self::Live(live) = self else { return what.await };
        live.screen.set_draw_target(ProgressDrawTarget::hidden());
        let done = what.await;
        live.screen.set_draw_target(ProgressDrawTarget::stderr());
        done
    }

    /// Leaves the last state of every step on the screen.
    pub(super) fn finish(self) {
        if let Self::Live(live) = self {
            live.steps.values().for_each(|(bar, _)| bar.abandon());
        }
    }
}

/// A spinner a step, with the text it was last given.
#[derive(Default)]
pub(super) struct Live {
    screen: MultiProgress,
    steps: HashMap<String, (ProgressBar, String)>,
}

impl Live {
    fn show(&mut self, step: &Step) {
        let (bar, shown) = self
            .steps
            .entry(step.job_id.clone())
            .or_insert_with(|| (self.screen.add(ProgressBar::new_spinner()), String::new()));
        let text = describe(step);
        if *shown == text {
            return;
        }
        let running = step.status == StepStatus::Processing;
        let mark = match step.status {
            StepStatus::Waiting | StepStatus::Queued => "·",
            StepStatus::Processing => "{spinner}",
            StepStatus::Completed => "✔",
            StepStatus::Failed => "✘",
            StepStatus::Skipped | StepStatus::Cancelled => "-",
        };
        // The clock of a running step goes on between two looks.
        let clock = if running { " {elapsed}" } else { "" };
        if let Ok(style) = ProgressStyle::with_template(&format!("{mark} {{msg}}{clock}")) {
            bar.set_style(style);
        }
        bar.reset_elapsed();
        bar.set_message(text.clone());
        if running {
            bar.enable_steady_tick(Duration::from_millis(100));
        } else {
            bar.disable_steady_tick();
            bar.tick();
        }
        *shown = text;
    }
}

/// The line last written of every step.
#[derive(Default)]
pub(super) struct Plain {
    steps: HashMap<String, String>,
}

impl Plain {
    fn show(&mut self, step: &Step) {
        let text = describe(step);
        // That a step waits for others is no news.
        if step.status != StepStatus::Waiting && self.steps.get(&step.job_id) != Some(&text) {
            note(&text);
            self.steps.insert(step.job_id.clone(), text);
        }
    }
}

/// `specialist_execution (debugger_bot, round 2): working`
fn describe(step: &Step) -> String {
    let round = if step.round > 1 { format!(", round {}", step.round) } else { String::new() };
    let because = |word: &str| match &step.reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    };
    let state = match step.status {
        StepStatus::Waiting => "waits".to_owned(),
        StepStatus::Queued if step.attempts > 0 => because("waits for its next attempt"),
        StepStatus::Queued => "queued".to_owned(),
        StepStatus::Processing => "working".to_owned(),
        StepStatus::Completed => match step.execution_time {
            Some(seconds) => format!("done in {seconds:.1} s"),
            None => "done".to_owned(),
        },
        StepStatus::Failed => because("failed"),
        StepStatus::Skipped => because("skipped"),
        StepStatus::Cancelled => because("cancelled"),
    };
    format!("{} ({}{round}): {}", step.step, step.agent, one_line(&state))
}

/// A reason may quote a model or a server; it must not move the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(change: serde_json::Value) -> Step {
        let mut step = serde_json::json!({"step": "qa_validation", "agent": "qa_bot", "job_id": "j", "role": "qa", "status": "queued"});
        step.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(step).unwrap()
    }

    #[test]
    fn a_step_is_told_in_one_line() {
        let done = step(serde_json::json!({"status": "completed", "execution_time": 1.25, "round": 2}));
        assert_eq!(describe(&done), "qa_validation (qa_bot, round 2): done in 1.2 s");
        let failed = step(serde_json::json!({"status": "failed", "reason": "no\x1b[2J\nkey"}));
        assert_eq!(describe(&failed), "qa_validation (qa_bot): failed: no [2J key");
        let again = step(serde_json::json!({"attempts": 1, "reason": "429"}));
        assert_eq!(describe(&again), "qa_validation (qa_bot): waits for its next attempt: 429");
    }
}
