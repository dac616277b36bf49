//! The HTTP side: one request out, one bounded answer in.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use reqwest::{Client, Response, Url, header};

use super::{own_error, retry::Hints, text};
use crate::{
    config::Secret,
    llm::{ModelError, ModelErrorKind},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest completion that is read, unpacked.
const MAX_ANSWER: usize = 16 << 20;

/// As much of an error body as can matter.
const MAX_ERROR_BODY: usize = 64 << 10;

/// A request that did not end in a completion.
pub(super) struct Failure {
    pub error: ModelError,
    /// What the provider said about trying again.
    pub should_retry: Option<bool>,
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self { error, should_retry: None }
    }
}

/// An answer of the provider, whatever its status.
pub(super) struct Reply {
    pub status: u16,
    pub hints: Hints,
    pub body: Vec<u8>,
}

pub(super) struct Transport {
    client: Client,
    url: Url,
    key: Option<Secret>,
    timeout: Duration,
}

impl Transport {
    pub(super) fn new(base: &str, key: Option<Secret>, timeout: Duration) -> anyhow::Result<Self> {
        let mut url = Url::parse(base).with_context(|| "OPENAI_BASE_URL is no address")?;
        // By segments, so that a query in the base (Azure's `?api-version=`) stays behind the path.
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("OPENAI_BASE_URL is no http address"))?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(Self { client: client(&url, timeout)?, url, key, timeout })
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// A text in which the key does not show.
    pub(super) fn without_key(&self, words: &str) -> String {
        text::without_keys(words, self.key.as_ref().map(Secret::expose))
    }

    /// Sends one request and reads its whole answer.
    pub(super) async fn post(&self, body: Bytes) -> Result<Reply, ModelError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(|e| self.transport_error(e))?;
        let status = response.status().as_u16();
        let hints = Hints::read(response.headers(), SystemTime::now());
        let body = if (200..300).contains(&status) {
            self.read_answer(response).await?
        } else {
            read_error_body(response).await
        };
        Ok(Reply { status, hints, body })
    }

    async fn read_answer(&self, mut response: Response) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport_error(e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let message = format!("the provider's answer is larger than {} MiB", MAX_ANSWER >> 20);
                return Err(own_error(ModelErrorKind::BadAnswer, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What a failure below HTTP is. The address is written anew: the configured one may hold a password.
    fn transport_error(&self, error: reqwest::Error) -> ModelError {
        let place = match self.url.port() {
            Some(port) => format!("{}://{}:{port}", self.url.scheme(), self.host()),
            None => format!("{}://{}", self.url.scheme(), self.host()),
        };
        let error = error.without_url();
        let cause = text::one_line(&root_cause(&error), 200);
        let (kind, message) = if error.is_connect() {
            (ModelErrorKind::Connection, format!("cannot connect to the provider at {place}: {cause}"))
        } else if error.is_timeout() {
            let seconds = self.timeout.as_secs_f64();
            (ModelErrorKind::Timeout, format!("the provider at {place} gave no answer within {seconds} s"))
        } else if error.is_builder() {
            (ModelErrorKind::BadRequest, format!("the request to {place} cannot be made: {cause}"))
        } else {
            (ModelErrorKind::Connection, format!("the connection to the provider at {place} broke: {cause}"))
        };
        own_error(kind, message)
    }
}

/// Reads the beginning of an error body; one that breaks off is taken as far as it came.
async fn read_error_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ERROR_BODY {
            body.truncate(MAX_ERROR_BODY);
            break;
        }
    }
    body
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn client(url: &Url, timeout: Duration) -> anyhow::Result<Client> {
    // Fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            // A redirected POST loses its body or leaks its prompt; the address has to be right.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")));
        // No proxy can reach the loopback of this machine.
        if is_loopback(url) { builder.no_proxy() } else { builder }
    };
    match builder().build() {
        Ok(client) => Ok(client),
        // Without a CA bundle no TLS client can be built, and a plain address does not need one.
        Err(_) if url.scheme() == "http" => Ok(builder().tls_certs_only([]).build()?),
        Err(e) => {
            Err(e).context("cannot set up HTTPS to the model provider (are CA certificates installed?)")
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_before_a_query() {
        for (base, url) in [
            ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/chat/completions"),
            ("http://localhost/v1/", "http://localhost/v1/chat/completions"),
            ("http://localhost", "http://localhost/chat/completions"),
            (
                "http://x/openai/v1?api-version=preview",
                "http://x/openai/v1/chat/completions?api-version=preview",
            ),
        ] {
            let transport = Transport::new(base, None, Duration::from_secs(1)).unwrap();
            assert_eq!(transport.url.as_str(), url);
        }
        assert!(Transport::new("nonsense", None, Duration::from_secs(1)).is_err());
        assert!(Transport::new("data:x", None, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn loopback_is_known_in_every_spelling() {
        for (base, loopback) in [
            ("http://127.0.0.1:1/v1", true),
            ("http://127.8.8.8/v1", true),
            ("http://[::1]:8080/v1", true),
            ("http://localhost:11434/v1", true),
            ("http://10.0.0.1/v1", false),
            ("https://api.openai.com/v1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(base).unwrap()), loopback, "{base}");
        }
    }
}
