//! An analysis as a text for people, in Markdown.

use std::fmt::Write;

use super::{Analysis, Dependency, DependencyKind, Folder, Severity, text};

/// The longest report, in bytes.
pub const MAX_BYTES: usize = 100_000;
/// Rows of a table.
const ROWS: usize = 30;
/// Folders of the tree.
const TREE_ROWS: usize = 60;
/// Dependencies that are named in a row.
const NAMES: usize = 20;
/// Characters of a cell.
const CELL_CHARS: usize = 300;

/// A report of at most [`MAX_BYTES`]. Names from the files are escaped: none of them is taken for Markdown or HTML.
pub fn markdown(analysis: &Analysis) -> String {
    let mut report = Report::default();
    report.overview(analysis);
    report.languages(analysis);
    report.manifests(analysis);
    report.code(analysis);
    report.secrets(analysis);
    report.files(analysis);
    report.truncated(analysis);
    report.text
}

#[derive(Default)]
struct Report {
    text: String,
    is_full: bool,
}

impl Report {
    /// Adds lines, unless the report is long enough.
    fn add(&mut self, lines: &str) {
        const END: &str = "\nThe report is cut here.\n";
        if self.is_full {
            return;
        }
        if self.text.len() + lines.len() + END.len() > MAX_BYTES {
            self.is_full = true;
            self.text.push_str(END);
        } else {
            self.text.push_str(lines);
        }
    }

    fn heading(&mut self, title: &str) {
        self.add(&format!("\n## {title}\n\n"));
    }

    /// A table, or nothing when it has no rows. Cells are escaped already.
    fn table<const N: usize>(
        &mut self,
        title: &str,
        heads: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return;
        }
        self.heading(title);
        self.add(&format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(N)));
        for row in rows.by_ref().take(ROWS) {
            self.add(&format!("| {} |\n", row.join(" | ")));
        }
        let more = rows.count();
        if more > 0 {
            self.add(&format!("\n{more} more are not shown.\n"));
        }
    }

    fn overview(&mut self, analysis: &Analysis) {
        let totals = &analysis.totals;
        let title = analysis.root.as_deref().map_or("the files".to_owned(), code);
        self.add(&format!("# Analysis of {title}\n\n"));
        self.add(&format!("- {} files, {}\n", totals.files, size(totals.bytes)));
        self.add(&format!("- {} ignored, {}\n", totals.ignored_files, size(totals.ignored_bytes)));
        self.add(&format!("- {} text files, {} binary files\n", totals.text_files, totals.binary_files));
        if totals.unreadable_files > 0 {
            self.add(&format!("- {} files could not be read\n", totals.unreadable_files));
        }
        let grave = |severity| analysis.secrets.iter().filter(|secret| secret.severity == severity).count();
        if !analysis.secrets.is_empty() {
            let (critical, high) = (grave(Severity::Critical), grave(Severity::High));
            self.add(&format!(
                "- **{} possible secrets**, {critical} of them critical and {high} high\n",
                analysis.secrets.len()
            ));
        }
    }

    fn languages(&mut self, analysis: &Analysis) {
        let rows = analysis.languages.iter().map(|row| {
            let numbers =
                [row.files, row.lines, row.code, row.comments, row.blanks].map(|number| number.to_string());
            let [files, lines, code, comments, blanks] = numbers;
            [escaped(&row.name), files, lines, code, comments, blanks, size(row.bytes)]
        });
        self.table("Languages", ["Language", "Files", "Lines", "Code", "Comments", "Blanks", "Size"], rows);
    }

    fn manifests(&mut self, analysis: &Analysis) {
        let rows = analysis.manifests.iter().map(|row| {
            let optional = |text: &Option<String>| text.as_deref().map(escaped).unwrap_or_default();
            let dependencies = match &row.error {
                Some(error) => format!("not understood: {}", escaped(error)),
                None => row.dependencies.len().to_string(),
            };
            [
                code(&row.path),
                escaped(&row.ecosystem),
                optional(&row.name),
                optional(&row.version),
                optional(&row.licence),
                dependencies,
            ]
        });
        self.table("Manifests", ["File", "Ecosystem", "Name", "Version", "Licence", "Dependencies"], rows);
        let kinds = [
            (DependencyKind::Runtime, "runtime"),
            (DependencyKind::Dev, "dev"),
            (DependencyKind::Build, "build"),
            (DependencyKind::Optional, "optional"),
        ];
        let rows = analysis.manifests.iter().flat_map(|manifest| {
            kinds.iter().filter_map(|(kind, name)| {
                let all: Vec<&Dependency> =
                    manifest.dependencies.iter().filter(|dependency| dependency.kind == *kind).collect();
                (!all.is_empty()).then(|| [code(&manifest.path), (*name).to_owned(), names(&all)])
            })
        });
        self.table("Dependencies", ["File", "Kind", "Names"], rows);
        let rows = analysis.lock_files.iter().map(|row| [code(&row.path), escaped(&row.ecosystem)]);
        self.table("Lock files", ["File", "Ecosystem"], rows);
        let rows = analysis.licences.iter().map(|row| {
            let spdx = row.spdx.as_deref().map_or("not recognised".to_owned(), escaped);
            [spdx, code(&row.path), row.declared.as_deref().map(escaped).unwrap_or_default()]
        });
        self.table("Licences", ["Licence", "File", "As declared"], rows);
    }

    fn code(&mut self, analysis: &Analysis) {
        let rows = analysis.entry_points.iter().map(|row| [place(&row.path, row.line), escaped(&row.why)]);
        self.table("Entry points", ["Place", "Why"], rows);
        let tests = &analysis.tests;
        if tests.files > 0 || !tests.frameworks.is_empty() {
            self.heading("Tests");
            self.add(&format!("{} files with {} lines.\n\n", tests.files, tests.lines));
            for framework in tests.frameworks.iter().take(ROWS) {
                self.add(&format!("- {}, as in {}\n", escaped(&framework.name), code(&framework.path)));
            }
        }
        let rows = analysis.ci.iter().map(|row| [escaped(&row.system), code(&row.path)]);
        self.table("Continuous integration", ["System", "File"], rows);
        let rows = analysis.docs.iter().map(|row| [escaped(&row.kind), code(&row.path)]);
        self.table("Documents", ["Kind", "File"], rows);
    }

    fn secrets(&mut self, analysis: &Analysis) {
        let rows = analysis.secrets.iter().map(|row| {
            let severity = match row.severity {
                Severity::Critical => "critical",
                Severity::High => "high",
                Severity::Medium => "medium",
                Severity::Low => "low",
                Severity::Info => "info",
            };
            [severity.to_owned(), escaped(&row.kind), place(&row.path, row.line), escaped(&row.excerpt)]
        });
        self.table("Possible secrets", ["Severity", "Kind", "Place", "Excerpt"], rows);
    }

    fn files(&mut self, analysis: &Analysis) {
        if !analysis.tree.folders.is_empty() {
            self.heading("Folders");
            let mut left = TREE_ROWS;
            self.folders(&analysis.tree, 0, &mut left);
        }
        let rows = analysis.largest_files.iter().map(|row| [code(&row.path), size(row.bytes)]);
        self.table("Largest files", ["File", "Size"], rows);
        let rows = analysis
            .ignored
            .iter()
            .map(|row| [code(&row.path), row.files.to_string(), size(row.bytes), escaped(&row.reason)]);
        self.table("Ignored", ["Path", "Files", "Size", "Why"], rows);
    }

    fn folders(&mut self, folder: &Folder, depth: usize, left: &mut usize) {
        const MAX_DEPTH: usize = 8;
        for inner in &folder.folders {
            if *left == 0 || depth == MAX_DEPTH {
                return;
            }
            *left -= 1;
            let indent = "  ".repeat(depth);
            self.add(&format!(
                "{indent}- {}: {} files, {}\n",
                code(&inner.name),
                inner.files,
                size(inner.bytes)
            ));
            self.folders(inner, depth + 1, left);
        }
    }

    fn truncated(&mut self, analysis: &Analysis) {
        let rows = analysis
            .truncated
            .iter()
            .map(|row| [escaped(&row.what), row.kept.to_string(), row.total.to_string()]);
        self.table("Left out", ["What", "Kept", "Of"], rows);
    }
}

fn names(dependencies: &[&Dependency]) -> String {
    let mut text = String::new();
    for (number, dependency) in dependencies.iter().take(NAMES).enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let requirement = dependency.requirement.as_deref().map(|text| format!(" {}", escaped(text)));
        let _ = write!(text, "{comma}{}{}", escaped(&dependency.name), requirement.unwrap_or_default());
    }
    if dependencies.len() > NAMES {
        let _ = write!(text, " and {} more", dependencies.len() - NAMES);
    }
    text
}

fn place(path: &str, line: Option<u64>) -> String {
    match line {
        Some(line) => code(&format!("{path}:{line}")),
        None => code(path),
    }
}

/// A name as code when it is plain, and escaped otherwise: what ends code cannot be escaped in it.
fn code(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ./_-+@:#=,(){}[]~".contains(c);
    let is_short = name.len() <= CELL_CHARS;
    if is_short && !name.is_empty() && name.trim() == name && name.chars().all(is_plain) {
        format!("`{name}`")
    } else {
        escaped(name)
    }
}

/// A text that means nothing in Markdown or HTML.
pub fn escaped(text: &str) -> String {
    let (kept, is_cut) = text::cut(text, CELL_CHARS);
    let mut safe = String::new();
    for c in kept.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            c if text::is_unsafe(c) => safe.push(' '),
            ' ' | ',' | '/' | '(' | ')' | '\'' | '%' | ';' => safe.push(c),
            '.' if !safe.ends_with(['w', 'W']) => safe.push(c),
            c if c.is_ascii_punctuation() && c != '-' => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    if is_cut {
        safe.push('…');
    }
    safe
}

/// Bytes in the largest unit that leaves a number above 1.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Limits, MemoryFiles, analyse};

    #[test]
    fn names_mean_nothing() {
        assert_eq!(escaped("a|b<script>*_`[x](y)"), "a\\|b&lt;script&gt;\\*\\_\\`\\[x\\](y)");
        assert_eq!(escaped("http://www.x.y\n# z"), "http\\://www\\.x.y \\# z");
        assert_eq!(code("src/a_b.rs"), "`src/a_b.rs`");
        assert_eq!(code("a`b|c"), "a\\`b\\|c");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
    }

    #[test]
    fn a_report_shows_what_there_is() {
        let files = MemoryFiles::new([
            ("Cargo.toml", "[package]\nname='a|b'\nversion='1'\nlicense='MIT'\n[dependencies]\nserde='1'\n"),
            ("src/main.rs", "fn main() {}\n"),
            ("x`|\n<b>.py", "import os\n"),
        ]);
        let report = markdown(&analyse(&files, &Limits::default()));
        for part in ["| Rust | 1 | 1 | 1 |", "a\\|b", "serde 1", "`src/main.rs:1` | function main", "x\\`\\|"]
        {
            assert!(report.contains(part), "{part} in {report}");
        }
        assert!(!report.contains("<b>"));
    }

    #[test]
    fn a_report_is_bounded() {
        let files =
            MemoryFiles::new((0..3_000).map(|n| (format!("d{n}/{}\u{1}.env.{n}", "|".repeat(900)), "x")));
        let report = markdown(&analyse(&files, &Limits::default()));
        assert!(report.len() <= MAX_BYTES && report.contains("## Left out"), "{}", report.len());
    }
}
