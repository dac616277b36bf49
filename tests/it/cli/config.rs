//! `config`, and what every command says of a bad configuration.

use productforge::config::{Config, Flags};

use crate::support::command::Workspace;

/// The exit code of a bad configuration; a health check knows 0 and 1 only.
fn misconfigured(command: &[&str]) -> i32 {
    if command == ["healthcheck"] { 1 } else { 2 }
}

#[test]
fn every_problem_is_named_at_once() {
    let env =
        [("PORT", "eighty"), ("REDIS_URL", "http://cache"), ("LEASE_SECONDS", "0"), ("API_KEY", "short")];
    for command in [["serve"].as_slice(), &["config"], &["run", "x"], &["worker"], &["healthcheck"]] {
        let ended = Workspace::new().run(command, &env).expect_code(misconfigured(command));
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

#[test]
fn the_file_of_the_folder_or_a_named_one_is_read() {
    let here = Workspace::new();
    std::fs::write(
        here.path().join("productforge.toml"),
        "port = 8123\nworkers = 3\n[providers.ollama]\nmodel = 'm'\n",
    )
    .unwrap();
    std::fs::write(here.path().join("other.toml"), "port = 8124\n").unwrap();
    let shown = |args: &[&str], env: &[(&str, &str)]| {
        let json = here.run(&[&["config", "--json"], args].concat(), env).expect_code(0).stdout;
        let settings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        move |name: &str| {
            let setting = settings.iter().find(|s| s["name"] == name).unwrap().clone();
            (setting["value"].as_str().unwrap().to_owned(), setting["source"].as_str().unwrap().to_owned())
        }
    };
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let own = shown(&[], &[("WORKERS", "5")]);
    assert_eq!(own("CONFIG_FILE"), pair("productforge.toml", "default"));
    assert_eq!((own("PORT"), own("WORKERS")), (pair("8123", "file"), pair("5", "environment")));
    let ollama = "chat at localhost:11434, model m, no key, the default";
    assert_eq!(own("providers.ollama"), pair(ollama, "file"));
    let by_variable = shown(&[], &[("CONFIG_FILE", "other.toml")]);
    assert_eq!(by_variable("CONFIG_FILE"), pair("other.toml", "environment"));
    assert_eq!((by_variable("PORT"), by_variable("WORKERS")), (pair("8124", "file"), pair("4", "default")));
    let by_flag = shown(&["--config", "other.toml"], &[("CONFIG_FILE", "nothing.toml")]);
    assert_eq!((by_flag("CONFIG_FILE"), by_flag("PORT")), (pair("other.toml", "flag"), pair("8124", "file")));
}

#[test]
fn a_named_file_that_is_not_there_is_a_problem_beside_all_others() {
    for command in [["serve"].as_slice(), &["config"], &["run", "x"], &["worker"], &["healthcheck"]] {
        let args = [command, &["--config", "gone.toml"]].concat();
        let env = [("PORT", "x"), ("PRICES_FILE", "no.json")];
        let ended = Workspace::new().run(&args, &env).expect_code(misconfigured(command));
        for told in [
            "3 problems",
            "configuration file gone.toml cannot be read",
            "PORT must",
            "PRICES_FILE cannot be read",
        ] {
            assert!(ended.stderr.contains(told), "{command:?}: {told} is not in {ended:?}");
        }
    }
}

#[test]
fn it_says_where_prices_come_from_and_of_which_day_they_are() {
    let here = Workspace::new();
    let built_in = here.run(&["config"], &[]).expect_code(0).stdout;
    assert!(
        built_in.contains("\nPrices: the built-in table, ") && built_in.contains("as of 20"),
        "{built_in}"
    );
    let table = r#"{"as_of": "2026-01-02", "models": {"a/b": {"input": 1, "output": 2}}}"#;
    std::fs::write(here.path().join("p.json"), table).unwrap();
    let own = here.run(&["config"], &[("PRICES_FILE", "p.json")]).expect_code(0).stdout;
    assert!(own.contains("\nPrices: p.json, 1 models, as of 2026-01-02\n"), "{own}");
    std::fs::write(here.path().join("p.json"), "{}").unwrap();
    let bad = here.run(&["config"], &[("PRICES_FILE", "p.json")]).expect_code(2).stderr;
    assert!(bad.contains("PRICES_FILE holds no table of prices: missing field"), "{bad}");
}

#[test]
fn the_example_of_the_help_page_is_a_good_file() {
    let page = document("assets/help/configuration.md");
    let example = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let keys = ["GROQ_API_KEY", "OPENROUTER_API_KEY", "AZURE_API_KEY", "TICKETS_TOKEN"];
    let env = |name: &str| keys.contains(&name).then(|| format!("value-of-{name}"));
    let config = Config::from_file_text(&Flags::new(), env, "productforge.toml", example).unwrap();
    let names: Vec<_> = config.llm.providers.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["azure", "groq", "openrouter", "workshop"]);
    let default = config.llm.default_provider().unwrap();
    assert_eq!((default.name.as_str(), default.model.as_str()), ("groq", "llama-3.3-70b-versatile"));
    assert_eq!((config.mcp.len(), config.budget.day_usd), (2, Some(20.0)));
    for key in keys {
        assert!(example.contains(key), "{key} is not used");
    }
    // And the table of prices beside it.
    let table = page.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    let here = Workspace::new();
    std::fs::write(here.path().join("prices.json"), table).unwrap();
    here.run(&["config"], &[("PRICES_FILE", "prices.json")]).expect_code(0);
}
