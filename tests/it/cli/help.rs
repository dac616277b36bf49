//! What the executable says of itself.

use std::process::{Command, Stdio};

use crate::support::command::Workspace;

#[test]
fn the_version_is_that_of_the_package() {
    let ended = Workspace::new().run(&["--version"], &[]).expect_code(0);
    assert_eq!(ended.stdout, format!("productforge {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_names_every_command_with_examples() {
    let help = Workspace::new().run(&["--help"], &[]).expect_code(0).stdout;
    for command in [
        "serve",
        "worker",
        "run",
        "agents",
        "jobs",
        "keys",
        "queues",
        "workers",
        "workflows",
        "audit",
        "results",
        "uploads",
        "reports",
        "usage",
        "export",
        "healthcheck",
        "migrate",
        "copy",
        "backup",
        "restore",
        "config",
        "doctor",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
    }
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let workspace = Workspace::new();
    for command in [
        "serve",
        "worker",
        "run",
        "agents",
        "jobs",
        "keys",
        "queues",
        "workers",
        "workflows",
        "audit",
        "results",
        "uploads",
        "reports",
        "usage",
        "export",
        "healthcheck",
        "migrate",
        "copy",
        "backup",
        "restore",
        "config",
        "doctor",
        "completions",
        "man",
    ] {
        let help = workspace.run(&[command, "--help"], &[]).expect_code(0).stdout;
        assert!(help.contains(&format!("Usage: productforge {command}")), "{help}");
        assert!(help.contains(&format!("productforge {command}")) && help.contains("Example"), "{help}");
    }
}

/// What a help lists under `Commands:`.
fn listed(help: &str) -> Vec<&str> {
    let section = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    let names = section.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").collect()
}

#[test]
fn the_readme_names_every_command_and_every_verb() {
    let workspace = Workspace::new();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let help = |args: &[&str]| workspace.run(&[args, &["--help"]].concat(), &[]).expect_code(0).stdout;
    let commands = help(&[]);
    assert!(listed(&commands).len() > 20, "{commands}");
    for command in listed(&commands) {
        let begin = format!("| `productforge {command}");
        let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with(&begin)).collect();
        assert!(!rows.is_empty(), "{command}");
        let words: Vec<&str> =
            rows.iter().flat_map(|row| row.split(|c: char| !c.is_alphanumeric())).collect();
        for verb in listed(&help(&[command])) {
            assert!(words.contains(&verb), "{command} {verb}: {rows:?}");
        }
    }
}

#[test]
fn no_command_or_an_unknown_one_shows_help_and_exits_with_2() {
    let workspace = Workspace::new();
    assert!(workspace.run(&[], &[]).expect_code(2).stderr.contains("Usage: productforge"));
    assert!(workspace.run(&["dance"], &[]).expect_code(2).stderr.contains("dance"));
}

/// With `--help` at its end a command line is only looked at: what is no argument, or no value, is refused all the same.
#[test]
fn every_example_of_the_help_is_a_command_line_that_is_understood() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path().join("brief.md"), "x").unwrap();
    let help = workspace.run(&["--help"], &[]).expect_code(0).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands =
        commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let mut seen = 0;
    for command in commands {
        let help = workspace.run(&[command, "--help"], &[]).expect_code(0).stdout;
        let examples = help.split_once("\nExample").unwrap_or_else(|| panic!("{command} has no examples")).1;
        for line in examples.lines().filter(|line| line.contains("productforge ")) {
            // Where an answer goes is the reader's: nothing is written outside of this test.
            let line = line
                .rsplit_once(" >")
                .filter(|(_, target)| !target.contains('\''))
                .map_or(line, |(command, _)| command);
            let script = format!(
                "productforge() {{ \"$BIN\" \"$@\" --help; }}; jq() {{ cat; }}; ssh() {{ cat; }}; set -euo pipefail; {line}"
            );
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]).current_dir(workspace.path()).stdin(Stdio::null()).env_clear();
            bash.env("PATH", std::env::var_os("PATH").unwrap());
            let output = bash.env("BIN", env!("CARGO_BIN_EXE_productforge")).output().unwrap();
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}
