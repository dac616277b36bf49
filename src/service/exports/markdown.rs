//! Texts to be read: Markdown, and the plain text of the legacy system.

use std::io::{self, Write};

use crate::model::{JobResult, Timestamp};

use super::Heading;

const UNKNOWN_TASK: &str = "Unknown Task";

/// A heading, then a section for each result. Outputs are Markdown already and stand as they are.
pub(super) fn write(
    heading: &Heading,
    results: impl Iterator<Item = io::Result<JobResult>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "# {}\n", one_line(&heading.title))?;
    writeln!(out, "Exported from ProductForge at {}.\n", time(heading.exported_at))?;
    if let Some(workflow) = &heading.workflow {
        writeln!(out, "Workflow `{}`, {}.\n", workflow.workflow_id, workflow.status.as_str())?;
    }
    let mut count = 0_u64;
    for result in results {
        section(&result?, out)?;
        count += 1;
    }
    writeln!(out, "---\n\n{count} results.")
}

pub(super) fn section(result: &JobResult, out: &mut dyn Write) -> io::Result<()> {
    let task = result.task.as_deref().unwrap_or(UNKNOWN_TASK);
    writeln!(out, "## {}\n", one_line(task))?;
    write!(out, "- Agent: {}", one_line(&result.agent))?;
    if let Some(step) = &result.step {
        write!(out, ", step {}", one_line(step))?;
        if let Some(round) = result.round {
            write!(out, ", round {round}")?;
        }
    }
    writeln!(out, "\n- Status: {}", result.status.as_str())?;
    if let Some(verdict) = &result.verdict {
        writeln!(out, "- Verdict: {}", verdict.verdict.as_str())?;
    }
    if let Some(score) = result.confidence_score {
        writeln!(out, "- Score: {score}")?;
    }
    if let Some(at) = result.completed_at {
        writeln!(out, "- Ended: {}, after {} s", time(at), result.execution_time)?;
    }
    if result.simulated {
        writeln!(out, "- **Simulated: made by no model.**")?;
    }
    writeln!(out, "- Job: `{}`\n\n{}\n", result.job_id, result.output)
}

/// As the legacy system wrote it, with the tasks and times that it meant to write.
pub(super) fn write_plain(
    heading: &Heading,
    results: impl Iterator<Item = io::Result<JobResult>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "## Task: {}\n", one_line(&heading.title))?;
    writeln!(out, "ProductForge results, exported at {}\n", time(heading.exported_at))?;
    for result in results {
        let result = result?;
        let task = result.task.as_deref().unwrap_or(UNKNOWN_TASK);
        writeln!(out, "## Task: {}", one_line(task))?;
        if result.simulated {
            writeln!(out, "(simulated: made by no model)")?;
        }
        writeln!(out, "### Result:\n{}\n\n{}", result.output, time(result.timestamp))?;
        writeln!(out, "---")?;
    }
    Ok(())
}

fn time(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A text as one line of a heading.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
