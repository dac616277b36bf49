//! `BLOB_URL`: which bucket at which server.

use std::net::IpAddr;

use reqwest::Url;

use crate::blobs::{BlobError, name};

/// Longer ones are nobody's.
const MAX_URL_BYTES: usize = 2_048;
/// What S3 leaves of its 1024 for a key when a name and a slash are taken off, and some more.
const MAX_PREFIX_BYTES: usize = 500;

/// A bucket, what keys in it begin with, and the server that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) bucket: String,
    /// Empty, or segments with slashes between them.
    pub(super) prefix: String,
    /// Without a slash at its end; AWS itself has none.
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) is_http: bool,
}

impl Address {
    /// Reads `s3://bucket/prefix?endpoint=https://host:port&region=name&allow_http=true`. The prefix may be
    /// left out, and one of `endpoint` and `region`. The error is [`BlobError::BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BlobError> {
        let bad = |problem: &str| Err(BlobError::BadUrl(problem.to_owned()));
        if text.len() > MAX_URL_BYTES {
            return bad("it is longer than 2048 bytes");
        }
        let Ok(url) = Url::parse(text) else {
            return bad(
                "it is no URL; it has to look like s3://bucket/prefix?endpoint=https://host&region=name",
            );
        };
        if url.scheme() != "s3" {
            return bad("it does not begin with s3://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("keys do not belong into it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
        if url.port().is_some() || url.fragment().is_some() {
            return bad("a port and '#' have no meaning in it; the server is named by endpoint=");
        }
        let bucket = url.host_str().unwrap_or_default();
        if !is_bucket(bucket) {
            return bad("the bucket has to have 3 to 63 of a-z 0-9 . - with a letter or digit at both ends");
        }
        let prefix = url.path().trim_matches('/');
        let is_segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.bytes().all(name::is_safe);
        if prefix.len() > MAX_PREFIX_BYTES || !(prefix.is_empty() || prefix.split('/').all(is_segment)) {
            return bad(
                "the prefix has to be segments of A-Z a-z 0-9 . _ - with no '.' first, 500 bytes at most",
            );
        }
        let (mut endpoint, mut region, mut allow_http) = (None, None, None);
        for (key, value) in url.query_pairs() {
            let place = match key.as_ref() {
                "endpoint" => &mut endpoint,
                "region" => &mut region,
                "allow_http" => &mut allow_http,
                _ => return bad("behind the '?' only endpoint=, region= and allow_http= are known"),
            };
            if place.replace(value.into_owned()).is_some() {
                return bad("one of endpoint=, region= and allow_http= stands there twice");
            }
        }
        let allow_http = match allow_http.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return bad("allow_http has to be true or false"),
        };
        let endpoint = endpoint.map(|text| self::endpoint(&text, allow_http)).transpose()?;
        let region = match (region, &endpoint) {
            (Some(region), _) if is_region(&region) => region,
            (Some(_), _) => return bad("the region has to be of a-z 0-9 -, 40 bytes at most"),
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => return bad("region= is missing; with endpoint= it may be left out"),
        };
        let is_http = endpoint.as_ref().is_some_and(|e| e.starts_with("http:"));
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned(), endpoint, region, is_http })
    }

    /// For messages: `s3://bucket/prefix at https://host`.
    pub(super) fn place(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let server = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("AWS {}", self.region),
        };
        format!("s3://{}{slash}{} at {server}", self.bucket, self.prefix)
    }
}

fn endpoint(text: &str, allow_http: bool) -> Result<String, BlobError> {
    let bad = |problem: &str| Err(BlobError::BadUrl(problem.to_owned()));
    let Ok(url) = Url::parse(text) else {
        return bad("the endpoint is no URL; it has to look like https://host:port");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return bad("keys do not belong into the endpoint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return bad("the endpoint may only have a host and a port");
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => {}
        "http" if allow_http || is_loopback(host) => {}
        "http" => {
            return bad(
                "the endpoint has http to another machine, where all can be read on the way: use https, or add allow_http=true",
            );
        }
        _ => return bad("the endpoint has to begin with https:// or http://"),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn is_bucket(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| is_inner(b) || matches!(b, b'.' | b'-'))
        && !name.contains("..")
        && name.bytes().next().is_some_and(is_inner)
        && name.bytes().last().is_some_and(is_inner)
}

fn is_region(name: &str) -> bool {
    let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        match Address::parse(text) {
            Err(BlobError::BadUrl(problem)) => problem,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses_are_read() {
        let address = Address::parse("s3://files/a/b/?endpoint=http://127.0.0.1:9000/&region=eu-1").unwrap();
        assert_eq!(address.place(), "s3://files/a/b at http://127.0.0.1:9000");
        assert_eq!((address.region.as_str(), address.is_http), ("eu-1", true));
        let address = Address::parse("s3://files?region=eu-central-1").unwrap();
        assert_eq!(address.place(), "s3://files at AWS eu-central-1");
        assert_eq!(Address::parse("s3://files?endpoint=https://x.example").unwrap().region, "us-east-1");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(s3://)?\\PC{0,60}(\\?endpoint=\\PC{0,40})?") {
            if let Ok(address) = Address::parse(&text) {
                proptest::prop_assert!(address.place().starts_with("s3://"));
            }
        }
    }

    #[test]
    fn http_stays_on_this_machine_unless_it_is_allowed() {
        for host in ["127.0.0.1:1", "127.9.9.9", "[::1]:9000", "localhost"] {
            assert!(Address::parse(&format!("s3://files?endpoint=http://{host}")).is_ok(), "{host}");
        }
        for host in ["10.0.0.1", "s3.example", "localhost.example", "127.0.0.1.example", "0.0.0.0"] {
            let url = format!("s3://files?endpoint=http://{host}");
            assert!(problem(&url).contains("allow_http=true"), "{host}");
            assert!(Address::parse(&format!("{url}&allow_http=true")).is_ok(), "{host}");
        }
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not() {
        for (url, word) in [
            ("", "no URL"),
            ("https://files", "s3://"),
            ("s3://", "the bucket"),
            ("s3://ab", "the bucket"),
            ("s3://Files?region=x", "the bucket"),
            ("s3://files", "region="),
            ("s3://files?region=", "the region"),
            ("s3://files?region=a&region=b", "twice"),
            ("s3://files?secret=a", "only endpoint="),
            ("s3://files/a%2fb?region=x", "the prefix"),
            ("s3://files/a//b?region=x", "the prefix"),
            ("s3://files:1?region=x", "a port"),
            ("s3://files?endpoint=ftp://x", "https:// or"),
            ("s3://files?endpoint=https://x/y", "a host and a port"),
            ("s3://files?endpoint=x", "the endpoint is no URL"),
            ("s3://files?region=x&allow_http=yes", "true or false"),
        ] {
            assert!(problem(url).contains(word), "{url}: {}", problem(url));
        }
        for url in ["s3://user:hush-hush@files?region=x", "s3://files?endpoint=https://user:hush-hush@x"] {
            assert!(problem(url).contains("AWS_ACCESS_KEY_ID") && !problem(url).contains("hush"), "{url}");
        }
    }
}
