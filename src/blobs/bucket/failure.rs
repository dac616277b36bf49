//! What an error of the S3 client means.

use std::error::Error as _;

use object_store::{Error, client::HttpError};

use crate::blobs::BlobError;

/// How much of a server's or a network's words is shown.
const SHOWN_CHARS: usize = 200;

/// Signs of a server whose disks are full; with S3 itself that cannot be.
const FULL: &[&str] = &["status code: 507", "<Code>QuotaExceeded</Code>", "<Code>XMinioStorageFull</Code>"];

/// Signs of a server that may be well in a while.
const TRANSIENT: &[&str] = &[
    "status code: 500",
    "status code: 502",
    "status code: 503",
    "status code: 504",
    "status code: 429",
    "status code: 408",
    "<Code>SlowDown</Code>",
    "<Code>InternalError</Code>",
];

const DENIED: &str = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the clock of this machine, and that the key may get, put, delete and list there";

/// The meaning of an error of a request about one object.
pub(super) fn of_object(name: &str, place: &str, error: &Error) -> BlobError {
    match error {
        Error::NotFound { .. } if !names_bucket(error) => {
            BlobError::Missing { name: name.to_owned(), place: place.to_owned(), only_here: false }
        }
        Error::Precondition { .. } => BlobError::Damaged {
            name: name.to_owned(),
            place: place.to_owned(),
            detail: "it was replaced while it was read".to_owned(),
        },
        other => of_bucket(place, other),
    }
}

/// The meaning of an error of a request that needs nothing but the bucket.
pub(super) fn of_bucket(place: &str, error: &Error) -> BlobError {
    let place = place.to_owned();
    // Listings and uploads in parts come without the variants that other requests have.
    let text = error.to_string();
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    if matches!(error, Error::NotFound { .. }) || has(&["status code: 404"]) {
        BlobError::NoBucket { place }
    } else if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. })
        || has(&["status code: 403", "status code: 401"])
    {
        BlobError::Denied { place, detail: detail(error), remedy: DENIED }
    } else if has(FULL) {
        BlobError::Full { place }
    } else if http_error(error).is_some() || has(TRANSIENT) {
        BlobError::Unreachable { place, detail: detail(error) }
    } else {
        BlobError::Refused { place, detail: detail(error) }
    }
}

fn names_bucket(error: &Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

fn http_error(error: &Error) -> Option<&HttpError> {
    let mut source = error.source();
    while let Some(at) = source {
        if let Some(http) = at.downcast_ref::<HttpError>() {
            return Some(http);
        }
        source = at.source();
    }
    None
}

/// The server's own code and message, or what the network said; without the request, which names keys.
fn detail(error: &Error) -> String {
    let text = error.to_string();
    let said = match (between(&text, "<Code>", "</Code>"), between(&text, "<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => match http_error(error) {
            Some(http) => innermost(http),
            None => match text.find("status code: ") {
                Some(at) => text[at..].split(": ").take(2).collect::<Vec<_>>().join(" "),
                None => innermost(error),
            },
        },
    };
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect()
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let rest = text.split_once(open)?.1;
    Some(rest.split_once(close)?.0)
}
