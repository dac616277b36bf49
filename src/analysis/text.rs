//! Hostile texts made harmless, and bytes made texts.

use std::borrow::Cow;

use super::secrets;

/// How much of a file is looked at to tell whether it is binary. Git looks at as much.
const PROBE_BYTES: usize = 8_000;

/// One line of at most `most` characters without control characters and without secrets.
pub(super) fn shown(text: &str, most: usize) -> String {
    // More than will be shown is looked at, so that a secret is not cut before it is recognised.
    let (start, _) = cut(text, most.saturating_mul(2).saturating_add(400));
    let safe: String = secrets::redact(start).chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
    let (kept, is_cut) = cut(&safe, most);
    if is_cut || start.len() < text.len() { format!("{kept}…") } else { safe }
}

/// The same for a path, which has to stay what it is: only control characters are replaced.
pub(super) fn path(path: &str, most: usize) -> String {
    let (kept, is_cut) = cut(path, most);
    let mut safe: String = kept.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    if is_cut {
        safe.push('…');
    }
    safe
}

/// At most `most` characters of a text, and whether that is less than all.
pub(super) fn cut(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// Control characters, line separators, and those that turn the direction of writing.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text that bytes are; none when they are binary. Text is UTF-8, wrong bytes in it replaced, or UTF-16
/// with its mark in front.
pub(super) fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Some(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Some(utf16(rest, u16::from_be_bytes)),
        _ if bytes[..bytes.len().min(PROBE_BYTES)].contains(&0) => None,
        _ => Some(String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))),
    }
    .filter(|text| !text.as_bytes()[..text.len().min(PROBE_BYTES)].contains(&0))
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What follows the last dot of a file's name, in small letters.
pub(super) fn extension(path: &str) -> String {
    let name = file_name(path);
    name.rsplit_once('.')
        .filter(|(stem, _)| !stem.is_empty())
        .map_or(String::new(), |(_, ext)| ext.to_lowercase())
}

/// Counts the line that a byte of a text is in, for places that only go forward.
pub(super) struct LineCounter<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> LineCounter<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    pub(super) fn line(&mut self, at: usize) -> u64 {
        if at > self.at {
            let between = &self.text[self.at..at.min(self.text.len())];
            self.line += between.iter().filter(|b| **b == b'\n').count() as u64;
            self.at = at;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_or_binary() {
        assert_eq!(decode(b"a\nb").as_deref(), Some("a\nb"));
        assert_eq!(decode(b"\xef\xbb\xbfa").as_deref(), Some("a"));
        assert_eq!(decode(b"\xff\xfea\0b\0").as_deref(), Some("ab"));
        assert_eq!(decode(b"\xfe\xff\0a\0b").as_deref(), Some("ab"));
        assert_eq!(decode(b"a\0b"), None);
        assert_eq!(decode(b"\xff\xfe\0\0\0\0"), None);
        assert_eq!(decode(b"caf\xe9").as_deref(), Some("caf\u{fffd}"));
        assert_eq!(decode(b"").as_deref(), Some(""));
    }

    #[test]
    fn texts_are_one_line_without_secrets() {
        assert_eq!(shown("a\nb\u{202e}c\0", 10), "a b c ");
        assert_eq!(shown("ééééé", 3), "ééé…");
        assert!(!shown("git https://me:hunter22hunter@host/x", 100).contains("hunter22"));
    }

    #[test]
    fn lines_are_counted_forwards() {
        let mut lines = LineCounter::new(b"a\nb\nc");
        assert_eq!([0, 1, 2, 4, 4, 9].map(|at| lines.line(at)), [1, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn extensions_are_small_and_hidden_files_have_none() {
        assert_eq!(extension("a/b.Tar.GZ"), "gz");
        assert_eq!(extension("a.b/.gitignore"), "");
        assert_eq!(extension("a.b/c"), "");
    }
}
