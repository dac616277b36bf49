//! What can go wrong with blobs, and what to do then.

/// Why a blob could not be kept or had. No message tells a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error(
        "{name:?} is no name of an upload: {problem}; allowed are 1 to 200 of A-Z a-z 0-9 . _ - with no '.' first"
    )]
    BadName { name: String, problem: &'static str },
    /// Nobody put it, or it was deleted, or another node has it.
    #[error("{}", missing(name, place, *only_here))]
    Missing { name: String, place: String, only_here: bool },
    #[error("no space is left in {place}: free some, or give it more")]
    Full { place: String },
    #[error("no access to {place} ({detail}): {remedy}")]
    Denied { place: String, detail: String, remedy: &'static str },
    /// It may work in a while. Everything that was worth trying again was tried again.
    #[error(
        "{place} cannot be reached ({detail}): it is tried again later; see that it runs and that the address is right"
    )]
    Unreachable { place: String, detail: String },
    /// What came is not what was put.
    #[error("upload '{name}' in {place} is damaged ({detail}): delete it and upload it again")]
    Damaged { name: String, place: String, detail: String },
    #[error(
        "a file of {bytes} bytes is too large for {place}, which takes {limit}: raise that limit, or send less"
    )]
    TooLarge { bytes: u64, limit: u64, place: String },
    /// All that is in the cache is in use.
    #[error("the cache {place} of {limit} bytes is full of files in use: try again later, or make it larger")]
    CacheBusy { limit: u64, place: String },
    #[error("there is no bucket at {place}: create it, or correct BLOB_URL")]
    NoBucket { place: String },
    /// The server understood and does not want to.
    #[error(
        "{place} refused the request ({detail}): compare endpoint, region and bucket in BLOB_URL with the server's"
    )]
    Refused { place: String, detail: String },
    #[error("BLOB_URL cannot be used: {0}")]
    BadUrl(String),
    #[error("'{path}' cannot be put: it is no regular file; put the finished file itself")]
    NotAFile { path: String },
    #[error("{doing} failed at {place} ({detail}): see that the disk and the file system are sound")]
    Io { doing: &'static str, place: String, detail: String },
}

impl BlobError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::CacheBusy { .. })
    }
}

fn missing(name: &str, place: &str, only_here: bool) -> String {
    if only_here {
        format!("this node has no upload '{name}' in {place}; uploads of several nodes need BLOB_URL")
    } else {
        format!(
            "there is no upload '{name}' in {place}: it was deleted, or its upload never ended; upload it again"
        )
    }
}
