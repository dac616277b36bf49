//! Tests of the file beside flags and variables.

use super::{Config, ConfigError, Flags, McpTransport, Source};

/// The configuration from variables and the text of a file called `f.toml`.
pub(super) fn load(env: &[(&str, &str)], text: &str) -> Result<Config, ConfigError> {
    load_with(&Flags::new(), env, text)
}

fn load_with(flags: &Flags, env: &[(&str, &str)], text: &str) -> Result<Config, ConfigError> {
    let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    Config::from_file_text(flags, env, "f.toml", text)
}

/// What is wrong with it.
#[track_caller]
pub(super) fn problems(env: &[(&str, &str)], text: &str) -> Vec<String> {
    load(env, text).map(|_| ()).expect_err("it has problems").problems
}

#[test]
fn flags_win_over_the_environment_that_over_the_file_and_that_over_defaults() {
    let text =
        "port = 1\nworkers = 2\nlease_seconds = 3.5\nlog_level = 'debug'\nopen = true\nresult_ttl = ''";
    let flags = Flags::from([("PORT", "3".to_owned())]);
    let config = load_with(&flags, &[("PORT", "2"), ("WORKERS", "5")], text).unwrap();
    assert_eq!((config.http.port, config.worker.slots, config.http.open), (3, 5, true));
    assert_eq!((config.worker.lease.as_secs_f64(), config.log.filter.as_str()), (3.5, "debug"));
    let source = |name: &str| config.settings.iter().find(|s| s.name == name).unwrap().source;
    let expected = [
        ("PORT", Source::Flag),
        ("WORKERS", Source::Environment),
        ("LEASE_SECONDS", Source::File),
        ("OPEN", Source::File),
        ("RESULT_TTL", Source::Default),
        ("DRAIN_SECONDS", Source::Default),
        ("API_KEY", Source::Unset),
        ("CONFIG_FILE", Source::Default),
    ];
    for (name, expected) in expected {
        assert_eq!(source(name), expected, "{name}");
    }
}

#[test]
fn every_problem_of_file_and_environment_is_named_at_once_with_its_line() {
    let text = "port = 99999\nprot = 1\nworkers = [1]\nconfig_file = 'x'\napi_key = 'short'\n\n[worker]\nslots = 1\n";
    let found = problems(&[("LEASE_SECONDS", "0")], text);
    let expected = [
        "f.toml:1: port must be a whole number from 0 to 65535 (it is '99999')",
        "f.toml:5: api_key must have at least 8 characters",
        "f.toml:3: workers must be a text, a number, true or false",
        "LEASE_SECONDS must be a number of seconds from 1 to 3600 (it is '0')",
        "f.toml:4: config_file is no setting; `productforge config --table` has them all",
        "f.toml:2: prot is no setting; the nearest known one is port",
        "f.toml:7: worker is no setting; the nearest known one is workers",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, expected) in found.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem:?} is not {expected:?}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_named_beside_the_problems_of_the_environment() {
    let found = problems(&[("PORT", "x")], "a = 1\nport = \n");
    assert!(found.len() == 2 && found[0].starts_with("f.toml:2: this is no TOML"), "{found:#?}");
    assert!(found[1].starts_with("PORT must"), "{found:#?}");
    let empty = load(&[], "").unwrap();
    assert!(empty.llm.is_simulated() && empty.mcp.is_empty());
}

#[test]
fn secrets_of_a_file_show_nowhere() {
    let text = "api_key = 'top-secret-key'\nredis_url = 'redis://:hush@cache'\nopenai_api_key = 'sk-hush'";
    let config = load(&[], text).unwrap();
    assert_eq!(config.http.api_key.as_ref().unwrap().expose(), "top-secret-key");
    assert!(!format!("{config:?}").contains("hush") && !format!("{config:?}").contains("top-secret"));
    let bad =
        problems(&[], "api_key = 'säcret-key'\nopenai_api_key = 'two words'\n[providers.groq]\nkey = 'a b'");
    let bad = bad.join("\n");
    assert!(!bad.contains("cret-key") && !bad.contains("two words") && !bad.contains("a b"), "{bad}");
}

#[test]
fn budgets_are_amounts() {
    let text = "daily_budget_usd = 20\nkey_budget_usd = 0.5\nkey_budget_tokens = 100_000";
    let budget = load(&[("DAILY_BUDGET_TOKENS", "5")], text).unwrap().budget;
    assert_eq!((budget.day_usd, budget.key_usd), (Some(20.0), Some(0.5)));
    assert_eq!((budget.day_tokens, budget.key_tokens), (Some(5), Some(100_000)));
    for value in ["0", "-1", "nan", "inf", "1e9", "'five'"] {
        let found = problems(&[], &format!("daily_budget_usd = {value}"));
        assert!(found[0].contains("daily_budget_usd must be a number of US dollars"), "{found:?}");
    }
}

#[test]
fn mcp_servers_are_programs_or_addresses() {
    let text = "[mcp.files]\ncommand = 'fs'\nargs = ['/srv']\ntools = ['read']\nenv = { A = 'b', T = { env = 'TOKEN' } }\n\
                [mcp.tickets]\nurl = 'https://t.example.com/mcp/'\nheaders = { X-T = 'Bearer abc' }\ntimeout_seconds = 5";
    let mcp = load(&[("TOKEN", "tok")], text).unwrap().mcp;
    let McpTransport::Stdio { command, args, env } = &mcp[0].transport else { panic!("{mcp:?}") };
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!((command.as_str(), args.as_slice()), ("fs", ["/srv".to_owned()].as_slice()));
    assert_eq!((env, mcp[0].timeout.as_secs()), (vec![("A", "b"), ("T", "tok")], 60));
    assert_eq!(mcp[0].tools.as_deref(), Some(["read".to_owned()].as_slice()));
    let McpTransport::Http { url, headers } = &mcp[1].transport else { panic!("{mcp:?}") };
    assert_eq!((url.as_str(), headers[0].1.expose()), ("https://t.example.com/mcp", "Bearer abc"));
    assert_eq!(
        (mcp[1].name.as_str(), mcp[1].timeout.as_secs(), mcp[1].tools.is_none()),
        ("tickets", 5, true)
    );
}

#[test]
fn what_is_wrong_with_an_mcp_server_is_named() {
    for (text, problem) in [
        ("[mcp.a]", "mcp.a must have either command (a program to start) or url"),
        ("[mcp.a]\nurl = 'http://x'\ncommand = 'y'", "mcp.a must have either command"),
        ("[mcp.a]\nurl = 'http://x'\nargs = []", "mcp.a has args, which belongs to command"),
        ("[mcp.a]\nurl = 'x'", "mcp.a.url must be an http:// or https:// address"),
        ("[mcp.a]\ncommand = ''", "mcp.a.command must name a program"),
        ("[mcp.a]\ncommand = 'x'\nargs = 'y'", "f.toml:3: mcp.a.args must be a list of texts"),
        (
            "[mcp.a]\ncommand = 'x'\nenv = { T = { env = 'NO' } }",
            "f.toml:3: mcp.a.env.T names the environment variable NO",
        ),
        ("[mcp.a]\ncommand = 'x'\nenv = { T = { en = 'NO' } }", "mcp.a.env.T must be a text or { env"),
        (
            "[mcp.a]\ncommand = 'x'\ntool = []",
            "f.toml:3: mcp.a.tool is not known; the nearest known key is tools",
        ),
        ("[mcp.'a b']\ncommand = 'x'", "f.toml:1: mcp.a b must be a name of 1 to 32"),
        ("mcp = 5", "mcp must hold tables such as [mcp.name]"),
        ("[mcp]\na = 1", "f.toml:2: mcp.a must be a table, [mcp.a]"),
    ] {
        let found = problems(&[], text);
        assert!(found.iter().any(|p| p.contains(problem)), "{text}: {found:#?}");
    }
}

#[test]
fn a_secret_may_stand_in_a_file_that_its_twin_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (key, redis) = (path("key", b"top-secret-key\n"), path("redis", b"redis://:hush@cache\r\n"));
    let text = format!("redis_url_file = '{redis}'\n[providers.groq]\nkey_env = 'GROQ_KEY'\nmodel = 'm'");
    let config = load(&[("API_KEY_FILE", &key), ("GROQ_KEY_FILE", &key)], &text).unwrap();
    assert_eq!(config.http.api_key.as_ref().unwrap().expose(), "top-secret-key");
    assert_eq!(config.store.redis_url.as_ref().unwrap().expose(), "redis://:hush@cache");
    assert_eq!(config.llm.providers[0].key.as_ref().unwrap().expose(), "top-secret-key");
    let found = config.settings.iter().find(|setting| setting.name == "API_KEY").unwrap();
    assert_eq!((found.source, found.value.as_str()), (Source::SecretFile, "***"));
    assert!(config.is_given("REDIS_URL"));

    let gone = folder.path().join("gone").display().to_string();
    for (file, why) in [
        (gone, "it cannot be read: No such file or directory"),
        (folder.path().display().to_string(), "it cannot be read: Is a directory"),
        (path("empty", b"\n"), "it is empty"),
        (path("binary", b"\xff\xfe1234567890"), "it cannot be read: stream did not contain valid UTF-8"),
        (path("large", &[b'x'; 70_000]), "it holds more than 65536 bytes"),
        (path("short", b"hush\n"), "must have at least 8 characters"),
    ] {
        let found = problems(&[("API_KEY_FILE", &file)], "");
        assert!(found[0].starts_with("API_KEY_FILE names ") && found[0].contains(why), "{found:?}");
        assert!(found.len() == 1 && !found[0].contains("hush"), "{found:?}");
    }
}

#[test]
fn a_secret_and_its_twin_together_are_a_problem_wherever_they_stand() {
    let both = |env: &[(&str, &str)], text: &str| problems(env, text).join("\n");
    let found = both(&[("API_KEY", "12345678"), ("API_KEY_FILE", "x")], "");
    assert_eq!(found, "API_KEY and API_KEY_FILE are both given; one is enough");
    let found = both(&[("API_KEY", "12345678")], "api_key_file = 'x'");
    assert_eq!(found, "API_KEY and f.toml:1: api_key_file are both given; one is enough");
    let groq = "[providers.groq]\nmodel = 'm'\nkey_env = 'K'";
    let found = both(&[("K", "12345678"), ("K_FILE", "x")], groq);
    assert!(found.contains("names K, but both K and K_FILE are set"), "{found}");
    let found = both(&[("K_FILE", "/gone")], groq);
    assert!(found.contains("names K, and K_FILE names /gone: it cannot be read"), "{found}");
    // What is no secret has no twin.
    assert!(both(&[], "port_file = 'x'").contains("port_file is no setting"));
}

#[test]
fn without_a_key_only_named_sites_may_call_from_elsewhere() {
    let origins = |settings: &[(&str, &str)]| {
        let env = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::from_parts(&Flags::default(), env).unwrap().http.allowed_origins()
    };
    assert_eq!(origins(&[]), ["http://localhost:3000"]);
    assert_eq!(origins(&[("API_KEY", "long-enough")]).len(), 2);
    assert_eq!(origins(&[("CORS_ORIGINS", "https://*.netlify.app")]), ["https://*.netlify.app"]);
}
