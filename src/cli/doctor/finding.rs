//! What one look found, and how all of it is told.

use std::fmt::Write;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It works, but not as one would want it to.
    Warning,
    /// It does not work, or loses work.
    Problem,
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// `store`, `disk`, …: the same name for the same look, whatever it finds.
    pub(super) check: String,
    pub(super) state: State,
    pub(super) found: String,
    /// What to do about it; nothing where all is well.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Ok, found: found.into(), remedy: None }
    }

    pub(super) fn warning(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.to_owned(), state: State::Warning, found: found.into(), remedy }
    }

    pub(super) fn problem(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Problem, ..Self::warning(check, found, remedy) }
    }
}

/// All findings.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// No problem; there may be warnings.
    pub(super) ok: bool,
    pub(super) problems: usize,
    pub(super) warnings: usize,
    pub(super) checks: Vec<Finding>,
}

impl Report {
    pub(super) fn of(checks: Vec<Finding>) -> Self {
        let count = |state| checks.iter().filter(|finding| finding.state == state).count();
        let (problems, warnings) = (count(State::Problem), count(State::Warning));
        Self { ok: problems == 0, problems, warnings, checks }
    }

    /// For people: a line each, and below it what to do.
    pub(super) fn told(&self) -> String {
        let width = self.checks.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Finding { check, state, found, remedy } in &self.checks {
            let state = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Problem => "PROBLEM",
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{state:7}  {check:width$}  {found}");
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "{:7}  {:width$}  → {remedy}", "", "");
            }
        }
        let _ = write!(
            text,
            "\n{}, {}.",
            counted(self.problems, "problem", "problems"),
            counted(self.warnings, "warning", "warnings")
        );
        text
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}
