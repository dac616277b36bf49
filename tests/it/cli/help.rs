//! What the executable says of itself.

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
        "jobs",
        "queues",
        "workers",
        "workflows",
        "export",
        "healthcheck",
        "migrate",
        "copy",
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
        "jobs",
        "queues",
        "workers",
        "workflows",
        "export",
        "healthcheck",
        "migrate",
        "copy",
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

#[test]
fn no_command_or_an_unknown_one_shows_help_and_exits_with_2() {
    let workspace = Workspace::new();
    assert!(workspace.run(&[], &[]).expect_code(2).stderr.contains("Usage: productforge"));
    assert!(workspace.run(&["dance"], &[]).expect_code(2).stderr.contains("dance"));
}
