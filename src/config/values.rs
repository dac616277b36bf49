//! What single values may be: each function takes a text and says what is wrong with it.

use std::time::Duration;

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

/// A number of requests a minute; 0 is no limit.
pub(super) fn limit(text: String) -> Result<Option<u32>, String> {
    number(0, 1_000_000)(text).map(|limit: u32| Some(limit).filter(|limit| *limit > 0))
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
                Some(host) if is_origin_host(host) => Ok(origin.to_lowercase()),
                _ => Err("must be a comma-separated list of origins such as https://app.example.com or \
                          https://*.example.com"
                    .to_owned()),
            }
        })
        .collect()
}

/// `host` or `host:port`; a star may stand for its first labels, and nowhere else.
fn is_origin_host(host: &str) -> bool {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    !bare.is_empty() && !bare.starts_with(['.', ':']) && bare.bytes().all(fits)
}

/// A name in `[providers.<name>]` and the like.
pub(super) fn section_name(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = name.len() <= 32
        && name.bytes().next().is_some_and(allowed)
        && name.bytes().all(|b| allowed(b) || matches!(b, b'_' | b'-'));
    match fits {
        true => Ok(()),
        false => {
            Err("must be a name of 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit".to_owned())
        }
    }
}

/// A key or another value of a header.
pub(super) fn header_value(text: String) -> Result<String, String> {
    if text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        Ok(text)
    } else {
        Err("must be visible ASCII without spaces, to fit into a header".to_owned())
    }
}

/// An amount of US dollars that limits something.
pub(super) fn dollars(text: String) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if amount > 0.0 && amount < 1e9 => Ok(amount),
        _ => Err("must be a number of US dollars above 0 and below 1000000000".to_owned()),
    }
}

/// A price in US dollars for a million tokens.
pub(super) fn price(text: String) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if (0.0..=100_000.0).contains(&price) => Ok(price),
        _ => Err("must be a number of US dollars for a million tokens, from 0 to 100000".to_owned()),
    }
}

/// A value as it may be shown: an address keeps its host and path, but not the user and password
/// before them nor the query after them.
pub(super) fn without_password(text: &str) -> String {
    let Some(scheme) = text.find("://") else { return text.to_owned() };
    let (address, query) = text.split_once('?').map_or((text, ""), |(address, _)| (address, "?***"));
    match address.rfind('@') {
        Some(at) if scheme < at => format!("{}***{}{query}", &address[..scheme + 3], &address[at..]),
        _ => format!("{address}{query}"),
    }
}
