//! Reads one setting after the other, remembers its source and gathers the problems.

use std::{collections::BTreeMap, time::Duration};

use super::Secret;

/// Values given on the command line, by the name of the variable they override.
pub type Flags = BTreeMap<&'static str, String>;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Flag,
    Environment,
    Default,
    /// An optional value that nobody gave.
    Unset,
}

/// One effective value, with secrets masked.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
    pub source: Source,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem{}:\n{}", .problems.len(), if .problems.len() == 1 { "" } else { "s" },
    .problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    pub problems: Vec<String>,
}

pub(super) struct Reader<'a> {
    flags: &'a Flags,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
    settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(flags: &'a Flags, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { flags, env, problems: Vec::new(), settings: Vec::new() }
    }

    fn find(&self, name: &'static str) -> Option<(String, Source)> {
        if let Some(value) = self.flags.get(name) {
            return Some((value.clone(), Source::Flag));
        }
        let value = (self.env)(name)?.trim().to_owned();
        (!value.is_empty()).then_some((value, Source::Environment))
    }

    fn note(&mut self, name: &'static str, value: &str, source: Source) {
        self.settings.push(Setting { name, value: value.to_owned(), source });
    }

    /// A value with a default.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> T {
        let (text, source) = self.find(name).unwrap_or((default.to_owned(), Source::Default));
        self.note(name, &text, source);
        match parse(text.clone()) {
            Ok(value) => value,
            Err(why) => {
                self.problems.push(format!("{name} {why} (it is '{text}')"));
                parse(default.to_owned()).unwrap_or_else(|e| panic!("the default of {name} {e}"))
            }
        }
    }

    /// A value that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> Option<T> {
        let Some((text, source)) = self.find(name) else {
            self.note(name, "", Source::Unset);
            return None;
        };
        let shown = without_password(&text);
        self.note(name, &shown, source);
        parse(text).map_err(|why| self.problems.push(format!("{name} {why} (it is '{shown}')"))).ok()
    }

    /// A secret that may be missing. Neither settings nor problems show it.
    pub(super) fn secret(
        &mut self,
        name: &'static str,
        parse: impl Fn(String) -> Result<String, String>,
    ) -> Option<Secret> {
        let Some((text, source)) = self.find(name) else {
            self.note(name, "", Source::Unset);
            return None;
        };
        self.note(name, "***", source);
        parse(text).map(Secret::new).map_err(|why| self.problems.push(format!("{name} {why}"))).ok()
    }

    pub(super) fn finish(self) -> Result<Vec<Setting>, ConfigError> {
        if self.problems.is_empty() {
            Ok(self.settings)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }
}

/// A value as it may be shown: an address keeps its host and path, but not the user and password
/// before them nor the query after them.
fn without_password(text: &str) -> String {
    let Some(scheme) = text.find("://") else { return text.to_owned() };
    let (address, query) = text.split_once('?').map_or((text, ""), |(address, _)| (address, "?***"));
    match address.rfind('@') {
        Some(at) if scheme < at => format!("{}***{}{query}", &address[..scheme + 3], &address[at..]),
        _ => format!("{address}{query}"),
    }
}

/// A whole number within bounds.
pub(super) fn number<T: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(String) -> Result<T, String> {
    move |text| {
        let problem = || format!("must be a whole number from {min} to {max}");
        let number: u64 = text.parse().map_err(|_| problem())?;
        if number < min || number > max {
            return Err(problem());
        }
        T::try_from(number).map_err(|_| problem())
    }
}

/// A number of seconds; fractions are allowed.
pub(super) fn seconds(min: u64, max: u64) -> impl Fn(String) -> Result<Duration, String> {
    move |text| {
        let problem = || format!("must be a number of seconds from {min} to {max}");
        let seconds: f64 = text.parse().map_err(|_| problem())?;
        if !(seconds >= min as f64 && seconds <= max as f64) {
            return Err(problem());
        }
        Duration::try_from_secs_f64(seconds).map_err(|_| problem())
    }
}

pub(super) fn boolean(text: String) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A level, or an env_logger filter: `info,productforge::store=debug`.
pub(super) fn log_filter(text: String) -> Result<String, String> {
    let is_level = |word: &str| word.parse::<log::LevelFilter>().is_ok();
    let text = text.to_lowercase();
    let fits = text.split(',').map(str::trim).all(|directive| match directive.split_once('=') {
        Some((target, level)) => !target.trim().is_empty() && is_level(level.trim()),
        None => is_level(directive),
    });
    if fits {
        Ok(text)
    } else {
        Err("must be off, error, warn, info, debug or trace, or a list such as info,productforge::store=debug"
            .to_owned())
    }
}

pub(super) fn redis_url(text: String) -> Result<String, String> {
    if ["redis://", "rediss://", "redis+unix://", "unix://"].iter().any(|s| text.starts_with(s)) {
        Ok(text)
    } else {
        Err("must begin with redis:// or rediss://".to_owned())
    }
}

pub(super) fn key_prefix(text: String) -> Result<String, String> {
    if text.len() <= 64 && text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        Ok(text)
    } else {
        Err("must be at most 64 visible ASCII characters".to_owned())
    }
}

/// A base URL, without a slash at its end.
pub(super) fn http_url(text: String) -> Result<String, String> {
    match reqwest::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("must be an http:// or https:// address such as http://127.0.0.1:11434/v1".to_owned()),
    }
}

pub(super) fn origins(text: String) -> Result<Vec<String>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|o| !o.is_empty())
        .map(|origin| {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            match rest {
                Some(host) if !host.is_empty() && !host.contains('/') => Ok(origin.to_lowercase()),
                _ => {
                    Err("must be a comma-separated list of origins such as https://app.example.com"
                        .to_owned())
                }
            }
        })
        .collect()
}
