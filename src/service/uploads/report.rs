//! The report on an upload, for people, in Markdown: what the analyst found, then what can be said without one.

use std::fmt::Write;

use crate::{
    analysis::{
        Severity,
        report::{self, escaped},
    },
    model::Upload,
};

use super::UploadAnalysis;

/// `prose`: what the analyst said instead of findings.
pub(super) fn written(upload: &Upload, document: &UploadAnalysis, prose: Option<&str>) -> String {
    let mut text = format!("# Review of {}\n\n", escaped(&upload.filename));
    if document.simulated {
        text.push_str(
            "> **Simulated.** No model is configured, so nobody has judged the code. What stands under \
             “Analysis” is real.\n\n",
        );
    }
    findings(&mut text, document);
    if let Some(prose) = prose {
        text.push_str("## The analyst's answer\n\nIt holds no findings that could be checked.\n\n");
        text.push_str(prose.trim());
        text.push_str("\n\n");
    }
    text.push_str(&report::markdown(&document.stated));
    text
}

fn findings(text: &mut String, document: &UploadAnalysis) {
    let _ = writeln!(text, "## Findings\n");
    if document.findings.is_empty() {
        text.push_str("None.\n\n");
    }
    for finding in &document.findings {
        let place = escaped(&format!("{}:{}", finding.file, finding.line));
        let _ = writeln!(
            text,
            "- **{}** {place}: {}\n\n  {}",
            severity(finding.severity),
            escaped(&finding.title),
            escaped(&finding.reason)
        );
        if let Some(suggestion) = &finding.suggestion {
            let _ = writeln!(text, "\n  To do: {}", escaped(suggestion));
        }
        text.push('\n');
    }
    if !document.rejected.is_empty() {
        let _ = writeln!(text, "### Not counted\n");
        for rejected in &document.rejected {
            let place = escaped(&rejected.place);
            let _ = writeln!(text, "- {place} {}: {}", escaped(&rejected.title), escaped(&rejected.reason));
        }
        text.push('\n');
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}
