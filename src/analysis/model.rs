//! What an analysis says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can be said about files without a model. Paths are those of [`Files::list`](super::Files::list), cut
/// when they are absurdly long; sizes are in bytes; lines count from 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Analysis {
    pub totals: Totals,
    /// The folder that everything is in, when there is one.
    pub root: Option<String>,
    /// The files that are not ignored, by folder.
    pub tree: Folder,
    /// Folders and files that were counted and not read, the largest first.
    pub ignored: Vec<Ignored>,
    /// The language with the most lines of code first.
    pub languages: Vec<Language>,
    pub manifests: Vec<Manifest>,
    pub lock_files: Vec<LockFile>,
    pub entry_points: Vec<EntryPoint>,
    pub tests: Tests,
    pub ci: Vec<CiFile>,
    pub docs: Vec<DocFile>,
    pub licences: Vec<Licence>,
    pub largest_files: Vec<SizedFile>,
    /// The gravest first.
    pub secrets: Vec<Secret>,
    /// What was left out because a limit was reached.
    pub truncated: Vec<Truncated>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ArchiveTotals)]
pub struct Totals {
    /// All files, ignored ones too.
    pub files: u64,
    pub bytes: u64,
    pub ignored_files: u64,
    pub ignored_bytes: u64,
    /// Files with text of a known language or of none.
    pub text_files: u64,
    pub binary_files: u64,
    /// Files that could not be read.
    pub unreadable_files: u64,
    pub read_bytes: u64,
}

/// A folder with all that is in it at any depth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Folder {
    /// The last part of its path; empty for the root of files without a common folder.
    pub name: String,
    pub files: u64,
    pub bytes: u64,
    /// The largest first, when not all are shown; by name otherwise.
    #[schema(no_recursion)]
    pub folders: Vec<Folder>,
    /// Folders right in it that are not in `folders`.
    pub more_folders: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ignored {
    /// A folder ends in `/`.
    pub path: String,
    pub reason: String,
    pub files: u64,
    pub bytes: u64,
}

/// The lines of all files in a language. `lines` is the sum of `code`, `comments` and `blanks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Language {
    pub name: String,
    pub files: u64,
    pub lines: u64,
    pub code: u64,
    pub comments: u64,
    pub blanks: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    pub path: String,
    /// `cargo`, `npm`, `pypi`, `go`, `maven`, `gradle`, `rubygems`, `composer`, `nuget`, `pub`, `hex` or
    /// `docker`.
    pub ecosystem: String,
    pub name: Option<String>,
    pub version: Option<String>,
    pub licence: Option<String>,
    pub dependencies: Vec<Dependency>,
    /// Why it could not be understood.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    pub name: String,
    /// As it is written there: `^1.2`, `>=3,<4`, `git https://…`.
    pub requirement: Option<String>,
    pub kind: DependencyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DependencyKind {
    Runtime,
    Dev,
    Build,
    Optional,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockFile {
    pub path: String,
    pub ecosystem: String,
}

/// Where a program begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryPoint {
    pub path: String,
    pub line: Option<u64>,
    pub kind: EntryKind,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A function or file that a language starts.
    Main,
    /// A command that a manifest declares.
    Command,
    /// What a container or a process manager starts.
    Process,
    /// A file with `#!`.
    Script,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tests {
    /// Files that hold tests.
    pub files: u64,
    /// The lines of these files.
    pub lines: u64,
    pub paths: Vec<String>,
    pub frameworks: Vec<Framework>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Framework {
    pub name: String,
    /// The first file that shows it.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CiFile {
    pub path: String,
    pub system: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DocFile {
    pub path: String,
    /// `readme`, `changelog`, `contributing`, `security`, `conduct` or `guide`.
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Licence {
    pub path: String,
    /// An SPDX identifier; none when the text or the name is not known.
    pub spdx: Option<String>,
    pub source: LicenceSource,
    /// What the manifest says.
    pub declared: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LicenceSource {
    File,
    Manifest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SizedFile {
    pub path: String,
    pub bytes: u64,
}

/// Something that should not be in a file. At most the first four characters of it are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    pub path: String,
    /// None when the file as such is the finding.
    pub line: Option<u64>,
    /// `private_key`, `aws_access_key`, ...: the names in `secrets::rules`.
    pub kind: String,
    pub severity: Severity,
    pub excerpt: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Info,
}

/// A list that is not complete, or work that was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Truncated {
    /// The field, such as `secrets`, or what was not done, such as `files_read`.
    pub what: String,
    pub kept: u64,
    pub total: u64,
}
