//! Tests of secrets.

use std::time::{Duration, Instant};

use super::*;

/// Put together at run time: scanners of repositories look at this file too.
fn token(begin: &str, length: usize) -> String {
    let letters = "q7Rm2Zx9Kc4Wv8Tb3Nh6Yd5Lf1Gs0Pj";
    begin.chars().chain(letters.chars().cycle().take(length)).collect()
}

fn kinds(text: &str) -> Vec<String> {
    find("a", text, false).0.into_iter().map(|secret| secret.kind).collect()
}

#[test]
fn known_kinds_are_found_and_masked() {
    let upper = "QRMZXKCWVTBNHYDL";
    for (kind, secret) in [
        ("aws_access_key", format!("AKIA{upper}")),
        ("gcp_api_key", token("AIza", 35)),
        ("github_token", token("ghp_", 36)),
        ("github_token", token("github_pat_", 82)),
        ("gitlab_token", token("glpat-", 20)),
        ("slack_token", token("xoxb-", 40)),
        ("stripe_key", token("sk_live_", 24)),
        ("anthropic_key", token("sk-ant-api03-", 80)),
        ("openai_key", token("sk-proj-", 80)),
        ("openai_key", token("sk-", 48)),
        ("npm_token", token("npm_", 36)),
        ("pypi_token", token("pypi-AgE", 100)),
    ] {
        let (found, _) = find("src/a.rs", &format!("\nlet x = f({secret:?});\n"), false);
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        assert_eq!((found[0].kind.as_str(), found[0].line), (kind, Some(2)));
        assert!(!found[0].excerpt.contains(&secret[..5]), "{}", found[0].excerpt);
    }
}

#[test]
fn private_keys_need_a_body() {
    let begin = format!("-----BEGIN RSA {} KEY-----", "PRIVATE");
    assert_eq!(kinds(&format!("{begin}\n{}\n", token("MIIE", 60))), ["private_key"]);
    assert_eq!(kinds(&format!("{begin}\nProc-Type: 4,ENCRYPTED\n\n{}\n", token("", 60))), ["private_key"]);
    assert_eq!(kinds(&format!("k = \"{begin}\\n{}\"", token("MIIE", 60))), ["private_key"]);
    assert_eq!(kinds(&format!("if line == \"{begin}\":\n    return")), [""; 0]);
}

#[test]
fn passwords_are_found_by_their_names_and_in_addresses() {
    let secret = token("", 16);
    assert_eq!(kinds(&format!("db_password = \"{secret}\"")), ["assigned_secret"]);
    assert_eq!(kinds(&format!("{{\"apiKey\": \"{secret}\"}}")), ["assigned_secret"]);
    assert_eq!(kinds(&format!("API_KEY={secret}\n")), ["assigned_secret"]);
    assert_eq!(kinds(&format!("postgres://me:{secret}@db/x")), ["password_in_url"]);
    assert_eq!(kinds(&format!("git+https://{}@github.com/x", token("", 30))), ["token_in_url"]);
}

#[test]
fn what_is_too_long_for_a_password_is_none() {
    for (begin, end) in [("token = \"", "\""), ("TOKEN=", "\n"), ("db://me:", "@db")] {
        let kinds = |length: usize| kinds(&format!("{begin}{}{end}", token("", length)));
        assert_eq!(kinds(MAX_VALUE_CHARS).len(), 1, "{begin}");
        assert_eq!(kinds(MAX_VALUE_CHARS + 1), [""; 0], "{begin}");
        assert_eq!(kinds(200_000), [""; 0], "{begin}");
    }
}

#[test]
fn placeholders_and_code_are_passed_over() {
    for text in [
        "password = \"changeme123!\"",
        "password = \"your_password_here1\"",
        "password = os.environ[\"DB_PASSWORD\"]",
        "token = \"${GITHUB_TOKEN_1}\"",
        "secret: \"{{ vault.secret9 }}\"",
        "password = \"xxxxxxxxxxxx\"",
        "token_url = \"https://example.org/token1\"",
        "postgres://user:password@localhost/x",
        "https://user:${PASS}@host/x",
        "AKIAIOSFODNN7EXAMPLE",
        "api_key = \"api-key-header\"",
        "csrf_token = \"csrfmiddlewaretoken\"",
        "PASSWORD_HASHERS = 'django.contrib.auth.hashers.Argon2'",
    ] {
        assert_eq!(kinds(text), [""; 0], "{text}");
    }
}

#[test]
fn no_more_than_four_characters_and_a_third_are_shown() {
    assert_eq!(masked("abcdef"), "ab*** (6 characters)");
    assert_eq!(masked("abcdefghijklmnop"), "abcd*** (16 characters)");
    assert_eq!(masked("ab"), "*** (2 characters)");
}

#[test]
fn texts_lose_their_secrets() {
    let one = token("ghp_", 36);
    let text = format!("a {one} b https://x:{}@h c", token("", 20));
    let redacted = redact(&text);
    assert!(redacted.starts_with("a ghp_*** (40 characters) b https://x:"), "{redacted}");
    assert!(!redacted.contains(&one[..6]) && redacted.ends_with("@h c"));
    assert_eq!(redact("nothing"), "nothing");
}

#[test]
fn a_file_with_too_many_is_cut() {
    let text = format!("{}\n", token("ghp_", 36)).repeat(200);
    let (found, left_out) = find("a", &text, false);
    assert_eq!((found.len(), left_out), (MAX_PER_FILE, 150));
}

#[test]
fn names_tell_too() {
    assert_eq!(of_name("a/.env").map(|s| s.kind).as_deref(), Some("env_file"));
    assert_eq!(of_name(".env.production").map(|s| s.kind).as_deref(), Some("env_file"));
    assert_eq!(of_name("a/.env.example"), None);
    assert_eq!(of_name("keys/id_rsa").map(|s| s.severity), Some(Severity::High));
}

#[test]
fn packed_programs_and_tests_are_another_matter() {
    let secret = token("", 16);
    let packed = format!("{}password=\"{secret}\"", "x;".repeat(1_000));
    assert_eq!(kinds(&packed), [""; 0]);
    assert_eq!(kinds(&packed.replace(';', ";\n")), ["assigned_secret"]);
    let severity = |is_test| find("a", &format!("redis://me:{secret}@h"), is_test).0[0].severity;
    assert_eq!([false, true].map(severity), [Severity::High, Severity::Low]);
    let known = format!("x = '{}'", token("ghp_", 36));
    assert_eq!(find("a", &known, true).0[0].severity, Severity::Critical);
}

#[test]
fn hostile_texts_take_time_in_proportion() {
    let key = format!("-----BEGIN {} KEY-----\n", "PRIVATE");
    let long = token("", 5_000);
    for unit in [
        format!("{key}{long}\n"),
        format!("{key}A: b\n"),
        key,
        format!("eyJ{long}.eyJ{long}.{long} "),
        format!("eyJ{long}."),
        format!("ghp_{long} "),
        format!("password = \"{}\" ", token("", 200)),
        "password".to_owned(),
        "token = ".to_owned(),
        format!("db://{}:", token("", 99)),
        format!("aws{}sk", "a".repeat(20)),
        "A_B_TOKEN=".to_owned(),
        format!("token='{}\n", token("", 100_000)),
        format!("db://me:{} ", token("", 100_000)),
        "db://a.b-c:".to_owned(),
    ] {
        let text = unit.repeat(500_000 / unit.len());
        let started = Instant::now();
        let (found, _) = find("a", &text, false);
        assert!(found.len() <= MAX_PER_FILE);
        let unit = unit.get(..30).unwrap_or(&unit);
        assert!(started.elapsed() < Duration::from_secs(15), "{unit}: {:?}", started.elapsed());
    }
}
