//! Uploads: an archive that somebody sent, and what came of its analysis.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Timestamp, iso, iso_option};

/// An uploaded archive. Legacy fields first, as legacy clients know them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    pub upload_id: String,
    /// The name made safe: letters and digits of any script, `.`, `_` and `-`.
    #[schema(example = "shop.zip")]
    pub filename: String,
    /// As it was sent.
    #[serde(default)]
    #[schema(example = "shop.zip")]
    pub original_filename: String,
    /// Bytes.
    #[serde(default)]
    #[schema(example = 18_231)]
    pub size: u64,
    /// Where the legacy system kept it: the folder, the id and the name.
    #[serde(default)]
    #[schema(example = "workspace/uploads/1b60f9b1-6a43-4a3e-b9c6-3a3c4d0a8f10_shop.zip")]
    pub file_path: String,
    /// The job that analyses it.
    #[serde(default)]
    pub job_id: Option<String>,
    /// What the client said that it belongs to.
    #[serde(default)]
    pub project: Option<String>,
    #[serde(with = "iso")]
    #[schema(value_type = String, format = DateTime)]
    pub uploaded_at: Timestamp,
    // --- beyond legacy ---
    /// The name of its blob; null for an upload of the legacy system, whose file lies where `file_path` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Files in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Bytes of all its files, expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expanded_size: Option<u64>,
    /// When file and document are removed.
    #[serde(default, with = "iso_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl Upload {
    /// Its file in the store of blobs: the legacy system named files the same way.
    pub fn blob_name(&self) -> &str {
        match &self.blob {
            Some(name) => name,
            None => self.file_path.rsplit(['/', '\\']).next().unwrap_or_default(),
        }
    }

    /// Whether it is to be removed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The name of a file made safe, as the legacy system did it, without its length.
pub fn safe_filename(name: &str) -> String {
    // Browsers of old sent whole paths.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    name.chars().take(MAX_FILENAME_CHARS).map(safe).collect()
}

const MAX_FILENAME_CHARS: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_keeps_letters_of_any_script_and_leads_nowhere() {
        assert_eq!(safe_filename("my shop (1).zip"), "my_shop__1_.zip");
        assert_eq!(safe_filename("../../etc/passwd.zip"), "passwd.zip");
        assert_eq!(safe_filename("C:\\Users\\x\\проект.zip"), "проект.zip");
        assert_eq!(safe_filename("a\0\r\n.zip"), "a___.zip");
        assert_eq!(safe_filename(&"x".repeat(999)).len(), 120);
    }
}
