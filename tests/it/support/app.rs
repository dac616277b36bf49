//! A whole application with HTTP in this process: a store in memory, the simulated model, workers if
//! asked for, a server on a free port, and a client.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use productforge::{
    app::App,
    blobs::Blobs,
    clock::{ManualClock, SystemClock},
    config::Secret,
    http::{self, Gate, HttpState, Patience, Stopper},
    llm::{ModelProvider, simulated::SimulatedProvider},
    store::{
        Store,
        sqlite::{Location, SqliteStore},
    },
    worker::WorkerHandle,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::{blobs::TempBlobs, wait::until, world};

/// The key of applications that have one.
pub const KEY: &str = "the-key-of-the-api-tests";

/// What an application is to be made of.
pub struct Builder {
    store: Option<Arc<dyn Store>>,
    blobs: Option<Arc<dyn Blobs>>,
    provider: Arc<dyn ModelProvider>,
    key: Option<&'static str>,
    origins: Vec<String>,
    patience: Patience,
    worker: bool,
    variables: Vec<(&'static str, &'static str)>,
}

/// Ends with its test.
pub struct TestApp {
    pub app: App,
    pub addr: SocketAddr,
    /// Who is counted and slowed down.
    pub gate: Arc<Gate>,
    /// Sent with every request of [`TestApp::request`].
    key: Option<&'static str>,
    client: reqwest::Client,
    stopper: Stopper,
    server: Option<JoinHandle<()>>,
    _worker: Option<WorkerHandle>,
}

impl Builder {
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// With this folder for uploads.
    pub fn blobs(mut self, blobs: Arc<dyn Blobs>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    pub fn provider(mut self, provider: Arc<dyn ModelProvider>) -> Self {
        self.provider = provider;
        self
    }

    /// With [`KEY`] set.
    pub fn locked(mut self) -> Self {
        self.key = Some(KEY);
        self
    }

    pub fn origins(mut self, origins: &[&str]) -> Self {
        self.origins = origins.iter().map(|o| o.to_string()).collect();
        self
    }

    /// With clients that may take so long.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// With settings as the environment would give them.
    pub fn variables(mut self, variables: &[(&'static str, &'static str)]) -> Self {
        self.variables = variables.to_vec();
        self
    }

    /// With a worker of four slots, unless the settings say otherwise.
    pub fn worker(mut self) -> Self {
        self.worker = true;
        self
    }

    pub async fn start(self) -> TestApp {
        let store = self.store.unwrap_or_else(memory);
        let blobs = self.blobs.unwrap_or_else(|| TempBlobs::new());
        let app = world::world_with(store, blobs, &self.variables, self.provider);
        let worker = self.worker.then(|| app.start_worker());
        let state = HttpState {
            services: app.services.clone(),
            api_key: self.key.map(Secret::new),
            cors_origins: self.origins,
            local_only: self.key.is_none(),
            gate: Arc::new(Gate::new(&app.config.http).patience(self.patience)),
        };
        let gate = state.gate.clone();
        let (addr, stopper, server) = serve(state);
        TestApp {
            app,
            addr,
            gate,
            key: self.key,
            client: client(),
            stopper,
            server: Some(server),
            _worker: worker,
        }
    }
}

/// A store that is gone with its test.
pub fn memory() -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(Location::Memory, Arc::new(SystemClock)).unwrap())
}

/// The same with a clock that is turned by hand.
pub fn memory_at(now_ms: i64) -> (Arc<dyn Store>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now_ms));
    (Arc::new(SqliteStore::open(Location::Memory, clock.clone()).unwrap()), clock)
}

/// The server has a thread of its own, so that it can be stopped when the test's own runtime is gone.
fn serve(state: HttpState) -> (SocketAddr, Stopper, JoinHandle<()>) {
    let (started, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let server = http::serve(state, listener).unwrap();
            started.send((server.addr, server.stopper())).unwrap();
            server.ended().await.unwrap();
        });
    });
    let (addr, stopper) = wait.recv().unwrap();
    (addr, stopper, thread)
}

/// A client that follows no redirect.
pub fn client() -> reqwest::Client {
    // reqwest asks for one even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

impl TestApp {
    pub fn builder() -> Builder {
        Builder {
            store: None,
            blobs: None,
            provider: Arc::new(SimulatedProvider::new(Duration::ZERO)),
            key: None,
            origins: vec!["http://localhost:3000".to_owned(), "https://*.netlify.app".to_owned()],
            patience: Patience::default(),
            worker: false,
            variables: Vec::new(),
        }
    }

    /// Without a key and without a worker.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// A request with the right key, if there is one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        match self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    /// A request without any key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    /// A form, as a browser without a key sends it.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        self.bare(Method::POST, path).header("content-type", kind).body(body)
    }

    /// A body that is no JSON, or not sent as such.
    pub async fn post_text(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", content_type);
        Answer::of(request.body(body.into()).send().await.unwrap()).await
    }

    /// Asks until the answer is 200.
    pub async fn get_once_there(&self, path: &str) -> Answer {
        until(path, || async { Some(self.get(path).await).filter(|answer| answer.status == 200) }).await
    }

    /// Sends bytes as they are and reads until the server closes, for what a client library would
    /// tidy up. The request must ask for `Connection: close`.
    pub fn raw(&self, request: &str) -> RawAnswer {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        RawAnswer::parse(&String::from_utf8_lossy(&text))
    }

    /// One request line, as it is, with headers (each ended by `\r\n`).
    pub fn raw_line(&self, line: &str, headers: &str) -> RawAnswer {
        self.raw(&format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stopper.stop(false));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A stream of events has no end.
        let endless = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if endless { String::new() } else { response.text().await.unwrap() };
        Self { status, headers, text }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text))
    }

    /// The JSON of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The `detail` of an error, which must be a whole problem document.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(keys(&problem), ["type", "title", "status", "detail", "instance", "request_id"]);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(problem["type"].as_str().unwrap().starts_with("urn:productforge:problem:"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        problem["detail"].clone()
    }

    /// The `type` and the `loc` (joined by dots) of every bad field.
    pub fn bad_fields(&self) -> Vec<(String, String)> {
        let detail = self.problem(422);
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let fields = detail.as_array().unwrap().iter().map(|field| {
            assert_eq!(keys(field)[..4], ["type", "loc", "msg", "input"], "{field}");
            assert!(!field["msg"].as_str().unwrap().is_empty());
            let loc: Vec<_> = field["loc"].as_array().unwrap().iter().map(text).collect();
            (text(&field["type"]), loc.join("."))
        });
        fields.collect()
    }
}

/// The names of an object's fields, in their order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl RawAnswer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines
            .filter_map(|l| l.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}
