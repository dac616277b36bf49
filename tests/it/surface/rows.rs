//! `docs/legacy.md`: every row names tests, and every test that it names is there and is run.

use std::{fs, path::Path};

const DOCUMENT: &str = "docs/legacy.md";

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// What stands between backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The last cells of the rows of all tables, with their line; heads and rules left out.
fn last_cells(document: &str) -> Vec<(usize, &str)> {
    let lines: Vec<_> = document.lines().collect();
    let is_rule = |line: &str| line.starts_with("|-") || line.starts_with("| -");
    let is_row = |n: usize| lines[n].starts_with('|') && !is_rule(lines[n]);
    let is_head = |n: usize| lines.get(n + 1).is_some_and(|next| is_rule(next));
    (0..lines.len())
        .filter(|n| is_row(*n) && !is_head(*n))
        .map(|n| (n + 1, lines[n].trim_end_matches(['|', ' ']).rsplit('|').next().unwrap_or_default()))
        .collect()
}

/// The source that holds a test: of this binary, or of the library for what no request can show.
fn source_of(modules: &[&str]) -> Option<String> {
    let within = modules.iter().filter(|module| **module != "tests").copied().collect::<Vec<_>>().join("/");
    // Tests of a file stand in it, or in a file of their own below it.
    [modules.join("/"), within].iter().find_map(|path| {
        ["tests/it", "src"].iter().find_map(|root| {
            read(&format!("{root}/{path}.rs")).or_else(|| read(&format!("{root}/{path}/mod.rs")))
        })
    })
}

/// Whether a source has this function and runs it: marked as a test, or named to `on_both_engines!`.
fn runs(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let before = source[..at].trim_end_matches("async ").trim_end().lines().last().unwrap_or_default();
    let before = before.trim_start();
    let marked = before == "#[test]" || before.starts_with("#[tokio::test");
    let on_both = source
        .split("on_both_engines!(")
        .nth(1)
        .and_then(|rest| rest.split(");").next())
        .is_some_and(|names| names.split(',').any(|other| other.trim() == name));
    marked || on_both
}

#[test]
fn every_row_names_tests_that_exist() {
    let document = read(DOCUMENT).unwrap();
    let rows = last_cells(&document);
    assert!(rows.len() > 60, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for (line, cell) in rows {
        let names: Vec<_> = quoted(cell).filter(|word| word.contains("::")).collect();
        if names.is_empty() {
            wrong.push(format!("{DOCUMENT}:{line}: names no test"));
        }
        for name in names {
            let (modules, function) = name.rsplit_once("::").unwrap();
            let modules: Vec<_> = modules.split("::").collect();
            if !source_of(&modules).is_some_and(|source| runs(&source, function)) {
                wrong.push(format!("{DOCUMENT}:{line}: there is no test {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_missing_or_idle_test_is_noticed() {
    let source = "on_both_engines!(\n    one,\n    two,\n);\nasync fn one(e: Engine) {}\n#[test]\nfn three() {}\nfn four() {}";
    assert_eq!(
        ["one", "two", "three", "four", "on"].map(|name| runs(source, name)),
        [true, false, true, false, false]
    );
    let table = "| row | test |\n|---|---|\n| a | `x::y` |\n| b | none |\n";
    assert_eq!(last_cells(table), [(3, " `x::y`"), (4, " none")]);
}
