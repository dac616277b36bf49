//! Why a file is refused, by stable names and in words that say what to do.

use std::{io, time::Duration};

/// Most characters of a name that a message shows.
const SHOWN_CHARS: usize = 120;

/// Why a file is refused. Names of entries are already fit to be shown: escaped and cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("the file is not a zip archive; upload a .zip file")]
    NotAZip,
    #[error("the archive holds no files; add files to it")]
    Empty,
    #[error("the archive is cut off: {detail}; upload the whole file again")]
    Truncated { detail: String },
    #[error("the archive is damaged: {detail}; pack it again")]
    Corrupt { detail: String },
    #[error("the entry {entry} leads out of the archive by `..`; pack it with paths inside one folder")]
    Traversal { entry: String },
    #[error("the entry {entry} has an absolute path; pack it with relative paths")]
    AbsolutePath { entry: String },
    #[error("the entry {entry} has a Windows path (drive, stream, share or backslash); pack it with / paths")]
    DrivePath { entry: String },
    #[error("the entry {entry} is a link; pack the file that it leads to")]
    Link { entry: String },
    #[error("the entry {entry} is a {kind}; pack only files and directories")]
    Device { entry: String, kind: &'static str },
    #[error("{what} is encrypted; pack the archive without a password")]
    Encrypted { what: String },
    #[error("the name {entry} is there twice; pack each file once")]
    DuplicateName { entry: String },
    #[error("the names {entry} and {other} are the same on some systems; rename one of them")]
    CollidingNames { entry: String, other: String },
    #[error("the name {entry} {why}; rename it")]
    BadName { entry: String, why: String },
    #[error("{what} expands to more than {limit} times its packed size; leave such files out")]
    BombRatio { what: String, limit: u64 },
    #[error("{what}, more than the limit of {limit}; upload less")]
    BombSize { what: String, limit: u64 },
    #[error("the archive has {what}, and the limit is {limit}; upload fewer files")]
    BombEntries { what: String, limit: String },
    #[error(
        "the inspection of {entry} takes longer than the limit of {limit:?}; upload less, or try again later"
    )]
    BombTime { entry: String, limit: Duration },
    #[error("{entry} is an archive nested deeper than the limit of {limit}; unpack it or leave it out")]
    BombNesting { entry: String, limit: u32 },
    #[error("the entry {entry} and {other} take the same bytes of the file; pack the archive again")]
    OverlappingEntries { entry: String, other: String },
    #[error("the entry {entry} uses compression method {method}; pack it as stored (0) or deflated (8)")]
    UnsupportedMethod { entry: String, method: u16 },
    #[error("the entry {entry} says two things about its {field}; pack the archive again")]
    HeaderMismatch { entry: String, field: &'static str },
    #[error("the entry {entry} does not have its checksum; pack the archive again")]
    BadChecksum { entry: String },
    #[error("the file is one part of a split archive; pack it as one file")]
    MultiDisk,
    #[error("the file holds more than one plain archive: {detail}; pack it again as a plain .zip file")]
    Polyglot { detail: String },
    #[error("in the archive {entry} inside the archive: {refusal}")]
    Nested {
        entry: String,
        #[source]
        refusal: Box<Refusal>,
    },
    /// No fault of the file: it could not be read, or a temporary file could not be written.
    #[error("the archive cannot be read: {0}; try again")]
    Unreadable(#[from] io::Error),
}

impl Refusal {
    /// The stable name of the reason. What is wrong with an archive inside the archive has the same name.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAZip => "not_a_zip",
            Self::Empty => "empty",
            Self::Truncated { .. } => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::Traversal { .. } => "traversal",
            Self::AbsolutePath { .. } => "absolute_path",
            Self::DrivePath { .. } => "drive_path",
            Self::Link { .. } => "link",
            Self::Device { .. } => "device",
            Self::Encrypted { .. } => "encrypted",
            Self::DuplicateName { .. } => "duplicate_name",
            Self::CollidingNames { .. } => "colliding_names",
            Self::BadName { .. } => "bad_name",
            Self::BombRatio { .. } => "bomb_ratio",
            Self::BombSize { .. } => "bomb_size",
            Self::BombEntries { .. } => "bomb_entries",
            Self::BombTime { .. } => "bomb_time",
            Self::BombNesting { .. } => "bomb_nesting",
            Self::OverlappingEntries { .. } => "overlapping_entries",
            Self::UnsupportedMethod { .. } => "unsupported_method",
            Self::HeaderMismatch { .. } => "header_mismatch",
            Self::BadChecksum { .. } => "bad_checksum",
            Self::MultiDisk => "multi_disk",
            Self::Polyglot { .. } => "polyglot",
            Self::Nested { refusal, .. } => refusal.reason(),
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The archive is damaged in a way that has no name of its own.
    pub(super) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt { detail: detail.into() }
    }

    pub(super) fn polyglot(detail: impl Into<String>) -> Self {
        Self::Polyglot { detail: detail.into() }
    }

    pub(super) fn mismatch(path: &str, field: &'static str) -> Self {
        Self::HeaderMismatch { entry: shown(path.as_bytes()), field }
    }
}

/// A name as messages show it: in quotes, what could deceive or cannot be seen as escapes, cut.
pub(super) fn shown(name: &[u8]) -> String {
    // No name is longer than 65,535 bytes, but only its start is ever shown.
    let name = name.get(..4 * SHOWN_CHARS).unwrap_or(name);
    let mut text = String::new();
    let mut chars = 0;
    for chunk in name.utf8_chunks() {
        let valid = chunk.valid().chars().map(|c| match c {
            ' ' => c.to_string(),
            c if c.is_ascii_graphic() && c != '`' && c != '\\' => c.to_string(),
            c if !c.is_ascii() && c.is_alphanumeric() => c.to_string(),
            c => c.escape_default().to_string(),
        });
        let invalid = chunk.invalid().iter().map(|b| format!("\\x{b:02x}"));
        for piece in valid.chain(invalid) {
            chars += piece.chars().count();
            if chars > SHOWN_CHARS {
                return format!("`{text}…`");
            }
            text.push_str(&piece);
        }
    }
    format!("`{text}`")
}
