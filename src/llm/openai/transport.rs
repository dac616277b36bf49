//! The HTTP side: where requests go and what they carry.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use reqwest::{
    Client, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{
    cassette::Cassette,
    exchange::{Awaited, Body, Clock, Exchange},
    retry::Hints,
    wire,
    wording::Wording,
};
use crate::{
    config::{ModelTimeouts, ProviderConfig},
    llm::ModelError,
    telemetry::{context, trace},
};

/// What a client calls a request, up to 512 characters of ASCII; support finds it by that.
const CLIENT_REQUEST_ID: &str = "x-client-request-id";

pub(super) struct Transport {
    client: Client,
    url: Url,
    headers: HeaderMap,
    timeouts: ModelTimeouts,
    cassette: Option<Arc<Cassette>>,
    wording: Arc<Wording>,
}

impl Transport {
    pub(super) fn new(config: &ProviderConfig, wording: Arc<Wording>) -> anyhow::Result<Self> {
        let setting = &wording.base_url;
        let url = below(&config.base_url, setting, wire::path(config.api))?;
        let client = client(&url, config.timeouts.connect)?;
        let headers = headers(config)?;
        Ok(Self { client, url, headers, timeouts: config.timeouts, cassette: None, wording })
    }

    pub(super) fn set_cassette(&mut self, cassette: Arc<Cassette>) {
        self.cassette = Some(cassette);
    }

    /// Sends one request and waits for the beginning of its answer.
    pub(super) async fn send(&self, body: &Value, stream: bool) -> Result<Exchange, ModelError> {
        let clock = Clock::start(self.timeouts, self.place());
        let path = self.url.path();
        if let Some(played) = self.cassette.as_ref().and_then(|cassette| cassette.play(path, body)) {
            let (head, played) = played?;
            let headers = head.headers();
            let hints = Hints::read(&headers, SystemTime::now());
            return Ok(Exchange::new(head.status, &headers, hints, Body::Played(played), clock, None));
        }
        // A stream that a proxy packs would be held back until the pack is full.
        let (accept, encoding) = match stream {
            true => ("text/event-stream, application/json", Some("identity")),
            false => ("application/json", None),
        };
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(header::ACCEPT, accept)
            .body(body.to_string());
        if let Some(encoding) = encoding {
            request = request.header(header::ACCEPT_ENCODING, encoding);
        }
        let context = context::current();
        // The name that OpenAI asks for, unique among all requests; a configured header takes its place.
        if let Some(id) = &context.request_id
            && !self.headers.contains_key(CLIENT_REQUEST_ID)
        {
            request = request.header(CLIENT_REQUEST_ID, format!("{id}/{:08x}", rand::random::<u32>()));
        }
        if let Some(trace) = context.trace.filter(|_| trace::is_on()) {
            request = request.header("traceparent", trace.to_string());
        }
        let sent = clock.limit(Awaited::First, request.send()).await?;
        let response = sent.map_err(|e| clock.broken(e))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let recording = self
            .cassette
            .as_ref()
            .map(|cassette| cassette.begin(path, body, status, &headers, self.wording.clone()));
        let hints = Hints::read(&headers, SystemTime::now());
        Ok(Exchange::new(status, &headers, hints, Body::Live(response), clock, recording))
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The address as it may be shown: the configured one may hold a password.
    fn place(&self) -> String {
        let host = self.host();
        match self.url.port() {
            Some(port) => format!("{}://{host}:{port}", self.url.scheme()),
            None => format!("{}://{host}", self.url.scheme()),
        }
    }
}

/// An address below the configured one. By segments, so that a query in the base (Azure's `?api-version=`) stays
/// behind the path.
pub(super) fn below(base: &str, setting: &str, path: &[&str]) -> anyhow::Result<Url> {
    let mut url = Url::parse(base).with_context(|| format!("{setting} is no address"))?;
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("{setting} is no http address"))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

/// What every request carries. A configured `authorization` takes the place of the usual one.
pub(super) fn headers(config: &ProviderConfig) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let secret = |name: &str, value: &str| {
        let mut value = HeaderValue::from_str(value).with_context(|| format!("{name} does not fit"))?;
        value.set_sensitive(true);
        anyhow::Ok(value)
    };
    if let Some(key) = &config.key {
        let bearer = format!("Bearer {}", key.expose());
        headers.insert(header::AUTHORIZATION, secret("the key", &bearer)?);
    }
    for (name, value) in &config.headers {
        let header = HeaderName::try_from(name).with_context(|| format!("{name} is no header"))?;
        headers.insert(header, secret(&format!("the header {name}"), value.expose())?);
    }
    Ok(headers)
}

pub(super) fn client(url: &Url, connect: Duration) -> anyhow::Result<Client> {
    // Fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .connect_timeout(connect)
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{ApiStyle, Secret};

    fn config(base: &str, api: ApiStyle, headers: &[(&str, &str)]) -> ProviderConfig {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), Secret::new(*v))).collect();
        ProviderConfig {
            name: "groq".to_owned(),
            base_url: base.to_owned(),
            key: Some(Secret::new("gsk_0123456789")),
            api,
            model: String::new(),
            headers,
            max_tokens: None,
            stream: true,
            timeouts: ModelTimeouts::default(),
            requests_per_minute: None,
            concurrency: None,
            prices: BTreeMap::new(),
        }
    }

    fn transport(config: &ProviderConfig) -> anyhow::Result<Transport> {
        Transport::new(config, Arc::new(Wording::new(&config.name, Vec::new())))
    }

    #[test]
    fn the_path_is_added_before_a_query() {
        use ApiStyle::{Chat, Responses};
        for (base, api, url) in [
            ("http://127.0.0.1:8080/v1", Chat, "http://127.0.0.1:8080/v1/chat/completions"),
            ("http://localhost/v1/", Chat, "http://localhost/v1/chat/completions"),
            ("http://localhost", Chat, "http://localhost/chat/completions"),
            ("http://localhost/v1", Responses, "http://localhost/v1/responses"),
            (
                "http://x/openai/v1?api-version=preview",
                Chat,
                "http://x/openai/v1/chat/completions?api-version=preview",
            ),
        ] {
            assert_eq!(transport(&config(base, api, &[])).unwrap().url.as_str(), url);
        }
        for base in ["nonsense", "data:x"] {
            let error = transport(&config(base, Chat, &[])).err().unwrap();
            assert!(error.to_string().contains("the base_url of provider 'groq'"), "{error}");
        }
    }

    #[test]
    fn configured_headers_go_out_and_may_take_the_place_of_the_key() {
        let headers = |own: &[(&str, &str)]| headers(&config("http://x", ApiStyle::Chat, own));
        let plain = headers(&[("X-Title", "ProductForge")]).unwrap();
        assert_eq!(plain["authorization"], "Bearer gsk_0123456789");
        assert_eq!(plain["x-title"], "ProductForge");
        assert_eq!(headers(&[("Authorization", "Basic eA==")]).unwrap()["authorization"], "Basic eA==");
        for (name, value) in [("no header", "x"), ("x", "two\nlines")] {
            let error = format!("{:#}", headers(&[(name, value)]).unwrap_err());
            assert!(error.contains(name) && !error.contains("lines"), "{error}");
        }
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
