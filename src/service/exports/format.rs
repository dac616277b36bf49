//! The formats of an export, and what its file is called.

use std::str::FromStr;

/// The longest part of a file's name that comes from a title, in characters.
const MAX_TITLE_CHARS: usize = 80;

/// What an export looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object with the title and all results.
    Json,
    /// One result a line.
    Ndjson,
    /// A table for spreadsheets.
    Csv,
    /// Plain text, as the legacy system made it.
    Txt,
    /// Markdown, to be read.
    Md,
    /// The others in one archive.
    Zip,
}

impl Format {
    pub const ALL: [Self; 6] = [Self::Json, Self::Ndjson, Self::Csv, Self::Txt, Self::Md, Self::Zip];

    /// As in addresses and file names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Zip => "zip",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Txt => "text/plain; charset=utf-8",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Zip => "application/zip",
        }
    }
}

/// There is no such format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no format; there are json, ndjson, csv, txt, md and zip")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == text)
            .ok_or_else(|| UnknownFormat(text.chars().take(40).collect()))
    }
}

/// `ProductForge_{title}.{extension}`, as the legacy system named its files: letters and digits of any
/// script, `.`, `_` and `-` stay, everything else is a `_`.
pub fn file_name(title: &str, format: Format) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let title: String = title.trim().chars().take(MAX_TITLE_CHARS).map(safe).collect();
    let title = if title.is_empty() { "results" } else { &title };
    format!("ProductForge_{title}.{}", format.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_title_whatever_that_is() {
        assert_eq!(file_name("Fix the login bug", Format::Json), "ProductForge_Fix_the_login_bug.json");
        assert_eq!(
            file_name("../../etc/passwd\r\nX: \"y\"", Format::Txt),
            "ProductForge_.._.._etc_passwd__X___y_.txt"
        );
        assert_eq!(file_name("Ошибка входа", Format::Md), "ProductForge_Ошибка_входа.md");
        assert_eq!(file_name("  ", Format::Zip), "ProductForge_results.zip");
        assert_eq!(file_name(&"x".repeat(500), Format::Csv).len(), 13 + 80 + 4);
    }

    #[test]
    fn formats_are_found_by_their_names() {
        for format in Format::ALL {
            assert_eq!(format.extension().parse(), Ok(format));
        }
        assert!("JSON".parse::<Format>().is_err());
    }
}
