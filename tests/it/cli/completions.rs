//! `completions`: what each shell says of its script, and what bash makes of it.

use std::process::{Command, Stdio};

use crate::support::command::Workspace;

/// Runs a program on a script; what it said, which has to be success.
fn check(program: &str, arguments: &[&str], script: &str) -> String {
    let folder = Workspace::new();
    let path = folder.path().join("script");
    std::fs::write(&path, script).unwrap();
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(&path).current_dir(folder.path()).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}: run ./dev setup"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + String::from_utf8_lossy(&output.stderr).as_ref();
    assert!(output.status.success(), "{program}: {said}");
    said
}

fn script(shell: &str) -> String {
    Workspace::new().run(&["completions", shell], &[]).expect_code(0).stdout
}

#[test]
fn shells_can_read_their_scripts() {
    for (shell, program) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        check(program, &["-n"], &script(shell));
    }
    for shell in ["powershell", "elvish"] {
        let script = script(shell);
        for command in ["serve", "workflows", "doctor"] {
            assert!(script.contains(&format!("productforge;{command}")), "{shell}: {command}");
        }
    }
}

#[test]
fn bash_completes_commands_and_their_flags() {
    let asked = |words: &[&str]| {
        let line = words.join(" ");
        let script = format!(
            "{}\nCOMP_WORDS=({line} ''); COMP_CWORD={}; _productforge productforge '' {}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            script("bash"),
            words.len(),
            words.last().unwrap()
        );
        check("bash", &[], &script)
    };
    let commands = asked(&["productforge"]);
    assert!(
        ["serve", "doctor", "completions"].iter().all(|c| commands.lines().any(|l| l == *c)),
        "{commands}"
    );
    let flags = asked(&["productforge", "serve"]);
    assert!(flags.lines().any(|flag| flag == "--workers"), "{flags}");
}

#[test]
fn an_unknown_shell_is_a_usage_error_that_names_the_known_ones() {
    let ended = Workspace::new().run(&["completions", "csh"], &[]).expect_code(2);
    assert!(ended.stderr.contains("bash") && ended.stderr.contains("elvish"), "{ended:?}");
}
