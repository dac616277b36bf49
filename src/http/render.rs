//! Templates: the Tera set-up, its filters and functions, and the one way to render a page.

use std::sync::LazyLock;

use serde::Serialize;
use tera::{Context, Kwargs, State, Tera, Value};

use super::{assets, markdown};
use crate::model::iso;

static TERA: LazyLock<Result<Tera, String>> = LazyLock::new(|| build().map_err(|e| report(&e)));

/// A template that cannot be rendered: a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("template {template}: {reason}")]
pub struct RenderError {
    template: &'static str,
    reason: String,
}

/// Renders a template of `assets/templates/` with the fields of `page`.
pub fn render(template: &'static str, page: &impl Serialize) -> Result<String, RenderError> {
    let fail = |reason: String| RenderError { template, reason };
    let tera = TERA.as_ref().map_err(|e| fail(e.clone()))?;
    let context = Context::from_serialize(page).map_err(|e| fail(report(&e)))?;
    tera.render(template, &context).map_err(|e| fail(report(&e)))
}

fn build() -> tera::TeraResult<Tera> {
    let mut tera = Tera::default();
    tera.autoescape_on([".html"]);
    tera.register_function("asset", |kwargs: Kwargs, _: &State| {
        let name = kwargs.must_get::<&str>("name")?;
        assets::url(name).ok_or_else(|| tera::Error::message(format!("there is no asset '{name}'")))
    });
    tera.register_filter("time", |iso: &str, _: Kwargs, _: &State| Value::safe_string(&time(iso)));
    tera.register_filter("seconds", |seconds: f64, _: Kwargs, _: &State| seconds_text(seconds));
    tera.register_filter("number", |n: u64, _: Kwargs, _: &State| grouped(n));
    tera.register_filter("percent", |share: f64, _: Kwargs, _: &State| format!("{:.0} %", share * 100.0));
    // `first`: the level at which the headings of the text start, below the one it stands under.
    tera.register_filter("markdown", |text: &str, kwargs: Kwargs, _: &State| {
        let first = kwargs.must_get::<u8>("first")?;
        Ok::<_, tera::Error>(Value::safe_string(&markdown::untrusted(text, first.clamp(1, 6))))
    });
    tera.register_filter("first_line", |text: &str, _: Kwargs, _: &State| first_line(text));
    tera.register_filter("words", |name: &str, _: Kwargs, _: &State| name.replace('_', " "));
    tera.register_filter("segment", |text: &str, _: Kwargs, _: &State| segment(text));
    let templates = assets::names("templates/");
    let sources = templates.into_iter().filter_map(|name| {
        let source = assets::text(&format!("templates/{name}"))?;
        Some((name, source))
    });
    tera.add_raw_templates(sources)?;
    Ok(tera)
}

fn report(error: &tera::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A `<time>` element in UTC; the script turns its text into the reader's own zone.
fn time(text: &str) -> String {
    match iso::parse(text) {
        Some(at) => format!(
            "<time datetime=\"{}\">{}</time>",
            at.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
            at.format("%Y-%m-%d %H:%M:%S UTC")
        ),
        None => ammonia::clean_text(text),
    }
}

/// `8 ms`, `1.25 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn seconds_text(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ if whole < 86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// `1234567` as `1 234 567`, with narrow spaces that do not break.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The first line that says something, at most 140 characters, for headings and lists.
pub fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("(empty)");
    let more = line.chars().count() > 140 || text.trim().lines().count() > 1;
    let mut out: String = line.chars().take(140).collect();
    if more {
        out.push('…');
    }
    out
}

/// Percent-encodes one segment of a path.
pub fn segment(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_parse() {
        assert!(TERA.as_ref().is_ok_and(|t| t.contains_template("base.html")), "{:?}", TERA.as_ref().err());
    }

    #[test]
    fn durations_read_like_a_person_would_say_them() {
        let cases = [
            (0.0, "0 ms"),
            (0.008, "8 ms"),
            (0.9996, "1.00 s"),
            (1.254, "1.25 s"),
            (12.34, "12.3 s"),
            (59.97, "1 min 0 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
            (273_600.0, "3 d 4 h"),
            (-1.0, "unknown"),
            (f64::NAN, "unknown"),
        ];
        for (seconds, text) in cases {
            assert_eq!(seconds_text(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_time_is_a_time_element_and_anything_else_is_escaped() {
        assert_eq!(
            time("2026-11-22T10:17:24.520252+00:00"),
            "<time datetime=\"2026-11-22T10:17:24.520Z\">2026-11-22 10:17:24 UTC</time>"
        );
        assert!(!time("<script>").contains('<'));
    }

    #[test]
    fn a_heading_is_the_first_line_of_a_brief() {
        assert_eq!(first_line("\n  Fix it \n\nbecause"), "Fix it…");
        assert_eq!(first_line("Fix it\n"), "Fix it");
        assert_eq!(first_line(" \n"), "(empty)");
        assert_eq!(first_line(&"x".repeat(200)).chars().count(), 141);
    }

    #[test]
    fn a_path_segment_cannot_leave_its_place() {
        assert_eq!(segment("a/b?c#d%é"), "a%2Fb%3Fc%23d%25%C3%A9");
    }
}
