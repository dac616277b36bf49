//! The access log: one line a request, in the form that its readers have parsed for years.
//!
//! ```text
//! 2025-11-09 15:35:16,062 method=POST path=/orchestrate status=200 duration_ms=2.54 ip=127.0.0.1
//! ```

use std::fmt;

use super::{
    fields,
    format::{round_ms, write_word},
};

/// The log target of access lines; `access=off` in `LOG_LEVEL` switches them off.
pub const TARGET: &str = "access";

/// How much of a path is logged, and of a method.
const MAX_PATH_CHARS: usize = 2_000;
pub const MAX_METHOD_CHARS: usize = 32;

/// What is known of a request once it has been answered.
#[derive(Debug, Clone, Copy)]
pub struct AccessLine<'a> {
    pub method: &'a str,
    /// As the client sent it, without the query, which may hold secrets.
    pub path: &'a str,
    pub status: u16,
    pub duration_ms: f64,
    pub ip: &'a str,
    /// Only in JSON lines: the text form is fixed.
    pub request_id: &'a str,
}

impl AccessLine<'_> {
    pub fn log(&self) {
        log::info!(
            target: TARGET,
            method = cut(self.method, MAX_METHOD_CHARS),
            path = cut(self.path, MAX_PATH_CHARS),
            status = self.status,
            duration_ms = round_ms(self.duration_ms),
            ip = self.ip,
            request_id = self.request_id;
            "{self}"
        );
    }
}

/// The text form. Values are escaped so that none can end the line or pose as another field.
impl fmt::Display for AccessLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", fields::METHOD)?;
        write_word(f, cut(self.method, MAX_METHOD_CHARS))?;
        write!(f, " {}=", fields::PATH)?;
        write_word(f, cut(self.path, MAX_PATH_CHARS))?;
        write!(f, " {}={} {}={:.2} ", fields::STATUS, self.status, fields::DURATION_MS, self.duration_ms)?;
        write!(f, "{}=", fields::IP)?;
        write_word(f, self.ip)
    }
}

/// The beginning of a text: nobody may fill a log with one request.
pub fn cut(text: &str, most: usize) -> &str {
    match text.char_indices().nth(most) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>() -> AccessLine<'a> {
        AccessLine {
            method: "POST",
            path: "/orchestrate",
            status: 200,
            duration_ms: 2.5449,
            ip: "127.0.0.1",
            request_id: "r-1",
        }
    }

    #[test]
    fn it_reads_as_its_owner_documented_it() {
        assert_eq!(
            line().to_string(),
            "method=POST path=/orchestrate status=200 duration_ms=2.54 ip=127.0.0.1"
        );
        let quick = AccessLine { duration_ms: 0.5, ..line() };
        assert!(quick.to_string().contains(" duration_ms=0.50 "), "always two decimals");
    }

    #[test]
    fn a_path_cannot_add_a_line_or_a_field() {
        let forged = AccessLine { path: "/x\r\n2025-11-09 status=500", ..line() };
        assert_eq!(
            forged.to_string(),
            "method=POST path=/x\\r\\n2025-11-09\\x20status=500 status=200 duration_ms=2.54 ip=127.0.0.1"
        );
    }
}
