//! `config`, and what every command says of a bad configuration.

use crate::support::command::Workspace;

#[test]
fn every_problem_is_named_at_once() {
    let env =
        [("PORT", "eighty"), ("REDIS_URL", "http://cache"), ("LEASE_SECONDS", "0"), ("API_KEY", "short")];
    for command in [["serve"].as_slice(), &["config"], &["run", "x"], &["worker"], &["healthcheck"]] {
        let ended = Workspace::new().run(command, &env).expect_code(2);
        assert!(ended.stderr.contains("4 problems"), "{command:?}: {ended:?}");
        for (name, _) in env {
            assert!(
                ended.stderr.contains(&format!("- {name} must")),
                "{command:?}: {name} is not in {ended:?}"
            );
        }
        assert_eq!(ended.stdout, "");
        assert!(!ended.stderr.contains("short"), "a secret shows, even a bad one: {ended:?}");
    }
}

#[test]
fn a_bad_flag_is_a_bad_configuration() {
    let ended = Workspace::new().run(&["serve", "--port", "70000", "--workers", "many"], &[]).expect_code(2);
    assert!(ended.stderr.contains("PORT must") && ended.stderr.contains("WORKERS must"), "{ended:?}");
}

#[test]
fn values_are_shown_with_their_source_and_secrets_are_masked() {
    let env = [
        ("API_KEY", "a-secret-key"),
        ("OPENAI_API_KEY", "sk-another-secret"),
        ("REDIS_URL", "redis://:password@cache:6379"),
        ("WORKERS", "7"),
    ];
    let table = Workspace::new().run(&["config"], &env).expect_code(0).stdout;
    let row = |name: &str| -> Vec<&str> {
        table.lines().find(|l| l.starts_with(name)).unwrap_or_default().split_whitespace().collect()
    };
    assert_eq!(row("API_KEY"), ["API_KEY", "***", "environment"]);
    assert_eq!(row("REDIS_URL"), ["REDIS_URL", "***", "environment"]);
    assert_eq!(row("WORKERS"), ["WORKERS", "7", "environment"]);
    assert_eq!(row("PORT"), ["PORT", "8000", "default"]);
    for secret in ["a-secret-key", "sk-another-secret", "password"] {
        assert!(!table.contains(secret), "{table}");
    }
}

#[test]
fn as_json_it_is_a_list_for_programs() {
    let env = [("API_KEY", "a-secret-key")];
    let json = Workspace::new().run(&["config", "--json"], &env).expect_code(0).stdout;
    let settings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let find = |name: &str| settings.iter().find(|s| s["name"] == name).unwrap();
    assert_eq!(find("API_KEY")["value"], "***");
    assert_eq!(find("PORT")["source"], "default");
    assert_eq!(find("REDIS_URL")["source"], "unset");
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let json = Workspace::new().run(&["config", "--json"], &[]).expect_code(0).stdout;
    let settings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    for page in ["README.md", "assets/help/configuration.md"] {
        let text = document(page);
        for setting in &settings {
            let (name, default) = (setting["name"].as_str().unwrap(), setting["value"].as_str().unwrap());
            let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("{name} is not in a table of {page}"));
            assert!(default.is_empty() || row.contains(&format!("`{default}`")), "{page} on {name}: {row}");
        }
    }
    let example = document(".env.example");
    for setting in &settings {
        let name = setting["name"].as_str().unwrap();
        assert!(example.contains(&format!("\n# {name}=")), "{name} is not in .env.example");
    }
}

fn document(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
