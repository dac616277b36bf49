//! Reports, and uploads with what was found in them.

use std::time::Duration;

use super::{DAY_MS, REPORT, UPLOAD, UPLOAD_ANALYSIS, UPLOAD_CONTENTS, millis};
use crate::{
    archive::Contents,
    model::Upload,
    service::{reports::Report, uploads::UploadAnalysis},
    store::{DocKey, IndexName, Put},
};

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
