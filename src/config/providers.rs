//! `[providers.*]` of the file, and the one that `OPENAI_*` describe.

use std::time::Duration;

use super::{
    ApiStyle, LlmConfig, ModelTimeouts, PriceConfig, ProviderConfig, Source, llm::DEFAULT_MODEL, preset,
    reader::Reader, section::Section, values,
};

/// The provider that `OPENAI_*` describe.
const OPENAI: &str = "openai";
/// The built-in one that needs no configuration.
const SIMULATED: &str = "simulated";

/// All providers, by name.
pub(super) fn read(r: &mut Reader<'_>, llm: &LlmConfig) -> Vec<ProviderConfig> {
    let mut providers: Vec<ProviderConfig> = r
        .sections("providers", |name, section| {
            let described = name == OPENAI && (llm.api_key.is_some() || llm.base_url.is_some());
            let provider = provider(name, section, llm, described);
            if name == SIMULATED {
                section.complain("is built in and has no settings; choose another name");
                return None;
            }
            Some(provider)
        })
        .into_iter()
        .map(|(_, provider)| provider)
        .collect();
    if llm.api_key.is_some() || llm.base_url.is_some() {
        match providers.iter_mut().find(|provider| provider.name == OPENAI) {
            Some(openai) => refine(r, llm, openai),
            None => providers.push(openai(llm)),
        }
    }
    providers.sort_by(|a, b| a.name.cmp(&b.name));
    providers
}

/// What `OPENAI_*` alone describe.
fn openai(llm: &LlmConfig) -> ProviderConfig {
    ProviderConfig {
        name: OPENAI.to_owned(),
        base_url: llm.base_url.clone().unwrap_or_else(|| preset::OPENAI.to_owned()),
        key: llm.api_key.clone(),
        api: ApiStyle::Chat,
        model: DEFAULT_MODEL.to_owned(),
        headers: Vec::new(),
        max_tokens: llm.max_tokens,
        stream: llm.stream,
        timeouts: timeouts(llm.timeout, llm.stream, [None; 3]),
        requests_per_minute: None,
        concurrency: None,
        prices: Default::default(),
    }
}

/// The section of `openai` with what flags and environment say of it: they win over the file.
fn refine(r: &Reader<'_>, llm: &LlmConfig, openai: &mut ProviderConfig) {
    let wins = |name: &str| matches!(r.source(name), Source::Flag | Source::Environment | Source::SecretFile);
    if let Some(key) = llm.api_key.clone().filter(|_| wins("OPENAI_API_KEY") || openai.key.is_none()) {
        openai.key = Some(key);
    }
    let is_preset = openai.base_url == preset::OPENAI;
    if let Some(url) = llm.base_url.clone().filter(|_| wins("OPENAI_BASE_URL") || is_preset) {
        openai.base_url = url;
    }
    if wins("MODEL_MAX_TOKENS") {
        openai.max_tokens = llm.max_tokens;
    }
    if wins("MODEL_STREAM") {
        openai.stream = llm.stream;
    }
    if wins("MODEL_TIMEOUT") {
        let ModelTimeouts { connect, first_byte, idle, .. } = openai.timeouts;
        openai.timeouts = timeouts(llm.timeout, openai.stream, [connect, first_byte, idle].map(Some));
    }
}

/// One section. `described`: whether a key or an address comes from elsewhere.
fn provider(name: &str, section: &mut Section<'_>, llm: &LlmConfig, described: bool) -> ProviderConfig {
    let preset = preset::find(name);
    let given_url = section.has("base_url");
    let base_url = section.value("base_url", values::http_url);
    if preset.is_none() && !given_url && name != SIMULATED {
        section.complain(&format!("has no base_url; only {} need none", preset::names()));
    }
    let (key, of_env) = (section.secret("key", key), section.secret_of_env("key_env", key));
    if section.has("key") && section.has("key_env") {
        section.complain("has both key and key_env; one is enough");
    }
    let keyless = !section.has("key") && !section.has("key_env") && !section.has("headers");
    if preset.is_some_and(|preset| preset.needs_key) && keyless && !given_url && !described {
        section.complain("has no key; name the variable that holds it: key_env = \"…\"");
    }
    let stream = section.value("stream", values::boolean).unwrap_or(llm.stream);
    let total = section.value("timeout_seconds", values::seconds(1, 86_400)).unwrap_or(llm.timeout);
    let own = ["connect_seconds", "first_byte_seconds", "idle_seconds"].map(|key| section.value(key, wait));
    let default_model = match name {
        OPENAI => DEFAULT_MODEL,
        _ => preset.and_then(|preset| preset.model).unwrap_or_default(),
    };
    ProviderConfig {
        name: name.to_owned(),
        base_url: base_url.or_else(|| preset.map(|p| p.base_url.to_owned())).unwrap_or_default(),
        key: of_env.or(key),
        api: section.value("api", api).unwrap_or_default(),
        model: section.value("model", model).unwrap_or_else(|| default_model.to_owned()),
        headers: section.secrets("headers", header),
        max_tokens: section.value("max_tokens", values::number(1, 10_000_000)).or(llm.max_tokens),
        stream,
        timeouts: timeouts(total, stream, own),
        requests_per_minute: section.value("requests_per_minute", values::number(1, 1_000_000)),
        concurrency: section.value("concurrency", values::number(1, 1_000)),
        prices: section.tables("prices", |_, row| price(row)).into_iter().collect(),
    }
}

fn key(text: String) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { values::header_value(text) }
}

fn wait(text: String) -> Result<Duration, String> {
    let wait = values::seconds(0, 86_400)(text)?;
    if wait.is_zero() { Err("must be more than 0 seconds".to_owned()) } else { Ok(wait) }
}

fn api(text: String) -> Result<ApiStyle, String> {
    match text.as_str() {
        "chat" => Ok(ApiStyle::Chat),
        "responses" => Ok(ApiStyle::Responses),
        _ => Err("must be chat or responses".to_owned()),
    }
}

fn model(text: String) -> Result<String, String> {
    if text.is_empty() { Err("must name a model".to_owned()) } else { Ok(text) }
}

/// Headers that the request itself decides on cannot be configured.
pub(super) fn header(name: &str, value: &str) -> Result<(), String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err("is not the name of a header".to_owned());
    }
    let own = ["content-length", "content-type", "host", "transfer-encoding", "connection"];
    if own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err("is set by the program itself".to_owned());
    }
    let visible = |b: u8| (0x20..0x7f).contains(&b);
    if value.bytes().all(visible) { Ok(()) } else { Err("must be visible ASCII".to_owned()) }
}

fn price(row: &mut Section<'_>) -> Option<PriceConfig> {
    let input = row.value("input", values::price);
    let cached_input = row.value("cached_input", values::price);
    let output = row.value("output", values::price);
    if !row.has("input") || !row.has("output") {
        row.complain("must have input and output, in US dollars for a million tokens");
    }
    Some(PriceConfig { input: input?, cached_input, output: output? })
}

/// None of the waits is longer than the whole. Without a stream the first byte comes with the last one.
fn timeouts(total: Duration, stream: bool, own: [Option<Duration>; 3]) -> ModelTimeouts {
    let defaults = ModelTimeouts::default();
    let [connect, first_byte, idle] = own;
    let first_default = if stream { defaults.first_byte } else { total };
    ModelTimeouts {
        connect: connect.unwrap_or(defaults.connect).min(total),
        first_byte: first_byte.unwrap_or(first_default).min(total),
        idle: idle.unwrap_or(defaults.idle).min(total),
        total,
    }
}

/// Who is asked when a model names no provider, and for which model: what `OPENAI_MODEL` says, else
/// `openai`, else the first by name.
pub(super) fn choose_default(r: &mut Reader<'_>, model: &str, providers: &mut [ProviderConfig]) -> String {
    let explicit = !matches!(r.source("OPENAI_MODEL"), Source::Default | Source::Unset);
    let named = model.split_once('/').and_then(|(name, rest)| {
        let at = providers.iter().position(|provider| provider.name == name)?;
        // On a server that is not OpenAI's, `openai/gpt-oss-20b` is the name of a model.
        let vendor = name == OPENAI && providers[at].base_url != preset::OPENAI;
        (!vendor && !rest.is_empty()).then_some((at, rest))
    });
    let openai = providers.iter().position(|provider| provider.name == OPENAI);
    let (at, model) = match named.filter(|_| explicit) {
        Some((at, rest)) => (at, Some(rest)),
        None => (openai.unwrap_or(0), Some(model).filter(|_| explicit)),
    };
    let Some(provider) = providers.get_mut(at) else { return String::new() };
    if let Some(model) = model {
        provider.model = model.to_owned();
    }
    let name = provider.name.clone();
    if provider.model.is_empty() {
        let place = r.place_of("providers", &name).map_or_else(String::new, |place| format!("{place}: "));
        r.complain(format!(
            "{place}the provider {name} is asked by default and has no model; set model in [providers.{name}] or \
             OPENAI_MODEL={name}/…"
        ));
    }
    name
}

/// Shows a provider among the settings: never its key.
pub(super) fn note(r: &mut Reader<'_>, provider: &ProviderConfig, is_default: bool) {
    let model = match provider.model.as_str() {
        "" => "no default model".to_owned(),
        model => format!("model {model}"),
    };
    let key = if provider.key.is_some() { "key set" } else { "no key" };
    let default = if is_default { ", the default" } else { "" };
    let text = format!("{} at {}, {model}, {key}{default}", provider.api.as_str(), provider.host());
    let described = ["OPENAI_API_KEY", "OPENAI_BASE_URL"].map(|name| r.source(name));
    let given = described.into_iter().find(|source| *source != Source::Unset);
    let source = given.filter(|_| provider.name == OPENAI).unwrap_or(Source::File);
    r.note(format!("providers.{}", provider.name), &text, source);
}
