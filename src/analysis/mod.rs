//! What can be said about a code archive without a model, and what agents may look up in one.
//!
//! [`analyse`] goes over all [`Files`] once. [`browse`] answers single questions, [`citation`] checks
//! mentions of places, [`findings`] reads what a model found, and [`report`] shows an analysis to people.
//!
//! Names and bytes are hostile: whatever they are, time and memory follow from [`Limits`], and what is said
//! is cut, made harmless and without secrets.

pub mod browse;
pub mod citation;
mod entry_points;
mod files;
pub mod findings;
mod generated;
mod ignored;
mod languages;
mod licences;
mod limits;
mod look;
mod manifests;
mod marks;
mod model;
mod places;
pub mod report;
mod secrets;
mod text;
mod tree;

pub use files::{FileEntry, Files, MemoryFiles};
pub use limits::Limits;
pub use look::analyse;
pub use model::{
    Analysis, CiFile, Dependency, DependencyKind, DocFile, EntryKind, EntryPoint, Folder, Framework, Ignored,
    Language, Licence, LicenceSource, LockFile, Manifest, Secret, Severity, SizedFile, Tests, Totals,
    Truncated,
};
