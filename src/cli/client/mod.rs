//! The API of a running server, as the commands that ask one use it.
//!
//! [`Server`] is the one block of arguments that says which server, with which key, and how its answers are shown.
//! What only reads is asked again where the server is busy or away for a moment; so is what carries an
//! `Idempotency-Key`. Everything else is sent once.

mod patience;
mod refusal;
mod server;

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder, StatusCode, Url, header::HeaderMap};
use serde_json::Value;

use super::Failure;
use patience::Patience;
pub(super) use server::Server;

/// The most that one request may take when nobody says; a bulk call works for ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// A stream of events lasts an hour at the most; an upload may take as long.
const LONGEST_STREAM: Duration = Duration::from_secs(3_900);
/// A file comes for a day at the most.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(86_400);

/// One page of a plain list.
pub(super) struct Page {
    pub(super) items: Value,
    /// The cursor of the next page; `None` at the end.
    pub(super) next: Option<String>,
    pub(super) total: Option<u64>,
}

/// Why there is no stream of events.
pub(super) enum NoStream {
    /// The server does not answer, or not now.
    Away(Failure),
    /// It said no, and will say so again.
    Refused(Failure),
}

/// A server that is talked to.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<String>,
}

impl Client {
    /// Talks to the server at this address; whole requests take no longer than `patience`.
    fn new(base: Url, key: Option<String>, patience: Duration) -> Result<Self, Failure> {
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            let builder = reqwest::Client::builder()
                .timeout(patience)
                .connect_timeout(CONNECT.min(patience))
                // A key is for the server that was named and for no other.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")));
            // No proxy can reach the loopback of this machine.
            if is_loopback(&base) { builder.no_proxy() } else { builder }
        };
        let http = match builder().build() {
            Ok(http) => http,
            // Without a CA bundle no TLS client can be built, and a plain address does not need one.
            Err(_) if base.scheme() == "http" => {
                builder().tls_certs_only([]).build().context("cannot set up HTTP")?
            }
            Err(e) => {
                let why = "cannot set up HTTPS (are CA certificates installed?)";
                return Err(anyhow::Error::from(e).context(why).into());
            }
        };
        Ok(Self { http, base, key })
    }

    /// The address of the server, as it is said again in commands to copy; without a password.
    pub(super) fn address(&self) -> String {
        let mut base = self.base.clone();
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.as_str().trim_end_matches('/').to_owned()
    }

    /// The answer to a GET; parameters without a value are left out.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None).await
    }

    /// The answer to a GET that is no JSON.
    pub(super) async fn text(&self, path: &[&str]) -> Result<String, Failure> {
        let (text, _) = self.exchange(true, || self.request(Method::GET, path, &[])).await?;
        Ok(text)
    }

    /// One page of a plain list, whose paging travels in headers.
    pub(super) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Page, Failure> {
        let (text, headers) = self.exchange(true, || self.request(Method::GET, path, query)).await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let total = header("x-total-count").and_then(|total| total.parse().ok());
        Ok(Page { items: self.json(&text)?, next: header("x-next-cursor"), total })
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, &[], Some(body)).await
    }

    /// A POST that has its effect once, however often it has to be sent.
    pub(super) async fn post_once(&self, path: &[&str], body: &Value, key: &str) -> Result<Value, Failure> {
        let request = || self.request(Method::POST, path, &[]).json(body).header("idempotency-key", key);
        let (text, _) = self.exchange(true, request).await?;
        self.json(&text)
    }

    /// A POST of a form. It may take as long as its file does.
    pub(super) async fn send_form(
        &self,
        path: &[&str],
        form: reqwest::multipart::Form,
    ) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path, &[]).timeout(LONGEST_STREAM).multipart(form);
        let (text, _) = self.answer(request).await.map_err(|no| no.failure)?;
        self.json(&text)
    }

    pub(super) async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Value, Failure> {
        self.ask(Method::DELETE, path, query, None).await
    }

    /// A stream of events behind the one that was seen last.
    pub(super) async fn events(
        &self,
        path: &[&str],
        last: Option<u64>,
    ) -> Result<reqwest::Response, NoStream> {
        let mut request = self.request(Method::GET, path, &[]).timeout(LONGEST_STREAM);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let answer = request.send().await.map_err(|e| NoStream::Away(refusal::unreachable(self, &e)))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(|e| NoStream::Away(refusal::unreachable(self, &e)))?;
        let refusal = refusal::refusal(self, status, &headers, &text);
        // A server whose store is away, or that is stopping, may give it later; so may one that is asked too often.
        let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if later { NoStream::Away(refusal) } else { NoStream::Refused(refusal) })
    }

    /// The body of the answer to a POST, as it comes, for as long as it takes.
    pub(super) async fn download(&self, path: &[&str]) -> Result<reqwest::Response, Failure> {
        let request = self.request(Method::POST, path, &[]).timeout(LONGEST_DOWNLOAD);
        let answer = request.send().await.map_err(|e| refusal::unreachable(self, &e))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(|e| refusal::unreachable(self, &e))?;
        Err(refusal::refusal(self, status, &headers, &text))
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, Option<String>)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Whatever stands in an id, it stays one segment.
            segments.pop_if_empty().extend(path);
        }
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<String>)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let safe = method == Method::GET;
        let request = || {
            let request = self.request(method.clone(), path, query);
            if let Some(body) = body { request.json(body) } else { request }
        };
        let (text, _) = self.exchange(safe, request).await?;
        self.json(&text)
    }

    fn json(&self, text: &str) -> Result<Value, Failure> {
        serde_json::from_str(text).map_err(|_| refusal::no_productforge(self))
    }

    /// Asks; where it is safe, and may help, again and again.
    async fn exchange(
        &self,
        safe: bool,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<(String, HeaderMap), Failure> {
        let mut patience = Patience::new();
        loop {
            match self.answer(request()).await {
                Ok(answer) => return Ok(answer),
                Err(no) if safe && no.passes && patience.wait(no.wait).await => {}
                Err(no) => return Err(no.failure),
            }
        }
    }

    /// One exchange.
    async fn answer(&self, request: RequestBuilder) -> Result<(String, HeaderMap), No> {
        let lost = |e: reqwest::Error| No {
            // Who takes no connection is not there; who breaks one off is, or was.
            passes: !(e.is_connect() || e.is_timeout() || e.is_builder()),
            wait: None,
            failure: refusal::unreachable(self, &e),
        };
        let answer = request.send().await.map_err(lost)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(lost)?;
        if status.is_success() {
            return Ok((text, headers));
        }
        Err(No {
            passes: matches!(status.as_u16(), 429 | 502 | 503 | 504),
            wait: refusal::retry_after(&headers),
            failure: refusal::refusal(self, status, &headers, &text),
        })
    }
}

/// An exchange that led to nothing.
struct No {
    /// It may go better later.
    passes: bool,
    /// When the server says so itself.
    wait: Option<Duration>,
    failure: Failure,
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
