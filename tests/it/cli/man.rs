//! `man`: pages that a formatter of manuals can read, for every command.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::command::Workspace;

/// What mandoc has against a page beyond its style.
fn lint(page: &Path) -> String {
    let mut command = Command::new("mandoc");
    command.args(["-T", "lint", "-W", "error"]).arg(page).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|e| panic!("mandoc: {e}: run ./dev setup"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_command_has_a_page_and_a_formatter_reads_it() {
    let here = Workspace::new();
    here.run(&["man", "--out", "pages"], &[]).expect_code(0);
    let mut pages = BTreeSet::new();
    for page in std::fs::read_dir(here.path().join("pages")).unwrap() {
        let page = page.unwrap().path();
        assert_eq!(lint(&page), "", "{}", page.display());
        pages.insert(page.file_name().unwrap().to_str().unwrap().to_owned());
    }
    let help = here.run(&["--help"], &[]).expect_code(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 12, "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(pages.contains(&format!("productforge-{command}.1")), "{command} is not in {pages:?}");
    }
    assert!(
        pages.contains("productforge.1") && pages.contains("productforge-workflows-approve.1"),
        "{pages:?}"
    );
}

#[test]
fn one_page_is_printed_with_its_examples() {
    let here = Workspace::new();
    for (words, title, text) in [
        (vec!["man"], ".TH productforge 1", "Turns a brief into reviewed work"),
        (vec!["man", "jobs", "list"], "jobs\\-list", "state"),
        (vec!["man", "serve"], "serve", "SIGTERM"),
    ] {
        let page = here.run(&words, &[]).expect_code(0).stdout;
        assert!(page.contains(title) && page.contains(text), "{words:?}: {page}");
        let file = here.path().join("page.1");
        std::fs::write(&file, page).unwrap();
        assert_eq!(lint(&file), "", "{words:?}");
    }
}

#[test]
fn an_unknown_command_is_named_beside_the_known_ones() {
    let ended = Workspace::new().run(&["man", "jobs", "dance"], &[]).expect_code(2);
    assert!(
        ended.stderr.contains("'jobs' has no command 'dance'") && ended.stderr.contains("list"),
        "{ended:?}"
    );
}
