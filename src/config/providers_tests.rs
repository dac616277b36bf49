//! Tests of providers from the file and from `OPENAI_*`.

use std::time::Duration;

use super::{
    ApiStyle, LlmConfig, ProviderConfig,
    tests::{load, problems},
};

const GROQ: (&str, &str) = ("GROQ_API_KEY", "gsk-hush");

fn llm(env: &[(&str, &str)], text: &str) -> LlmConfig {
    load(env, text).unwrap().llm
}

fn find<'a>(llm: &'a LlmConfig, name: &str) -> &'a ProviderConfig {
    llm.providers.iter().find(|provider| provider.name == name).unwrap()
}

#[test]
fn without_any_provider_answers_are_simulated() {
    for env in [[].as_slice(), &[("OPENAI_MODEL", "gpt-4o"), ("MODEL_TIMEOUT", "5")]] {
        let llm = llm(env, "");
        assert!(llm.is_simulated() && llm.providers.is_empty() && llm.default_provider.is_empty());
    }
}

#[test]
fn openai_variables_describe_a_provider_as_ever() {
    let env = [("OPENAI_API_KEY", "sk-1"), ("MODEL_TIMEOUT", "120"), ("MODEL_MAX_TOKENS", "900")];
    let llm = llm(&env, "");
    let openai = llm.default_provider().unwrap();
    assert_eq!((openai.name.as_str(), openai.base_url.as_str()), ("openai", "https://api.openai.com/v1"));
    assert_eq!((openai.model.as_str(), openai.max_tokens, openai.stream), ("gpt-4o-mini", Some(900), true));
    assert_eq!((openai.api, openai.key.as_ref().unwrap().expose()), (ApiStyle::Chat, "sk-1"));
    let seconds =
        [openai.timeouts.connect, openai.timeouts.first_byte, openai.timeouts.idle, openai.timeouts.total]
            .map(|wait| wait.as_secs());
    assert_eq!(seconds, [5, 120, 60, 120], "no wait is longer than the whole");
    assert!(!llm.is_simulated());
}

#[test]
fn without_a_stream_the_first_byte_may_take_as_long_as_the_whole() {
    let llm = llm(&[("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"), ("MODEL_STREAM", "false")], "");
    let openai = find(&llm, "openai");
    assert_eq!((openai.stream, openai.timeouts.first_byte), (false, Duration::from_secs(600)));
    assert!(openai.key.is_none());
}

#[test]
fn a_known_provider_needs_its_key_alone() {
    let llm = llm(
        &[GROQ, ("OPENAI_API_KEY", "sk-1")],
        "[providers.groq]\nkey_env = 'GROQ_API_KEY'\n[providers.ollama]",
    );
    let groq = find(&llm, "groq");
    assert_eq!(
        (groq.base_url.as_str(), groq.host().as_str()),
        ("https://api.groq.com/openai/v1", "api.groq.com")
    );
    assert_eq!((groq.key.as_ref().unwrap().expose(), groq.vendor()), ("gsk-hush", Some("groq")));
    let ollama = find(&llm, "ollama");
    assert_eq!((ollama.host().as_str(), ollama.vendor()), ("localhost:11434", None));
    assert_eq!(llm.default_provider, "openai");
    assert!(!format!("{llm:?}").contains("hush"));
}

#[test]
fn a_section_says_all_there_is_to_say() {
    let text = "[providers.x]\nbase_url = 'https://x.example.com/v1/'\nkey = 'k'\napi = 'responses'\nmodel = 'm'\n\
                headers = { api-key = { env = 'K' }, X-Title = 'A title' }\nmax_tokens = 7\nstream = false\n\
                connect_seconds = 1\nfirst_byte_seconds = 2\nidle_seconds = 900\ntimeout_seconds = 30\n\
                requests_per_minute = 60\nconcurrency = 3\n\
                [providers.x.prices]\n'*' = { input = 1, output = 2.5 }\n\
                [providers.x.prices.'a/b']\ninput = 3\ncached_input = 0.5\noutput = 4";
    let llm = llm(&[("K", "v")], text);
    let x = find(&llm, "x");
    assert_eq!(
        (x.base_url.as_str(), x.api, x.model.as_str()),
        ("https://x.example.com/v1", ApiStyle::Responses, "m")
    );
    let headers: Vec<_> = x.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("X-Title", "A title"), ("api-key", "v")]);
    assert_eq!(
        (x.max_tokens, x.stream, x.requests_per_minute, x.concurrency),
        (Some(7), false, Some(60), Some(3))
    );
    let t = x.timeouts;
    assert_eq!([t.connect, t.first_byte, t.idle, t.total].map(|w| w.as_secs()), [1, 2, 30, 30]);
    assert_eq!((x.prices["*"].input, x.prices["*"].output, x.prices["*"].cached_input), (1.0, 2.5, None));
    assert_eq!(x.prices["a/b"].cached_input, Some(0.5));
    assert_eq!((llm.default_provider.as_str(), x.vendor()), ("x", None));
}

#[test]
fn variables_win_over_the_section_of_openai_and_that_over_the_top_of_the_file() {
    let text = "openai_api_key = 'of-top'\nmodel_timeout = 100\n[providers.openai]\nkey = 'of-section'\n\
                model = 'gpt-4.1'\ntimeout_seconds = 50\nmax_tokens = 5\nrequests_per_minute = 9";
    let from_file = llm(&[], text);
    let openai = find(&from_file, "openai");
    assert_eq!((openai.key.as_ref().unwrap().expose(), openai.model.as_str()), ("of-section", "gpt-4.1"));
    assert_eq!((openai.timeouts.total.as_secs(), openai.max_tokens), (50, Some(5)));
    let env = [
        ("OPENAI_API_KEY", "of-env"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
        ("OPENAI_MODEL", "gpt-5"),
        ("MODEL_TIMEOUT", "20"),
        ("MODEL_MAX_TOKENS", "6"),
    ];
    let refined = llm(&env, text);
    let openai = find(&refined, "openai");
    assert_eq!((openai.key.as_ref().unwrap().expose(), openai.model.as_str()), ("of-env", "gpt-5"));
    assert_eq!((openai.timeouts.total.as_secs(), openai.max_tokens), (20, Some(6)));
    assert_eq!((openai.host().as_str(), openai.requests_per_minute), ("127.0.0.1:9", Some(9)));
    assert_eq!(refined.providers.len(), 1);
}

#[test]
fn the_default_is_what_is_named_else_openai_else_the_first() {
    let two = "[providers.b]\nbase_url = 'http://b/v1'\nmodel = 'mb'\n[providers.a]\nbase_url = 'http://a/v1'\nmodel = 'ma'\n";
    let openai = ("OPENAI_API_KEY", "sk");
    let elsewhere = ("OPENAI_BASE_URL", "http://c/v1");
    for (env, top, provider, model) in [
        ([].as_slice(), "", "a", "ma"),
        (&[openai], "", "openai", "gpt-4o-mini"),
        (&[], "default_model = 'b/x/y'\n", "b", "x/y"),
        (&[openai], "default_model = 'b/x'\n", "b", "x"),
        (&[openai, ("OPENAI_MODEL", "a/z")], "openai_model = 'b/x'\n", "a", "z"),
        (&[openai, ("OPENAI_MODEL", "gpt-5")], "", "openai", "gpt-5"),
        (&[openai, ("OPENAI_MODEL", "openai/gpt-5")], "", "openai", "gpt-5"),
        (&[elsewhere, ("OPENAI_MODEL", "openai/gpt-oss")], "", "openai", "openai/gpt-oss"),
        (&[], "default_model = 'meta/llama'\n", "a", "meta/llama"),
    ] {
        let llm = llm(env, &format!("{top}{two}"));
        let default = llm.default_provider().unwrap();
        assert_eq!((default.name.as_str(), default.model.as_str()), (provider, model), "{env:?} {top}");
    }
}

#[test]
fn what_is_wrong_with_a_provider_is_named() {
    for (text, problem) in [
        ("[providers.x]\nmodel = 'm'", "f.toml:1: providers.x has no base_url; only openai, groq"),
        (
            "[providers.x]\nbase_url = 'ftp://x'\nmodel = 'm'",
            "f.toml:2: providers.x.base_url must be an http://",
        ),
        ("[providers.groq]\nmodel = 'm'", "f.toml:1: providers.groq has no key"),
        ("[providers.openai]\nstream = true", "providers.openai has no key"),
        (
            "[providers.groq]\nkey_env = 'NO'\nmodel = 'm'",
            "f.toml:2: providers.groq.key_env names the environment variable NO, which is not set",
        ),
        (
            "[providers.groq]\nkey_env = 'BAD'\nmodel = 'm'",
            "providers.groq.key_env names BAD, which must be visible ASCII",
        ),
        ("[providers.groq]\nkey = 'a'\nkey_env = 'BAD'", "has both key and key_env"),
        ("[providers.groq]\nkey = 'a'", "f.toml:1: the provider groq is asked by default and has no model"),
        ("[providers.groq]\nkey = 'a'\nmodel = ''", "providers.groq.model must name a model"),
        ("[providers.simulated]", "providers.simulated is built in"),
        ("[providers.Groq]\nkey = 'a'", "providers.Groq must be a name of 1 to 32"),
        (
            "[providers.ollama]\nmodel = 'm'\napi = 'rest'",
            "providers.ollama.api must be chat or responses (it is 'rest')",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nmodels = []",
            "f.toml:3: providers.ollama.models is not known; the nearest known key is model",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nconcurrency = 0",
            "providers.ollama.concurrency must be a whole number from 1 to 1000",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nheaders = { Host = 'x' }",
            "providers.ollama.headers.Host is set by the program itself",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nheaders = { 'a b' = 'x' }",
            "providers.ollama.headers.a b is not the name of a header",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nprices = { m = { input = 1 } }",
            "providers.ollama.prices.m must have input and output",
        ),
        (
            "[providers.ollama]\nmodel = 'm'\nprices = { m = { input = -1, output = 1 } }",
            "providers.ollama.prices.m.input must be a number",
        ),
        ("[providers.ollama]\nmodel = 'm'\nprices = { m = 1 }", "providers.ollama.prices.m must be a table"),
        ("[providers.ollama]\nmodel = 'm'\nkey = ''", "f.toml:3: providers.ollama.key must not be empty"),
        (
            "[providers.ollama]\nmodel = 'm'\nidle_seconds = 0",
            "providers.ollama.idle_seconds must be more than 0 seconds",
        ),
        ("[providers.x]\nmodel = 'm'\nbase_url = 'htp://me:two words@x'", "(it is 'htp://***@x')"),
        ("default_model = 'a'\nopenai_model = 'b'\n[providers.ollama]", "default_model"),
    ] {
        let found = problems(&[("BAD", "two words")], text);
        assert!(found.iter().any(|p| p.contains(problem)), "{text}: {found:#?}");
        assert!(!found.join("\n").contains("two words"), "{found:?}");
    }
}

#[test]
fn providers_are_shown_among_the_settings_without_their_keys() {
    let text =
        "[providers.groq]\nkey_env = 'GROQ_API_KEY'\n[providers.p]\nbase_url = 'http://me:hush@p/v1?k=hush'";
    let config = load(&[GROQ, ("OPENAI_API_KEY", "sk-hush")], text).unwrap();
    let shown: Vec<_> = config
        .settings
        .iter()
        .filter(|s| s.name.starts_with("providers."))
        .map(|s| (s.name.as_ref(), s.value.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("providers.groq", "chat at api.groq.com, no default model, key set"),
            ("providers.openai", "chat at api.openai.com, model gpt-4o-mini, key set, the default"),
            ("providers.p", "chat at p, no default model, no key"),
        ]
    );
}
