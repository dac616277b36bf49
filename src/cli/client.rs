//! The API of a running server, as the commands that ask one use it.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder, StatusCode, Url, header::HeaderMap};
use serde_json::Value;

use super::Failure;

/// Where a server is looked for when nobody says.
const DEFAULT_URL: &str = "http://127.0.0.1:8000";
/// The most that one request may take; a bulk call works for ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream of events lasts an hour at the most.
const LONGEST_STREAM: Duration = Duration::from_secs(3_900);

/// A file comes for a day at the most.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(86_400);

/// Which server is asked, and how it is shown.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Server {
    /// The server to ask [default: PRODUCTFORGE_URL, http://127.0.0.1:8000]
    #[arg(long, global = true)]
    url: Option<String>,
    /// Print what the server answers, as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

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

impl Server {
    /// Whether somebody said which one.
    pub(super) fn is_named(&self) -> bool {
        self.url.is_some() || variable("PRODUCTFORGE_URL").is_some()
    }

    /// A client for it; the key is the environment's `API_KEY`.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let given = self.url.clone().or_else(|| variable("PRODUCTFORGE_URL"));
        let text = given.unwrap_or_else(|| DEFAULT_URL.to_owned());
        let base = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Usage(format!("--url {text}: must be an address such as {DEFAULT_URL}"))
            })?;
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .timeout(PATIENCE)
                // A key is for the server that was named and for no other.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")))
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
        Ok(Client { http, base, key: variable("API_KEY") })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

impl Client {
    /// The answer to a GET; parameters without a value are left out.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None).await
    }

    /// One page of a plain list, whose paging travels in headers.
    pub(super) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<Page, Failure> {
        let (items, headers) = self.exchange(Method::GET, path, query, None).await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let total = header("x-total-count").and_then(|total| total.parse().ok());
        Ok(Page { items, next: header("x-next-cursor"), total })
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, &[], Some(body)).await
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
        let answer = request.send().await.map_err(|e| NoStream::Away(self.unreachable(&e)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(|e| NoStream::Away(self.unreachable(&e)))?;
        let json: Option<Value> = serde_json::from_str(&text).ok();
        let refusal = refusal(status, json.as_ref().and_then(|json| json.get("detail")));
        // A server whose store is away, or that is stopping, may give it later.
        Err(if status.is_server_error() { NoStream::Away(refusal) } else { NoStream::Refused(refusal) })
    }

    /// The body of the answer to a POST, as it comes, for as long as it takes.
    pub(super) async fn download(&self, path: &[&str]) -> Result<reqwest::Response, Failure> {
        let request = self.request(Method::POST, path, &[]).timeout(LONGEST_DOWNLOAD);
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let json: Option<Value> = answer.json().await.ok();
        Err(refusal(status, json.as_ref().and_then(|json| json.get("detail"))))
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
        Ok(self.exchange(method, path, query, body).await?.0)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<String>)],
        body: Option<&Value>,
    ) -> Result<(Value, HeaderMap), Failure> {
        let mut request = self.request(method, path, query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
        let json: Option<Value> = serde_json::from_str(&text).ok();
        if status.is_success() {
            let other = || anyhow::anyhow!("{} answers, but not as ProductForge does", self.base);
            return Ok((json.ok_or_else(other)?, headers));
        }
        Err(refusal(status, json.as_ref().and_then(|json| json.get("detail"))))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let why = if error.is_timeout() { "it did not answer in time".to_owned() } else { cause.to_string() };
        Failure::Failed(anyhow::anyhow!(
            "no server answers at {}: {why}\nStart one with `productforge serve`, or say where it is with --url or \
             PRODUCTFORGE_URL.",
            self.base
        ))
    }
}

/// What the server says, in its own words.
fn refusal(status: StatusCode, detail: Option<&Value>) -> Failure {
    let words = match detail {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(fields)) => fields.iter().map(complaint).collect::<Vec<_>>().join("\n"),
        _ => format!("the server answers {status}"),
    };
    match status {
        StatusCode::UNAUTHORIZED => Failure::Usage(
            "the server wants a key: set API_KEY to the one that it was started with".to_owned(),
        ),
        StatusCode::UNPROCESSABLE_ENTITY => Failure::Usage(words),
        _ => Failure::Failed(anyhow::anyhow!(words)),
    }
}

/// `state: Input should be …`
fn complaint(field: &Value) -> String {
    let name = field["loc"].as_array().and_then(|loc| loc.last()?.as_str()).unwrap_or("request");
    format!("{name}: {}", field["msg"].as_str().unwrap_or("is not acceptable"))
}
