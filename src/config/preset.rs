//! Providers whose address is known.

/// OpenAI's own address.
pub(super) const OPENAI: &str = "https://api.openai.com/v1";

/// A provider whose address needs not be configured.
pub(super) struct Preset {
    pub name: &'static str,
    pub base_url: &'static str,
    /// Whether it answers nobody without a key; those on one's own machine do.
    pub needs_key: bool,
    /// What to ask for where the server has one model and takes any name.
    pub model: Option<&'static str>,
}

const fn remote(name: &'static str, base_url: &'static str) -> Preset {
    Preset { name, base_url, needs_key: true, model: None }
}

const fn local(name: &'static str, base_url: &'static str, model: Option<&'static str>) -> Preset {
    Preset { name, base_url, needs_key: false, model }
}

const ALL: &[Preset] = &[
    remote("openai", OPENAI),
    remote("groq", "https://api.groq.com/openai/v1"),
    remote("openrouter", "https://openrouter.ai/api/v1"),
    remote("mistral", "https://api.mistral.ai/v1"),
    remote("deepseek", "https://api.deepseek.com/v1"),
    remote("together", "https://api.together.xyz/v1"),
    local("ollama", "http://localhost:11434/v1", None),
    local("lmstudio", "http://localhost:1234/v1", None),
    local("llamacpp", "http://localhost:8080/v1", Some("default")),
    local("vllm", "http://localhost:8000/v1", None),
];

pub(super) fn all() -> &'static [Preset] {
    ALL
}

pub(super) fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

/// `openai, groq, …`, for a person.
pub(super) fn names() -> String {
    ALL.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

/// The host of an address, with its port if that is not the usual one: without a user, password, path or
/// query, which may hold secrets.
pub(super) fn host(url: &str) -> String {
    let Ok(url) = reqwest::Url::parse(url) else { return String::new() };
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
