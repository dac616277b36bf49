//! What was found in an upload, as its page shows it.

use serde::Serialize;

use crate::{
    http::draw::{Bar, Chart, Unit, bars},
    service::uploads::{Analysis, DependencyKind, Finding, Language, Manifest, Severity, UploadAnalysis},
};

/// Rows of a list; the report has more.
const ROWS: usize = 50;
/// Bars of languages.
const BARS: usize = 12;
/// Dependencies that are named in a row.
const NAMES: usize = 12;

/// The analyst's findings.
#[derive(Debug, Serialize)]
pub struct FindingsView {
    rows: Vec<FindingRow>,
    total: usize,
    rejected: usize,
    model: Option<String>,
    simulated: bool,
    /// Whether the analyst has answered.
    done: bool,
}

#[derive(Debug, Serialize)]
struct FindingRow {
    severity: &'static str,
    file: String,
    line: u64,
    title: String,
    reason: String,
    suggestion: Option<String>,
}

impl FindingsView {
    pub fn new(analysis: &UploadAnalysis) -> Self {
        let row = |found: &Finding| FindingRow {
            severity: severity(found.severity),
            file: found.file.clone(),
            line: found.line,
            title: found.title.clone(),
            reason: found.reason.clone(),
            suggestion: found.suggestion.clone(),
        };
        Self {
            rows: analysis.findings.iter().take(ROWS).map(row).collect(),
            total: analysis.findings.len(),
            rejected: analysis.rejected.len(),
            model: analysis.model.clone(),
            simulated: analysis.simulated,
            done: analysis.completed_at.is_some(),
        }
    }
}

/// One line of a list of things in files.
#[derive(Debug, Serialize)]
struct Row {
    path: String,
    line: Option<u64>,
    what: String,
    more: String,
}

#[derive(Debug, Serialize)]
struct SecretRow {
    severity: &'static str,
    path: String,
    line: Option<u64>,
    kind: String,
    excerpt: String,
}

#[derive(Debug, Serialize)]
struct ManifestRow {
    path: String,
    ecosystem: String,
    name: String,
    runtime: usize,
    dev: usize,
    names: Vec<String>,
    more: usize,
    error: Option<String>,
}

/// What can be said without a model.
#[derive(Debug, Serialize)]
pub struct StatedView {
    files: u64,
    bytes: String,
    ignored: u64,
    lines: u64,
    languages: Chart,
    manifests: Vec<ManifestRow>,
    entry_points: Vec<Row>,
    test_files: u64,
    test_lines: u64,
    frameworks: Vec<String>,
    licences: Vec<Row>,
    ci: Vec<Row>,
    secrets: Vec<SecretRow>,
    more_secrets: usize,
    /// What was left out because a limit was reached.
    truncated: Vec<String>,
}

impl StatedView {
    pub fn new(found: &Analysis) -> Self {
        Self {
            files: found.totals.files,
            bytes: size(found.totals.bytes),
            ignored: found.totals.ignored_files,
            lines: found.languages.iter().map(|language| language.lines).sum(),
            languages: languages(found),
            manifests: found.manifests.iter().take(ROWS).map(manifest).collect(),
            entry_points: found
                .entry_points
                .iter()
                .take(ROWS)
                .map(|e| Row { path: e.path.clone(), line: e.line, what: word(&e.kind), more: e.why.clone() })
                .collect(),
            test_files: found.tests.files,
            test_lines: found.tests.lines,
            frameworks: found.tests.frameworks.iter().map(|framework| framework.name.clone()).collect(),
            licences: found
                .licences
                .iter()
                .take(ROWS)
                .map(|l| Row {
                    path: l.path.clone(),
                    line: None,
                    what: l.spdx.clone().unwrap_or_else(|| "unknown".to_owned()),
                    more: l.declared.clone().unwrap_or_default(),
                })
                .collect(),
            ci: found
                .ci
                .iter()
                .take(ROWS)
                .map(|c| Row {
                    path: c.path.clone(),
                    line: None,
                    what: c.system.clone(),
                    more: String::new(),
                })
                .collect(),
            secrets: found
                .secrets
                .iter()
                .take(ROWS)
                .map(|s| SecretRow {
                    severity: severity(s.severity),
                    path: s.path.clone(),
                    line: s.line,
                    kind: s.kind.clone(),
                    excerpt: s.excerpt.clone(),
                })
                .collect(),
            more_secrets: found.secrets.len().saturating_sub(ROWS),
            truncated: found
                .truncated
                .iter()
                .map(|cut| format!("{}: {} of {}", cut.what.replace('_', " "), cut.kept, cut.total))
                .collect(),
        }
    }
}

fn languages(found: &Analysis) -> Chart {
    let bar = |language: &Language| Bar {
        name: language.name.clone(),
        parts: [language.code, language.comments, language.blanks].map(|n| n as f64).into(),
        more: Vec::new(),
    };
    let rows: Vec<Bar> = found.languages.iter().take(BARS).map(bar).collect();
    let parts = ["code", "comments", "blank"];
    bars("languages", "Lines by language", "Language", Unit::Count("lines"), &parts, &rows)
        .classes(&["s0", "s2", "still"])
}

fn manifest(found: &Manifest) -> ManifestRow {
    let of = |kind: DependencyKind| found.dependencies.iter().filter(move |d| d.kind == kind);
    let names = found.dependencies.iter().map(|d| match &d.requirement {
        Some(requirement) => format!("{} {requirement}", d.name),
        None => d.name.clone(),
    });
    let version = found.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    ManifestRow {
        path: found.path.clone(),
        ecosystem: found.ecosystem.clone(),
        name: format!("{}{version}", found.name.as_deref().unwrap_or_default()),
        runtime: of(DependencyKind::Runtime).count(),
        dev: found.dependencies.len() - of(DependencyKind::Runtime).count(),
        names: names.take(NAMES).collect(),
        more: found.dependencies.len().saturating_sub(NAMES),
        error: found.error.clone(),
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

/// The name of a variant as documents have it.
fn word(kind: &impl Serialize) -> String {
    let name = serde_json::to_value(kind).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `512 bytes`, `18.2 kB`, `3.4 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::uploads::EntryKind;

    #[test]
    fn sizes_have_units() {
        assert_eq!([0, 999, 18_231, 52_428_800].map(size), ["0 bytes", "999 bytes", "18.2 kB", "52.4 MB"]);
    }

    #[test]
    fn kinds_are_named_as_in_documents() {
        assert_eq!(word(&EntryKind::Main), "main");
    }
}
