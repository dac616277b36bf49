//! Reports, uploads with what was found in them, and whose their files are.

use std::time::Duration;

use super::{DAY_MS, INSTALLATION, ORPHAN, REPORT, UPLOAD, UPLOAD_ANALYSIS, UPLOAD_CONTENTS, millis};
use crate::{
    archive::Contents,
    model::Upload,
    service::{reports::Report, uploads::UploadAnalysis},
    store::{DocKey, IndexName, Put, UnixMs},
};

const ORPHAN_TTL_MS: u64 = 30 * DAY_MS;
const REPORT_TTL_MS: u64 = 180 * DAY_MS;

pub fn report_key(filename: &str) -> DocKey {
    DocKey::new(REPORT, filename)
}

pub fn put_report(report: &Report) -> Put {
    Put::json(report_key(&report.filename), report)
        .ttl_ms(REPORT_TTL_MS)
        .indexed(report.created_at.timestamp_millis())
}

pub fn upload_key(id: &str) -> DocKey {
    DocKey::new(UPLOAD, id)
}

/// The uploads with the one that ends first in front: lists are read from the highest time on, so the times
/// are turned round.
pub fn uploads_by_end() -> IndexName {
    IndexName::by(UPLOAD, "end", "first")
}

pub fn put_upload(upload: &Upload, kept_for: Duration) -> Put {
    let put = Put::json(upload_key(&upload.upload_id), upload)
        .ttl_ms(millis(kept_for))
        .indexed(upload.uploaded_at.timestamp_millis());
    match upload.expires_at {
        Some(end) => put.index(uploads_by_end(), -end.timestamp_millis()),
        None => put,
    }
}

pub fn contents_key(upload_id: &str) -> DocKey {
    DocKey::new(UPLOAD_CONTENTS, upload_id)
}

pub fn put_contents(upload_id: &str, contents: &Contents, kept_for: Duration) -> Put {
    Put::json(contents_key(upload_id), contents).ttl_ms(millis(kept_for))
}

pub fn analysis_key(upload_id: &str) -> DocKey {
    DocKey::new(UPLOAD_ANALYSIS, upload_id)
}

pub fn put_analysis(analysis: &UploadAnalysis, kept_for: Duration) -> Put {
    Put::json(analysis_key(&analysis.upload_id), analysis).ttl_ms(millis(kept_for))
}

pub fn installation_key() -> DocKey {
    DocKey::new(INSTALLATION, "id")
}

pub fn put_installation(id: &str) -> Put {
    Put::json(installation_key(), &serde_json::json!({"id": id}))
}

pub fn orphan_key(blob: &str) -> DocKey {
    DocKey::new(ORPHAN, blob)
}

pub fn put_orphan(blob: &str, first_seen: UnixMs) -> Put {
    Put::json(orphan_key(blob), &serde_json::json!({"first_seen": first_seen})).ttl_ms(ORPHAN_TTL_MS)
}
