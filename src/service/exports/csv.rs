//! CSV (RFC 4180), safe to open in a spreadsheet.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::model::{JobResult, iso};

const COLUMNS: [&str; 24] = [
    "job_id",
    "workflow_id",
    "agent",
    "role",
    "step",
    "round",
    "status",
    "task",
    "output",
    "error",
    "reviewed_by",
    "confidence_score",
    "verdict",
    "started_at",
    "completed_at",
    "execution_time",
    "attempts",
    "simulated",
    "provider",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "expires_at",
];

/// A line of column names, then one line a result.
pub(super) fn write(
    results: impl Iterator<Item = io::Result<JobResult>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS)?;
    for result in results {
        table.write_record(cells(&result?).iter().map(|cell| harmless(cell)).map(Bytes))?;
    }
    table.flush()
}

/// Lets a borrowed or owned text be a cell.
struct Bytes<'a>(Cow<'a, str>);

impl AsRef<[u8]> for Bytes<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn cells(result: &JobResult) -> [String; COLUMNS.len()] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<String>| number.unwrap_or_default();
    let verdict = result.verdict.as_ref();
    [
        result.job_id.clone(),
        text(&result.workflow_id),
        result.agent.clone(),
        text(&result.role),
        text(&result.step),
        number(result.round.map(|n| n.to_string())),
        result.status.as_str().to_owned(),
        text(&result.task),
        result.output.clone(),
        text(&result.error),
        text(&result.reviewed_by),
        number(result.confidence_score.map(|n| n.to_string())),
        verdict.map(|verdict| verdict.verdict.as_str().to_owned()).unwrap_or_default(),
        number(result.started_at.map(|at| iso::format(&at))),
        number(result.completed_at.map(|at| iso::format(&at))),
        result.execution_time.to_string(),
        result.attempts.to_string(),
        result.simulated.to_string(),
        text(&result.provider),
        text(&result.model),
        number(result.usage.map(|usage| usage.prompt_tokens.to_string())),
        number(result.usage.map(|usage| usage.completion_tokens.to_string())),
        number(result.cost_usd.map(|cost| cost.dollars().to_string())),
        number(result.expires_at.map(|at| iso::format(&at))),
    ]
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV injection"): an apostrophe in front says that
/// it is a text. A plain number is none.
pub(super) fn harmless(cell: &str) -> Cow<'_, str> {
    let begins_one = cell.trim_start_matches([' ', '\u{a0}', '\u{feff}']).starts_with([
        '=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ]);
    let is_number = cell.parse::<f64>().is_ok_and(f64::is_finite);
    match begins_one && !is_number {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_a_text() {
        for formula in ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "a=b", "-1.5", "1e3", "fine", "'=already"] {
            assert_eq!(harmless(text), text);
        }
    }
}
