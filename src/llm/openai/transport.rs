//! The HTTP side: one request out, one bounded answer in, piece by piece.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use bytes::Bytes;
use reqwest::{Client, Response, Url, header};

use super::{
    cassette::{self, Cassette},
    own_error,
    retry::Hints,
    text,
};
use crate::{
    config::{ApiStyle, ModelTimeouts, ProviderConfig, Secret},
    llm::{ModelError, ModelErrorKind},
};

/// As much of an error body as can matter.
const MAX_ERROR_BODY: usize = 64 << 10;

/// An answer of the provider that has begun, whatever its status.
pub(super) struct Reply {
    pub status: u16,
    pub hints: Hints,
    /// Whether its body is a stream of events.
    pub is_stream: bool,
    body: Body,
}

enum Body {
    Live { response: Box<Response>, tape: Option<Box<cassette::Recording>> },
    Played(std::vec::IntoIter<Vec<u8>>),
}

pub(super) struct Transport {
    client: Client,
    url: Url,
    key: Option<Secret>,
    headers: header::HeaderMap,
    timeouts: ModelTimeouts,
    cassette: Option<Arc<Cassette>>,
}

impl Transport {
    pub(super) fn new(config: &ProviderConfig) -> anyhow::Result<Self> {
        let name = &config.name;
        let mut url = Url::parse(&config.base_url)
            .with_context(|| format!("the base URL of provider '{name}' is no address"))?;
        let path: &[&str] = match config.api {
            ApiStyle::Chat => &["chat", "completions"],
            ApiStyle::Responses => &["responses"],
        };
        // By segments, so that a query in the base (Azure's `?api-version=`) stays behind the path.
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("the base URL of provider '{name}' is no http address"))?
            .pop_if_empty()
            .extend(path);
        let mut headers = header::HeaderMap::new();
        for (header, value) in &config.headers {
            let header: header::HeaderName =
                header.parse().with_context(|| format!("'{header}' is no header's name"))?;
            let mut value: header::HeaderValue = value
                .expose()
                .parse()
                .with_context(|| format!("the value of the header {header} cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self {
            client: client(&url, config.timeouts.connect)?,
            url,
            key: config.key.clone(),
            headers,
            timeouts: config.timeouts,
            cassette: None,
        })
    }

    /// Plays a recorded conversation, or records this one.
    pub(super) fn set_cassette(&mut self, cassette: Arc<Cassette>) {
        self.cassette = Some(cassette);
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// A text in which the key does not show.
    pub(super) fn without_key(&self, words: &str) -> String {
        text::without_keys(words, self.key.as_ref().map(Secret::expose))
    }

    /// Sends one request; the answer has begun when this returns.
    pub(super) async fn post(&self, body: Bytes, begun: Instant) -> Result<Reply, ModelError> {
        if let Some(cassette) = self.cassette.as_ref().filter(|cassette| cassette.plays()) {
            let played = cassette.play(self.url.path(), &body)?;
            let hints = Hints::read(&played.headers, SystemTime::now());
            let is_stream = is_stream(&played.headers);
            return Ok(Reply {
                status: played.status,
                hints,
                is_stream,
                body: Body::Played(played.pieces.into_iter()),
            });
        }
        let tape = self.cassette.as_ref().map(|cassette| cassette.begin(self.url.path(), &body));
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .body(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let sent = request.headers(self.headers.clone()).send();
        let (limit, left) = self.first(begun);
        let response = match tokio::time::timeout(left, sent).await {
            Ok(sent) => sent.map_err(|e| self.transport_error(e))?,
            Err(_) => return Err(self.timed_out(limit)),
        };
        let status = response.status().as_u16();
        let hints = Hints::read(response.headers(), SystemTime::now());
        let is_stream = is_stream(response.headers());
        let tape = tape.map(|tape| Box::new(tape.answered(status, response.headers())));
        let response = Box::new(response);
        Ok(Reply { status, hints, is_stream, body: Body::Live { response, tape } })
    }

    /// The next piece of an answer; `None`: it has ended. `first`: nothing of its body has come yet.
    pub(super) async fn next(
        &self,
        reply: &mut Reply,
        begun: Instant,
        first: bool,
    ) -> Result<Option<Bytes>, ModelError> {
        let Body::Live { response, tape } = &mut reply.body else {
            let Body::Played(pieces) = &mut reply.body else { return Ok(None) };
            return Ok(pieces.next().map(Bytes::from));
        };
        let (limit, left) = if first { self.first(begun) } else { self.idle(begun) };
        let piece = match tokio::time::timeout(left, response.chunk()).await {
            Ok(piece) => piece.map_err(|e| self.transport_error(e))?,
            Err(_) => return Err(self.timed_out(limit)),
        };
        match (tape, &piece) {
            (Some(tape), Some(piece)) => tape.piece(piece),
            (Some(tape), None) => tape.end(),
            (None, _) => {}
        }
        Ok(piece)
    }

    /// The beginning of an error's body; one that breaks off is taken as far as it came.
    pub(super) async fn error_body(&self, reply: &mut Reply, begun: Instant) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(piece)) = self.next(reply, begun, body.is_empty()).await {
            body.extend_from_slice(&piece);
            if body.len() >= MAX_ERROR_BODY {
                body.truncate(MAX_ERROR_BODY);
                break;
            }
        }
        body
    }

    /// How long the first piece may take, and how much of that is left.
    fn first(&self, begun: Instant) -> (Limit, Duration) {
        let spent = begun.elapsed();
        let total = self.timeouts.total.saturating_sub(spent);
        let first = self.timeouts.first_byte.saturating_sub(spent);
        if self.timeouts.first_byte < self.timeouts.total {
            (Limit::First, first)
        } else {
            (Limit::Total, total)
        }
    }

    /// The same for any other piece.
    fn idle(&self, begun: Instant) -> (Limit, Duration) {
        let total = self.timeouts.total.saturating_sub(begun.elapsed());
        if self.timeouts.idle < total { (Limit::Idle, self.timeouts.idle) } else { (Limit::Total, total) }
    }

    fn timed_out(&self, limit: Limit) -> ModelError {
        let place = self.place();
        let message = match limit {
            Limit::First => {
                let seconds = self.timeouts.first_byte.as_secs_f64();
                format!("the provider at {place} gave no first token within {seconds} s")
            }
            Limit::Idle => {
                let seconds = self.timeouts.idle.as_secs_f64();
                format!(
                    "the provider at {place} sent nothing more for {seconds} s in the middle of its answer"
                )
            }
            Limit::Total => {
                let seconds = self.timeouts.total.as_secs_f64();
                format!("the provider at {place} gave no whole answer within {seconds} s")
            }
        };
        own_error(ModelErrorKind::Timeout, message)
    }

    /// The address without its path, written anew: the configured one may hold a password.
    fn place(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}://{}:{port}", self.url.scheme(), self.host()),
            None => format!("{}://{}", self.url.scheme(), self.host()),
        }
    }

    /// What a failure below HTTP is.
    fn transport_error(&self, error: reqwest::Error) -> ModelError {
        let place = self.place();
        let error = error.without_url();
        let cause = text::one_line(&root_cause(&error), 200);
        let (kind, message) = if error.is_connect() {
            (ModelErrorKind::Connection, format!("cannot connect to the provider at {place}: {cause}"))
        } else if error.is_timeout() {
            (ModelErrorKind::Timeout, format!("the provider at {place} took too long: {cause}"))
        } else if error.is_builder() {
            (ModelErrorKind::BadRequest, format!("the request to {place} cannot be made: {cause}"))
        } else {
            (ModelErrorKind::Connection, format!("the connection to the provider at {place} broke: {cause}"))
        };
        own_error(kind, message)
    }
}

/// Which of the limits ran out.
#[derive(Debug, Clone, Copy)]
enum Limit {
    First,
    Idle,
    Total,
}

fn is_stream(headers: &header::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("text/event-stream")
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn client(url: &Url, connect: Duration) -> anyhow::Result<Client> {
    // Fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .connect_timeout(connect)
            // As many as are open at once: a connection that is put aside is opened again for nothing.
            .pool_max_idle_per_host(usize::MAX)
            .tcp_nodelay(true)
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

    fn open(base: &str) -> anyhow::Result<Transport> {
        Transport::new(&ProviderConfig {
            base_url: base.to_owned(),
            ..crate::llm::openai::config_of(&crate::llm::openai::tests::config())
        })
    }

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
            assert_eq!(open(base).unwrap().url.as_str(), url);
        }
        assert!(open("nonsense").is_err());
        assert!(open("data:x").is_err());
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
