//! Uploads: how large, for how long, and where they are kept.

use std::time::Duration;

use super::{reader::Reader, secret::Secret, values};

/// How uploads are kept.
#[derive(Debug, Clone)]
pub struct UploadConfig {
    /// `MAX_UPLOAD_SIZE`: the most bytes of one file.
    pub max_size: u64,
    /// `UPLOAD_TTL` (seconds): how long one is kept.
    pub ttl: Duration,
    /// `BLOB_URL`: an S3-compatible bucket; without it a folder of the workspace. It may hold a password.
    pub blob_url: Option<Secret>,
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: Option<Secret>,
    /// `AWS_SESSION_TOKEN`, for keys that are lent.
    pub session_token: Option<Secret>,
}

/// The most that one upload may be allowed to have: 1 GiB. What is inspected is bounded as well.
const MOST_BYTES: u64 = 1 << 30;

pub(super) fn read(r: &mut Reader<'_>) -> UploadConfig {
    UploadConfig {
        max_size: r.value("MAX_UPLOAD_SIZE", "52428800", values::number(1, MOST_BYTES)),
        ttl: r.value("UPLOAD_TTL", "604800", values::seconds(1, 10 * 365 * 86_400)),
        blob_url: r.secret("BLOB_URL", |url| match url.starts_with("s3://") {
            true => Ok(url),
            false => {
                Err("must be an address such as s3://bucket/prefix?endpoint=https://host&region=auto"
                    .to_owned())
            }
        }),
        access_key_id: r.optional("AWS_ACCESS_KEY_ID", Ok),
        secret_access_key: r.secret("AWS_SECRET_ACCESS_KEY", Ok),
        session_token: r.secret("AWS_SESSION_TOKEN", Ok),
    }
}
