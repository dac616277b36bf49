//! The table of all settings: complete, true, and the same wherever settings are listed.

use std::collections::BTreeSet;

use productforge::config::{Config, Flags, Kind, Row, Setting, TABLE};

use crate::support::{command::Workspace, world::config};

fn settings() -> Vec<Setting> {
    config(&[]).settings
}

fn document(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Whether this value of a setting is taken; other settings may be in its way, problems of its own are not.
fn takes(name: &str, value: &str) -> bool {
    let env = |asked: &str| (asked == name).then(|| value.to_owned());
    match Config::from_parts(&Flags::new(), env) {
        Ok(_) => true,
        Err(error) => !error.problems.iter().any(|problem| problem.starts_with(&format!("{name} "))),
    }
}

#[test]
fn every_setting_is_described_once_and_nothing_else_is() {
    let read: BTreeSet<String> = settings().iter().map(|setting| setting.name.to_string()).collect();
    let described: BTreeSet<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
    let missing: Vec<_> = read.difference(&described).collect();
    assert!(missing.is_empty(), "say in src/config/table.rs what these are: {missing:?}");
    let unread: Vec<_> = described.difference(&read).collect();
    assert!(unread.is_empty(), "src/config/table.rs describes what nobody reads: {unread:?}");
    assert_eq!(described.len(), TABLE.len(), "a row stands in src/config/table.rs twice");
    for Row { name, meaning, .. } in TABLE {
        assert!(
            !meaning.is_empty() && !meaning.ends_with('.') && !meaning.contains('|'),
            "{name}: {meaning}"
        );
    }
}

#[test]
fn what_the_table_says_a_value_may_be_is_true() {
    for Row { name, kind, .. } in TABLE {
        let bounds = match kind {
            Kind::Number(min, max) | Kind::Seconds(min, max) => {
                assert!(!takes(name, "many"), "{name}: a word");
                let fraction = matches!(kind, Kind::Seconds(..));
                assert_eq!(takes(name, &format!("{}.5", min + 1)), fraction, "{name}: a fraction");
                Some((*min, *max))
            }
            Kind::Truth => {
                assert!(takes(name, "true") && takes(name, "false") && !takes(name, "perhaps"), "{name}");
                None
            }
            Kind::OneOf(words) => {
                assert!(words.iter().all(|word| takes(name, word)) && !takes(name, "neither"), "{name}");
                None
            }
            Kind::Dollars => {
                assert!(takes(name, "0.01") && !takes(name, "0") && !takes(name, "-1"), "{name}");
                None
            }
            Kind::Text(_) => None,
        };
        if let Some((min, max)) = bounds {
            for (value, taken) in
                [(Some(min), true), (Some(max), true), (min.checked_sub(1), false), (Some(max + 1), false)]
            {
                let Some(value) = value else { continue };
                assert_eq!(takes(name, &value.to_string()), taken, "{name}: {value}");
            }
        }
    }
}

#[test]
fn the_page_of_settings_is_what_the_program_prints() {
    // Whatever is in effect: the table is about defaults.
    let env =
        [("PORT", "9999"), ("API_KEY", "a-secret-key"), ("RAILWAY_ENVIRONMENT", "x"), ("WORKERS", "bad")];
    let printed = Workspace::new().run(&["config", "--table"], &env).expect_code(0).stdout;
    let page = document("docs/settings.md");
    assert!(
        printed == page,
        "docs/settings.md is out of date: cargo run -- config --table > docs/settings.md\n{printed}"
    );
    for setting in settings() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", setting.name))).unwrap();
        assert_eq!(row.contains("**secret**"), setting.secret, "{row}");
        assert!(setting.default.is_empty() || row.contains(&format!("| `{}` |", setting.default)), "{row}");
    }
    assert!(page.contains("| `API_KEY` |  | **secret**: at least 8"), "{page}");
}

/// The other way round is checked in `config.rs`.
#[test]
fn no_list_of_settings_names_one_that_there_is_not() {
    let known: BTreeSet<String> = TABLE.iter().map(|row| row.name.to_owned()).collect();
    let is_name =
        |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    for path in ["README.md", "assets/help/configuration.md", "docs/settings.md"] {
        let text = document(path);
        let names =
            text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name));
        let names: Vec<_> = names.filter(|name| name.len() > 3 && is_name(name)).collect();
        assert!(names.len() >= known.len(), "{path}: {names:?}");
        for name in names {
            assert!(known.contains(name), "{path} lists {name}, which is no setting");
        }
    }
    let example = document(".env.example");
    let names =
        example.lines().filter_map(|line| line.strip_prefix("# ")?.split_once('=').map(|(name, _)| name));
    for name in names.filter(|name| is_name(name)) {
        assert!(known.contains(name), ".env.example lists {name}, which is no setting");
    }
}

#[test]
fn every_secret_may_stand_in_a_file() {
    let here = Workspace::new();
    let values = [
        ("REDIS_URL", "redis://:hush@cache"),
        ("BLOB_URL", "s3://bucket/x"),
        ("WEBHOOK_SECRET", "aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2gt"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=hush"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=hush"),
    ];
    for setting in settings().iter().filter(|setting| setting.secret) {
        let name = setting.name.as_ref();
        let value = values.iter().find(|(of, _)| *of == name).map_or("hush-hush-hush", |(_, value)| value);
        std::fs::write(here.path().join("secret"), format!("{value}\r\n")).unwrap();
        let twin = format!("{name}_FILE");
        let table = here.run(&["config"], &[(&twin, "secret")]).expect_code(0).stdout;
        let row = table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(row.contains("***") && row.ends_with(&format!("file of {twin}")), "{row}");
        assert!(!table.contains("hush"), "{table}");
        let json = here.run(&["config", "--json"], &[(&twin, "secret")]).expect_code(0).stdout;
        assert!(json.contains(r#""source": "secret_file""#), "{json}");
        let both = here.run(&["config"], &[(&twin, "secret"), (name, value)]).expect_code(2).stderr;
        assert!(
            both.contains(&format!("{name} and {twin} are both given")) && !both.contains("hush"),
            "{both}"
        );
    }
}

#[test]
fn a_server_takes_its_key_from_a_file() {
    let here = Workspace::new();
    std::fs::write(here.path().join("key"), "the-key-in-the-file\n").unwrap();
    std::fs::write(here.path().join("productforge.toml"), "api_key_file = 'key'\n").unwrap();
    let mut server = here.start(&["serve", "--port", "0", "--workers", "0"], &[]);
    let line = server.line_with("listening on http://");
    let url = &line[line.find("http://").unwrap()..];
    let list = ["jobs", "list", "--url", url];
    here.run(&list, &[("API_KEY", "the-key-in-the-file")]).expect_code(0);
    here.run(&list, &[("API_KEY", "another-key")]).expect_code(2);
    server.signal("TERM");
    server.ends_with_code(0);
}

#[test]
fn addresses_are_shown_without_their_passwords() {
    let env = [
        ("OPENAI_BASE_URL", "https://user:hush@proxy.example.com/v1?token=hush"),
        ("REDIS_URL", "redis://:hush@cache"),
    ];
    for arguments in [["config"].as_slice(), &["config", "--json"]] {
        let shown = Workspace::new().run(arguments, &env).expect_code(0).stdout;
        assert!(shown.contains("proxy.example.com") && !shown.contains("hush"), "{shown}");
    }
}
