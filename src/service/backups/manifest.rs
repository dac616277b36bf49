//! What a backup says of itself: the last file in it, `manifest.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Timestamp, iso};

/// The name of the manifest in a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// The name of the database in a backup.
pub(super) const DATABASE: &str = "productforge.db";
/// What stands before the name of an upload's file.
pub(super) const UPLOADS: &str = "uploads/";
/// What every backup calls its form.
pub(super) const FORMAT: &str = "productforge-backup";
/// The version of the form that this program writes. A reader refuses what is newer.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The description of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// Always `productforge-backup`.
    pub format: String,
    pub format_version: u32,
    /// The version of the program that made it.
    #[schema(example = "3.0.0")]
    pub version: String,
    /// The moment that it shows.
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// The version of the database's schema.
    pub schema: usize,
    /// Whether the files of uploads are in it; those in a bucket stay there.
    pub uploads_included: bool,
    /// How many there are of what, by name: `workflows`, `jobs`, `results`, … and what waits and what was running.
    pub counts: BTreeMap<String, u64>,
    /// Uploads that were removed while it was made, by id: neither their files nor their documents are in it.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Uploads whose files were not where they should be, by id: their documents are in it, their files are not.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Every other file in it.
    pub parts: Vec<Part>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The bytes of all its parts as they stand on a disk.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }
}
