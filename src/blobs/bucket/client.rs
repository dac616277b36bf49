//! The S3 client: signatures by `object_store`, HTTP and TLS by the one client that the program has.

use object_store::{
    BackoffConfig, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector},
};
use reqwest::redirect::Policy;

use super::{Address, Limits, failure};
use crate::blobs::BlobError;

/// Pauses double.
const BACKOFF_BASE: f64 = 2.0;
/// After so many times the longest silence no further try of a request is begun: its signature grows old.
const SILENCES: u32 = 3;

/// What a server knows us by. Debug output shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Comes with keys that are only lent.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

/// Gives `object_store` a client that is there already.
#[derive(Debug)]
struct Ready(reqwest::Client);

impl HttpConnector for Ready {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The client for the bucket of the address. Nothing is sent.
pub(super) fn connect(address: &Address, keys: Keys, limits: &Limits) -> Result<AmazonS3, BlobError> {
    // Another part of the program may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .read_timeout(limits.silence)
        .redirect(Policy::none())
        // Bytes have to come as they were put.
        .no_gzip()
        .https_only(!address.is_http)
        .build()
        .map_err(|e| BlobError::BadUrl(format!("no HTTP client can be had for it: {e}")))?;
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Ready(http))
        .with_bucket_name(&address.bucket)
        .with_region(&address.region)
        .with_allow_http(address.is_http)
        .with_virtual_hosted_style_request(address.endpoint.is_none())
        .with_access_key_id(keys.access_key_id)
        .with_secret_access_key(keys.secret_access_key)
        // Not every server has it, and one object at a time is deleted.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: limits.first_pause,
                max_backoff: limits.longest_pause,
                base: BACKOFF_BASE,
            },
            max_retries: limits.retries,
            retry_timeout: limits.silence * SILENCES,
        });
    if let Some(endpoint) = &address.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(token) = keys.session_token {
        builder = builder.with_token(token);
    }
    builder.build().map_err(|e| failure::of_bucket(&address.place(), &e))
}
